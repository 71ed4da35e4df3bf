"""The code that runs inside Triton's Python stubs: image and record models, counters, logs.

A module `*_model` holds a `TritonPythonModel`. Publishing copies it with the modules that it
imports into the version directory, so nothing here imports another package of `trimaran`.
"""
