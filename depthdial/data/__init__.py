"""Images from where users have them to one prepared file of three splits."""
