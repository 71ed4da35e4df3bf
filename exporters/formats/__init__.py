"""One module per format, and what capturing needs."""
