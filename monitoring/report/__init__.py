"""What Prometheus knows of a window of time, by model and version, with a verdict."""
