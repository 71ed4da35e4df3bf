"""How good a model is, as pure functions: threshold, metrics, segments and importance."""
