"""The JSON Schema of a tensor of one row, as Triton's generate API takes and gives it.

| dims | JSON |
|---|---|
| `[1]` | a value |
| `[3]`, `[2, 4]` | one flat list of 3, or of 8, row by row |
| `[-1]`, `[-1, 6]` | one flat list of 1 or more |
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from trimaran.repository.dtypes import DType, TensorSpec, describe_shape

__all__ = ["FP32_MAX", "is_single", "tensor_schema"]

Schema = dict[str, Any]

FP32_MAX = 3.4028235677973362e38
"""The largest number of JSON that FP32 rounds to a finite one: the next is halfway to 2**128."""

_OTHERS: Mapping[str, Schema] = {"BOOL": {"type": "boolean"}, "BYTES": {"type": "string"}}
_NOT_JSON = ("FP16", "BF16")


def is_single(spec: TensorSpec) -> bool:
    """Whether a row of the tensor is one value, which is given without a list."""
    return all(dim == 1 for dim in spec.dims)


def tensor_schema(
    spec: TensorSpec, value: Schema | None = None, *, bounded: bool = True
) -> Schema | None:
    """The schema of a tensor, or None where JSON cannot carry its type.

    `value` is what is known of each value; otherwise the type alone decides. `bounded` has at
    least one value, and a number between those that its type can hold.
    """
    if spec.dtype.triton in _NOT_JSON:
        return None
    if value is None:
        value = _value_schema(spec.dtype)
        if bounded:
            value |= _bounds(spec.dtype)
    if is_single(spec):
        return value
    schema: Schema = {"type": "array", "items": value, "minItems": int(bounded)}
    if -1 not in spec.dims:
        schema["minItems"] = schema["maxItems"] = math.prod(spec.dims)
    if len(spec.dims) > 1 or -1 in spec.dims:
        schema["description"] = f"{describe_shape(spec.dims)}, as one flat list, row by row."
    return schema


def _value_schema(dtype: DType) -> Schema:
    if dtype.triton in _OTHERS:
        return dict(_OTHERS[dtype.triton])
    return {"type": "number" if dtype.is_floating else "integer"}


def _bounds(dtype: DType) -> Schema:
    if dtype.triton in _OTHERS or dtype.numpy is None:
        return {}
    if dtype.is_floating:
        most = FP32_MAX if dtype.triton == "FP32" else sys.float_info.max
        return {"minimum": -most, "maximum": most}
    limits = np.iinfo(dtype.numpy)
    return {"minimum": int(limits.min), "maximum": int(limits.max)}
