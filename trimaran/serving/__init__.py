"""Finds, starts and supervises a real `tritonserver`, and calls it."""
