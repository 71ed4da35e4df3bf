"""Tensors in the terms of `config.pbtxt`: element types and shapes.

`DTYPES` is the one table of element types in Triton, NumPy, torch and ONNX.

Sources: Triton's `model_config.proto` (`DataType`), the KServe v2 protocol's type names, and
ONNX's `TensorProto.DataType`. Torch's types are named, not imported, so that reading a
configuration does not load torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = [
    "DTYPES",
    "DType",
    "TensorSpec",
    "by_config",
    "by_numpy",
    "by_onnx",
    "by_torch",
    "by_triton",
    "describe_shape",
    "shapes_agree",
]


@dataclass(frozen=True)
class DType:
    """One element type under its four names; `None` where a library has no such type."""

    triton: str
    """The KServe v2 name, as in requests: `FP32`."""
    numpy: np.dtype | None
    """`numpy.dtype`; `object` (of `bytes`) for BYTES."""
    torch: str | None
    """The attribute of the `torch` module: `float32`."""
    onnx: int
    """The number in `onnx.TensorProto.DataType`."""

    @property
    def config(self) -> str:
        """The name in `config.pbtxt`: `TYPE_FP32`."""
        return "TYPE_STRING" if self.triton == "BYTES" else f"TYPE_{self.triton}"

    @property
    def is_floating(self) -> bool:
        """Whether values are compared with a tolerance rather than exactly."""
        return self.triton in {"FP16", "FP32", "FP64", "BF16"}


def _numpy(name: str) -> np.dtype:
    return np.dtype(name)


DTYPES: tuple[DType, ...] = (
    DType("BOOL", _numpy("bool"), "bool", 9),
    DType("UINT8", _numpy("uint8"), "uint8", 2),
    DType("UINT16", _numpy("uint16"), "uint16", 4),
    DType("UINT32", _numpy("uint32"), "uint32", 12),
    DType("UINT64", _numpy("uint64"), "uint64", 13),
    DType("INT8", _numpy("int8"), "int8", 3),
    DType("INT16", _numpy("int16"), "int16", 5),
    DType("INT32", _numpy("int32"), "int32", 6),
    DType("INT64", _numpy("int64"), "int64", 7),
    DType("FP16", _numpy("float16"), "float16", 10),
    DType("FP32", _numpy("float32"), "float32", 1),
    DType("FP64", _numpy("float64"), "float64", 11),
    DType("BF16", None, "bfloat16", 16),
    DType("BYTES", _numpy("object"), None, 8),
)

_BY_TRITON = {dtype.triton: dtype for dtype in DTYPES}
_BY_CONFIG = {dtype.config: dtype for dtype in DTYPES}
_BY_NUMPY = {dtype.numpy: dtype for dtype in DTYPES if dtype.numpy is not None}
_BY_TORCH = {dtype.torch: dtype for dtype in DTYPES if dtype.torch is not None}
_BY_ONNX = {dtype.onnx: dtype for dtype in DTYPES}


def by_triton(name: str) -> DType:
    """The type that a request names, such as `FP32`. Raises `KeyError`."""
    return _BY_TRITON[name]


def by_config(name: str) -> DType:
    """The type that a configuration names, such as `TYPE_FP32`. Raises `KeyError`."""
    return _BY_CONFIG[name]


def by_numpy(dtype: np.dtype) -> DType:
    """The type of a NumPy array; text and bytes of any length are BYTES. Raises `KeyError`."""
    if dtype.kind in "SU":
        return _BY_TRITON["BYTES"]
    return _BY_NUMPY[dtype]


def by_torch(dtype: object) -> DType:
    """The type of a torch tensor, given its `torch.dtype`. Raises `KeyError`."""
    return _BY_TORCH[str(dtype).removeprefix("torch.")]


def by_onnx(number: int) -> DType:
    """The type of an ONNX value, by its `TensorProto.DataType`. Raises `KeyError`."""
    return _BY_ONNX[number]


@dataclass(frozen=True)
class TensorSpec:
    """A named tensor without its batch axis.

    `dims` has -1 for an axis of any length: `[3, 224, 224]` for an image, `[-1]` for tokens.
    `reshape` is what the model itself sees where it differs (a `[batch]`-shaped tensor is
    `dims: [1]` with an empty reshape).
    """

    name: str
    dtype: DType
    dims: tuple[int, ...]
    reshape: tuple[int, ...] | None = None
    optional: bool = False

    @property
    def model_dims(self) -> tuple[int, ...]:
        """The axes that the model sees, without the batch."""
        return self.dims if self.reshape is None else self.reshape

    def __str__(self) -> str:
        reshaped = "" if self.reshape is None else f" reshaped to {describe_shape(self.reshape)}"
        return f"{self.name} {self.dtype.triton} {describe_shape(self.dims)}{reshaped}"


def describe_shape(dims: Sequence[int]) -> str:
    """A shape as people write it: `[3, 224, 224]`."""
    return "[" + ", ".join(str(dim) for dim in dims) + "]"


def shapes_agree(left: Sequence[int], right: Sequence[int]) -> bool:
    """Whether two shapes can be the same one: equal rank, and each axis equal or -1 in one."""
    return len(left) == len(right) and all(
        a == b or -1 in (a, b) for a, b in zip(left, right, strict=True)
    )
