"""Traces of edge conditions: generated, recorded, and what is learnt from them."""
