"""Figures: each a function from tables to a picture and the data that it shows."""
