"""The life of a run, from training to what is live, and the ledger that tells it."""
