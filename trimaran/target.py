"""What a published artifact may ask of the server: the oldest container it must load in.

The embedded runtime and NVIDIA's container read the same files, so exporters stay at or below
these. Sources: NVIDIA's release notes and support matrix for the container, ONNX's versioning
table for opset and IR, and `kMaxSupportedFileFormatVersion` in torch's `caffe2/serialize`.
"""

from __future__ import annotations

__all__ = ["CONTAINER", "ONNX_IR_VERSION", "ONNX_OPSET", "TORCHSCRIPT_FILE_VERSION"]

CONTAINER = "26.06"
"""The tag of `nvcr.io/nvidia/tritonserver` that this project targets."""

ONNX_OPSET = 18
ONNX_IR_VERSION = 10
TORCHSCRIPT_FILE_VERSION = 10
