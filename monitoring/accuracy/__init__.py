"""Whether a model is still right: outcomes told, and what they come to."""
