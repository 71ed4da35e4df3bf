"""Fewer bits: how an artifact gets them, and the gate that it must pass."""
