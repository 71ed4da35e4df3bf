"""Long proofs of what the project promises; not part of what is installed."""
