"""The two jobs that are served, as plain code: what every peer runs, and the in-process limit.

`job.py` needs NumPy, Pillow, ONNX Runtime and orjson only, so that a peer's environment can use it.
"""
