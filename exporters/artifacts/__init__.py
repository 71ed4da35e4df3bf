"""Existing model files: one module per kind that reads, checks and runs it.

`trimaran.repository.model_files` recognises the kind by content; `onnx_file`, `torchscript_file`
and `tensorrt_plan` each copy a file into a staged version and open it there; `trial` runs it and
decides about batches.
"""
