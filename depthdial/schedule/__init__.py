"""From measured configurations and a grid of conditions to the table that a tiny selector looks up."""
