"""A real `tritonserver`: found or installed, started, supervised, and spoken to."""
