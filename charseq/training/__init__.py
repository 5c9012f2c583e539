"""Training: the loop, the optimizer, the run folder."""
