"""Proofs over many models, whose tables stand in `docs/`."""
