"""Architectures that people use, through every export."""
