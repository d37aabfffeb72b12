"""Intervals and tests of what was counted or measured."""
