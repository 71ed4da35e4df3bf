"""What a model's input or output looks like, in the terms of `config.pbtxt`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trimaran.repository import dtypes

__all__ = ["TensorSpec", "describe_shape", "shapes_agree"]


@dataclass(frozen=True)
class TensorSpec:
    """A named tensor without its batch axis.

    `dims` has -1 for an axis of any length: `[3, 224, 224]` for an image, `[-1]` for tokens.
    `reshape` is what the model itself sees where it differs (a `[batch]`-shaped tensor is
    `dims: [1]` with an empty reshape).
    """

    name: str
    dtype: dtypes.DType
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
