"""From evaluated masks to the few configurations worth deploying."""
