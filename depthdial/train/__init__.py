"""Training with Stochastic Depth."""
