"""Benchmarks: one module for each `make bench-...`."""
