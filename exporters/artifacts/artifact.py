"""A model file that was read: its tensors, and a way to run it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from exporters.parity import Run
from trimaran.repository.dtypes import DType, describe_shape
from trimaran.system.errors import ArtifactError

__all__ = [
    "Artifact",
    "Axis",
    "FileTensor",
    "NoAnswerError",
    "first_repeated",
    "reason",
]

Axis = int | str | None
"""A length; the name of a length that is the same wherever the name stands; or any length."""


@dataclass(frozen=True)
class FileTensor:
    """An input or output of a model file, with all its axes, the batch too where it has one."""

    name: str
    dtype: DType
    axes: tuple[Axis, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The axes as a configuration has them: -1 for any length."""
        return tuple(axis if isinstance(axis, int) else -1 for axis in self.axes)

    def __str__(self) -> str:
        return f"{self.name} {self.dtype.triton} {describe_shape(self.shape)}"


@dataclass(frozen=True)
class Artifact:
    """A model file in a staged version, opened in its own runtime.

    `run` takes and gives arrays by the names of `inputs` and `outputs`; text is `str` in arrays of
    dtype object. `served_names` has the names under which the backend wants them, where it wants
    others. `target` is what the file requires of a server. `random` names its operators that draw
    random numbers, `mixing` says how others combine the rows of a batch, and `remarks` are what
    else a user should know. `platform` is the backend's, and `device` the only one, `cpu` or
    `cuda`, that it runs on, where either has to be named.
    """

    format: Literal["onnx", "aoti", "torchscript", "tensorrt"]
    backend: str
    file_name: str
    libraries: tuple[str, ...]
    inputs: Sequence[FileTensor]
    outputs: Sequence[FileTensor]
    run: Run
    target: Mapping[str, str | int]
    source: Mapping[str, str]
    served_names: Mapping[str, str]
    random: Sequence[str] = ()
    mixing: Sequence[str] = ()
    remarks: Sequence[str] = ()
    platform: str = ""
    device: str = ""


class NoAnswerError(ArtifactError):
    """A file that fails on all inputs it was tried on."""


def first_repeated(names: Sequence[str]) -> str | None:
    """The first name that occurs twice, or `None`."""
    return next((name for name in names if names.count(name) > 1), None)


_NOISE = re.compile(
    r"\[ONNXRuntimeError\] : \d+ : \w+ : |Load model from \S+ failed:\s*"
    r"|/\S+\.(?:cc|h):\d+ [^(]*\([^)]*\)(?:\sconst)?(?:::<lambda\(\)>)?\s"
    r"|/\S+\.(?:cc|h):\d+\s"
    r"|Error in dlopen: /\S+:\s"
)
"""ONNX Runtime's error codes, paths of copies, and places in its own sources."""
_LONGEST = 300


def reason(error: BaseException) -> str:
    """A runtime's message on one line, at most 300 characters, without places in its sources."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if any(line.startswith("Traceback of TorchScript") for line in lines):
        lines = lines[-1:]
    text = " ".join(lines[:2]) or type(error).__name__
    return _NOISE.sub("", text)[:_LONGEST].rstrip(" .;:")
