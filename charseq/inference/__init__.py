"""What a trained model is for: load it, let it write, score texts with it."""
