"""The target container: the limits on what a published artifact may need.

The embedded runtime and NVIDIA's container read the same files, so nothing that is published needs
more. Exporters write older versions than the container reads, so that other servers read them too.

Sources: NVIDIA's release notes and support matrix for the container; `build.py` of Triton's server,
branch r26.06, for its ONNX Runtime, 1.24.4; ONNX Runtime's `docs/Versioning.md`, by which a release
reads every opset from 7 up to that of the ONNX it is built with, here 1.20; ONNX's
`docs/Versioning.md` for what belongs to 1.20: opset 25, `ai.onnx.ml` 5 and IR 13. Tried with the
wheel `onnxruntime==1.24.4`, which refuses 26, 6 and 14. `kMaxSupportedFileFormatVersion` in torch's
`caffe2/serialize` for TorchScript.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "CONTAINER",
    "ONNX_IR_VERSION",
    "ONNX_MISSING",
    "ONNX_OPSET",
    "READ_IR_VERSION",
    "READ_ML_OPSET",
    "READ_OPSET",
    "TORCHSCRIPT_FILE_VERSION",
]

CONTAINER = "26.06"
"""The tag of `nvcr.io/nvidia/tritonserver` that this project targets."""

ONNX_OPSET = 18
"""The version that exporters write."""
ONNX_IR_VERSION = 10
"""The version that exporters write."""

READ_OPSET = 25
"""The newest opset of `ai.onnx` that the container reads."""
READ_ML_OPSET = 5
"""The newest opset of `ai.onnx.ml` that the container reads."""
READ_IR_VERSION = 13
"""The newest IR version that the container reads."""

ONNX_MISSING: Mapping[str, int] = {"DeformConv": 19, "LpNormalization": 22, "TensorScatter": 24}
"""Operators that the container's ONNX Runtime lacks from an opset on, though it reads the opset.

Found by loading the graphs of ONNX 1.20's operator tests, about 1,600 for each of the opsets 21 to
25, with the wheels 1.24.4 and 1.31.1."""

TORCHSCRIPT_FILE_VERSION = 10
