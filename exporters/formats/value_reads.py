"""Where `forward` reads values of its inputs in Python, which a trace makes constants of.

A value read from a constant (`if self.sigma > 0`) is the same for every input. A value that an
operator reads internally (`one_hot` looks for the largest class) is read again at every run, since
a trace keeps the operator.
"""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.jit._trace import TracerWarning
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from exporters.spec import ModelSpec

__all__ = ["value_read"]


def value_read(spec: ModelSpec) -> str | None:
    """`file.py:12` of the first place that reads a value of an input, `None` where none does.

    The module is run on its examples, and every number that leaves its tensors is followed. Then it
    is traced, and torch warns wherever it makes a constant of a tensor, also of sizes and
    constants. A place that is among both is reported: a branch on a value, an index made of one, or
    NumPy.
    """
    module, examples = spec.positional(), tuple(spec.example_inputs.values())
    reads = _reads_of(module, examples)
    traced = _made_constant(module, examples) if reads.places or reads.shapes else set()
    found = [*reads.silent, *(place for place in reads.places if place in traced)]
    found += reads.shapes if traced else []
    return found[0].rpartition("/")[2] if found else None


@dataclass
class _Reads:
    """Where numbers that depend on the inputs leave their tensors, or decide a shape that is read.

    At `places` a trace may keep the value that is read; at `silent` ones torch gives no warning.
    `shapes` depend on the values of the inputs, and may be used elsewhere.
    """

    places: list[str] = field(default_factory=list)
    shapes: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)


def _reads_of(module: nn.Module, examples: tuple[Tensor, ...]) -> _Reads:
    reads = _Reads()
    inputs = tuple(tensor.clone() for tensor in examples)
    values = _Values(inputs, reads.places)
    with _Leaving(values, reads), values:
        module(*inputs)
    return reads


def _made_constant(module: nn.Module, examples: tuple[Tensor, ...]) -> set[str]:
    """The places at which a trace makes a constant of a tensor, as far as it gets."""
    places: set[str] = set()

    def note(message: Warning | str, category: type[Warning], *_: object) -> None:
        if issubclass(category, TracerWarning):
            places.add(_place())

    with suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note  # type: ignore[assignment]
        torch.jit.trace(module, examples, check_trace=False)
    return places


class _Values(TorchDispatchMode):
    """Follows tensors computed from the inputs, and notes every number that is taken out of one."""

    def __init__(self, inputs: tuple[Tensor, ...], places: list[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.places = places
        self._known = WeakIdKeyDictionary()
        self._shaped = WeakIdKeyDictionary()
        for tensor in inputs:
            self._known[tensor] = True

    def follows(self, values: Any) -> bool:
        """Whether any tensor among the values depends on the inputs."""
        return any(tensor in self._known for tensor in _tensors(values))

    def is_shaped(self, values: Any) -> bool:
        """Whether the shape of any tensor among the values depends on what the inputs hold."""
        return any(tensor in self._shaped for tensor in _tensors(values))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default and self.follows(args):
            self.places.append(_place())
        result = func(*args, **(kwargs or {}))
        if self.is_shaped(args) or torch.Tag.dynamic_output_shape in func.tags:
            for tensor in _tensors(result) if self.follows((args, kwargs or {})) else ():
                self._shaped[tensor] = True
        if self.follows((args, kwargs or {})):
            written = [
                value
                for argument, value in zip(func._schema.arguments, args, strict=False)
                if argument.alias_info is not None and argument.alias_info.is_write
            ]
            for tensor in _tensors((result, written)):
                self._known[tensor] = True
        return result


class _Leaving(TorchFunctionMode):
    """Notes what leaves PyTorch through one of its functions: arrays, lists, booleans."""

    def __init__(self, values: _Values, reads: _Reads) -> None:
        super().__init__()
        self.values = values
        self.reads = reads

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in _LEAVING and self.values.follows(args):
            self.reads.places.append(_place())
        if func in _SILENT and self.values.follows(args):
            self.reads.silent.append(_place())
        if func in _SHAPES and self.values.is_shaped(args[:1]):
            self.reads.shapes.append(_place())
        return func(*args, **(kwargs or {}))


_LEAVING = {Tensor.numpy, Tensor.tolist, Tensor.__array__}
_SILENT = {
    torch.equal,
    torch.allclose,
    torch.is_nonzero,
    Tensor.equal,
    Tensor.allclose,
    Tensor.is_nonzero,
    Tensor.__index__,
    Tensor.__format__,
    Tensor.__dlpack__,
}
"""What a trace makes a constant of without a warning."""
_SHAPES = {
    torch.numel,
    Tensor.numel,
    Tensor.nelement,
    Tensor.size,
    Tensor.shape.__get__,  # type: ignore[attr-defined]
    Tensor.__len__,
    Tensor.unbind,
    Tensor._nnz,
}
"""What reads a shape, whose length may depend on the values of the inputs."""
_WARNINGS = warnings.__file__
_TORCH = str(Path(torch.__file__).parent)


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, Mapping):
        for value in values.values():
            yield from _tensors(value)
    elif isinstance(values, tuple | list):
        for value in values:
            yield from _tensors(value)


def _place() -> str:
    frames = [
        frame
        for frame in traceback.extract_stack()
        if not frame.filename.startswith((_TORCH, __file__, _WARNINGS))
    ]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "torch"
