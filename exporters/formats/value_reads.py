"""Where a module's forward reads a tensor's values in Python, which a trace makes constants of."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from exporters.spec import ModelSpec

__all__ = ["value_read"]


def value_read(spec: ModelSpec) -> str | None:
    """`file.py:12` of the first place that reads a value, and `None` where none does.

    The module is run on its examples twice: as it is, since a trace has sizes as tensors and reads
    those as well; and traced, since some modules read values only while nobody traces them. A place
    that reads in both is meant. A branch that is taken by a value, an index made of one, and NumPy
    are found.
    """
    module, examples = spec.positional(), tuple(spec.example_inputs.values())
    eager, traced = list[str](), list[str]()
    with _Conversions(eager), _Scalars(eager):
        module(*(tensor.clone() for tensor in examples))
    if not eager:
        return None
    with suppress(Exception), _Conversions(traced), _Scalars(traced):
        torch.jit.trace(module, examples, check_trace=False)
        eager = [place for place in eager if place in set(traced)]
    return _short(eager[0]) if eager else None


class _Scalars(TorchDispatchMode):
    """Notes every `bool`, `int`, `float` and `item` of a tensor."""

    def __init__(self, places: list[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.places = places

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            self.places.append(_place())
        return func(*args, **(kwargs or {}))


class _Conversions(TorchFunctionMode):
    """Notes every tensor that leaves PyTorch for NumPy or a list."""

    def __init__(self, places: list[str]) -> None:
        super().__init__()
        self.places = places

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in _LEAVING:
            self.places.append(_place())
        return func(*args, **(kwargs or {}))


_LEAVING = {Tensor.numpy, Tensor.tolist, Tensor.__array__}
_TORCH = str(Path(torch.__file__).parent)


def _place() -> str:
    frames = [
        frame
        for frame in traceback.extract_stack()
        if not frame.filename.startswith((_TORCH, __file__))
    ]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "torch"


def _short(place: str) -> str:
    return place.rpartition("/")[2]
