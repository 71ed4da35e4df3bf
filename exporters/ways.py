"""The ways that `forward` may go depending on lengths, found by running it on symbols.

`torch` runs a module on tensors without numbers, whose lengths are symbols, and notes every
condition on them that Python or an operator asked about: `n % 2 == 0`. The conditions say at which
other lengths the same way is taken, and at which it is another one.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import torch
from torch import Tensor, nn
from torch._dispatch.python import enable_python_dispatcher
from torch._export.utils import _compiling_state_context
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import (
    DimDynamic,
    ShapeEnv,
    StatelessSymbolicContext,
)
from torch.utils._sympy.printers import PythonPrinter

from exporters.quiet import quiet, silent_torch
from exporters.spec import BATCH_AXIS, ModelSpec

__all__ = ["Way", "way_at"]


@dataclass(frozen=True)
class Way:
    """One way through `forward`: what lengths must be for it, as Python expressions.

    `open_axes` are the axes of each output, by name, whose length follows a symbol.
    """

    conditions: tuple[str, ...] = ()
    open_axes: Mapping[str, frozenset[int]] = field(default_factory=dict)

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
                if not eval(code, {"math": math, "max": max, "min": min}, dict(lengths)):  # noqa: S307
                    return text
        return None


def way_at(spec: ModelSpec, inputs: Mapping[str, Tensor]) -> Way:
    """The way that `forward` goes on inputs of these lengths, as far as symbols carry.

    Where a module reads a tensor's values, or calls what has no symbolic form, the conditions up to
    there are known. The module itself is left as it is.
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
        # Some modules cache tensors unless they are told that these are symbols.
        with mode, enable_python_dispatcher(), _compiling_state_context():
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
    return Way(tuple(known), _open_axes(spec, outputs))


def _copy(module: nn.Module) -> nn.Module:
    """The module with the same tensors: what `forward` keeps for later is kept in the copy."""
    tensors = [*module.parameters(), *module.buffers()]
    return copy.deepcopy(module, {id(tensor): tensor for tensor in tensors})


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
