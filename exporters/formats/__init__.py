"""One module per format, what capturing needs, and how a failure is told."""
