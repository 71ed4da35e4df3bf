"""Long proofs of the project's promises; they are not installed."""
