"""Models: what is trained and decoded, built from a configuration, and kept in a file."""
