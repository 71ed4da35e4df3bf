"""The branches that `forward` takes depending on lengths, found by running it on symbols.

`torch` runs a module on tensors without numbers, whose lengths are symbols, and notes every
condition on them that Python or an operator asked about: `n % 2 == 0`. The conditions say at which
other lengths `forward` goes the same way.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import CodeType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch._dispatch.python import enable_python_dispatcher
from torch._export.utils import _compiling_state_context
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.fx.experimental.symbolic_shapes import (
    DimDynamic,
    ShapeEnv,
    StatelessSymbolicContext,
)
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._sympy.printers import PythonPrinter

from exporters.any_length import of_any_length
from exporters.spec import BATCH_AXIS, ModelSpec
from exporters.torch_state import quiet, silent_torch

__all__ = ["Way", "way_at"]


_NAMES = {
    "math": math,
    "max": max,
    "min": min,
    "torch": SimpleNamespace(sym_float=float, sym_int=int, sym_max=max, sym_min=min),
}
"""Names in conditions other than lengths."""


@dataclass(frozen=True)
class Way:
    """One way through `forward`: what lengths must be for it, as Python expressions.

    `open_axes` are the axes of each output, by name, whose length follows a symbol. `is_whole`
    says whether the run came to an end; without it there may be other conditions. `is_rounded`
    says that an output's length is rounded from a fraction of an input's, which runtimes may
    round differently at single lengths.
    """

    conditions: tuple[str, ...] = ()
    open_axes: Mapping[str, frozenset[int]] = field(default_factory=dict)
    is_whole: bool = True
    is_rounded: bool = False

    def __post_init__(self) -> None:
        codes = [compile(text, "condition", "eval") for text in self.conditions]
        object.__setattr__(self, "_codes", tuple(codes))

    def taken_at(self, lengths: Mapping[str, int]) -> bool:
        """Whether `forward` goes this way at these lengths."""
        return self.broken_at(lengths) is None

    def broken_at(self, lengths: Mapping[str, int]) -> str | None:
        """The first condition that does not hold at these lengths."""
        codes: tuple[CodeType, ...] = self._codes  # type: ignore[attr-defined]
        for text, code in zip(self.conditions, codes, strict=True):
            with suppress(Exception):  # a division by a length of 0, say, decides nothing
                if not eval(code, dict(_NAMES), dict(lengths)):  # noqa: S307 - our own text
                    return text
        return None


def way_at(spec: ModelSpec, inputs: Mapping[str, Tensor]) -> Way:
    """The way that `forward` goes on inputs of these lengths, as far as symbols carry.

    Where a module reads a tensor's values, or calls what has no symbolic form, the conditions up to
    there are known. The module itself is not changed.
    """
    env = ShapeEnv(
        specialize_zero_one=False,
        duck_shape=False,
        allow_scalar_outputs=True,
        allow_dynamic_output_shape_ops=True,
    )
    mode = FakeTensorMode(shape_env=env, allow_non_fake_inputs=True)
    outputs: tuple[Tensor, ...] = ()
    names: dict[str, str] = {}
    with suppress(Exception), quiet(), silent_torch():
        module = _copy(spec.positional())
        fakes = [_symbolic(spec, name, tensor, mode, names) for name, tensor in inputs.items()]
        # Some modules cache tensors unless torch says that it is compiling.
        with (
            mode,
            enable_python_dispatcher(),
            _compiling_state_context(),
            of_any_length(),
            _Constants(),
        ):
            outputs = module(*fakes)
    printer = PythonPrinter()
    known: dict[str, None] = {}
    for guard in env.guards:
        symbols = {str(symbol) for symbol in guard.expr.free_symbols}
        if symbols <= names.keys():
            renamed = guard.expr.xreplace(
                {s: type(s)(names[str(s)], integer=True) for s in guard.expr.free_symbols}
            )
            known[printer.doprint(renamed)] = None
    lengths = [str(length) for tensor in outputs for length in tensor.shape[1:]]
    return Way(
        tuple(known),
        _open_axes(spec, outputs),
        is_whole=bool(outputs),
        is_rounded=any(word in length for length in lengths for word in _ROUNDED),
    )


_ROUNDED = ("Float", "Trunc", "floor(", "ceil(", "Round")
"""What stands in a length that is computed with fractions."""


class _Constants(TorchFunctionMode):
    """Computes what no input reaches with real numbers, so that Python may read them."""

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        given = list(pytree.tree_leaves((args, kwargs)))
        tensors = [value for value in given if isinstance(value, Tensor)]
        is_symbolic = any(isinstance(value, FakeTensor | torch.SymInt) for value in given)
        if not tensors or is_symbolic:
            return func(*args, **kwargs)
        with unset_fake_temporarily():
            return func(*args, **kwargs)


def _copy(module: nn.Module, copies: dict[int, Any] | None = None) -> Any:
    """The module with the same tensors: what `forward` keeps for later is kept in the copy.

    What cannot be copied is shared.
    """
    copies = copies if copies is not None else {}
    if id(module) in copies:
        return copies[id(module)]
    copied = copies[id(module)] = object.__new__(type(module))
    shared = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    values: dict[str, Any] = {}
    for name, value in module.__dict__.items():
        if name == "_modules":
            values[name] = {
                key: item if item is None else _copy(item, copies) for key, item in value.items()
            }
        elif name in ("_parameters", "_buffers"):
            values[name] = dict(value)
        elif isinstance(value, Tensor):
            values[name] = value
        else:
            try:
                values[name] = copy.deepcopy(value, {**shared, **copies})
            except Exception:
                values[name] = value
    copied.__dict__.update(values)
    return copied


def _symbolic(
    spec: ModelSpec, name: str, tensor: Tensor, mode: FakeTensorMode, names: dict[str, str]
) -> Any:
    varying = {0: BATCH_AXIS, **{axis: a.name for axis, a in spec.axes.get(name, {}).items()}}
    kinds = [
        DimDynamic.DYNAMIC if axis in varying else DimDynamic.STATIC for axis in range(tensor.ndim)
    ]
    fake = mode.from_tensor(tensor, symbolic_context=StatelessSymbolicContext(dynamic_sizes=kinds))
    for axis, label in varying.items():
        names[str(fake.shape[axis].node.expr)] = label  # type: ignore[attr-defined]
    return fake


def _open_axes(spec: ModelSpec, outputs: tuple[Tensor, ...]) -> dict[str, frozenset[int]]:
    return {
        name: frozenset(
            axis
            for axis, length in enumerate(tensor.shape)
            if axis and isinstance(length, torch.SymInt) and length.node.expr.free_symbols
        )
        for name, tensor in zip(spec.output_names, outputs, strict=False)
    }
