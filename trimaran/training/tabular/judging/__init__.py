"""How good a model is: metrics, segments, importance, comparisons."""
