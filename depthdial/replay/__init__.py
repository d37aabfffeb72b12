"""Policies replayed on traces, and what the best one that knows the future would have done."""
