"""Python-based stand-ins for Triton's native backends, for a runtime that lacks them.

Each folder here is a backend directory as Triton wants it: a `model.py` that serves every model
whose configuration names that backend. They run in stub processes of the embedded runtime, with
that runtime's NumPy and the project's other packages.
"""
