"""From a table to a finished run: training, thresholds, searches, checkpoints."""
