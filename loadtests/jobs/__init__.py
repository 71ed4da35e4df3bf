"""The two jobs as plain code in one process: what every peer runs, and the limit of them all.

Needs NumPy, Pillow, ONNX Runtime and orjson only, so that a peer's own environment can open a job.
"""
