"""The code that runs inside Triton's Python stubs."""
