"""Models that are trained here, and the public images and weights that others need."""
