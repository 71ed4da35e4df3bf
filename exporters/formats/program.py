"""The module as `torch.export` captures it, and that graph as TorchScript.

One graph serves every length of the dynamic axes, where a trace makes constants of lengths: it
computes lengths from the sizes of its inputs. Its operators are ATen's, which TorchScript calls as
well; so the graph is written as Python source, with the few things replaced that TorchScript spells
differently, and scripted.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

import torch
from torch import fx
from torch._dynamo.exc import UserError
from torch.export import Dim, ExportedProgram
from torch.fx.experimental import _config

from exporters.any_length import of_any_length
from exporters.spec import BATCH_AXIS, DynamicAxis, ModelSpec
from exporters.torch_state import silent_torch

__all__ = [
    "captured_once",
    "captured_program",
    "dynamic_shapes",
    "export_program",
    "script_program",
]


@contextmanager
def captured_once() -> Iterator[None]:
    """Capture a description once within the block, whichever formats ask for it.

    It must not change meanwhile. What `torch.export` refuses, it refuses once.
    """
    before = _KEPT.set({})
    try:
        yield
    finally:
        _KEPT.reset(before)


def captured_program(spec: ModelSpec) -> ExportedProgram:
    """The same program for every format within `captured_once`; nobody may change it.

    Raises what `torch.export` raises.
    """
    kept = _KEPT.get()
    if kept is None:
        return export_program(spec)
    if id(spec) not in kept:
        try:
            kept[id(spec)] = spec, export_program(spec)
        except Exception as error:
            kept[id(spec)] = spec, error
    _, found = kept[id(spec)]
    if isinstance(found, Exception):
        raise found
    return found


_KEPT: ContextVar[dict[int, tuple[ModelSpec, ExportedProgram | Exception]] | None] = ContextVar(
    "programs", default=None
)


def export_program(spec: ModelSpec) -> ExportedProgram:
    """The exported program of `spec.positional()`. Raises what `torch.export` raises.

    Torch may assume a relation of lengths that holds for the example and not for every length. Then
    it is asked to assume none, and the parity gate tries the lengths for which it does not hold.
    """
    with silent_torch(), of_any_length():
        try:
            return _export(spec)
        except UserError:
            with suppress(Exception), _config.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
                return _export(spec)
            raise


def _export(spec: ModelSpec) -> ExportedProgram:
    return torch.export.export(
        spec.positional(),
        tuple(spec.example_inputs.values()),
        dynamic_shapes=dynamic_shapes(spec),
        strict=False,
    )


def dynamic_shapes(spec: ModelSpec) -> dict[str, tuple[dict[int, Any], ...]]:
    """The batch and every dynamic axis, as `torch.export` takes them for `PositionalModule`."""
    dims: dict[str, Any] = {BATCH_AXIS: Dim(BATCH_AXIS, min=1)}
    shapes = []
    for name in spec.example_inputs:
        shape = {0: dims[BATCH_AXIS]}
        for axis, item in spec.axes.get(name, {}).items():
            if item.name not in dims:
                dims[item.name] = _dim(item)
            shape[axis] = dims[item.name]
        shapes.append(shape)
    return {"inputs": tuple(shapes)}


def _dim(axis: DynamicAxis) -> Any:
    if axis.step == 1:
        return Dim(axis.name, min=axis.least, max=axis.most)
    steps = Dim(f"{axis.name}_steps", min=axis.least // axis.step, max=axis.most // axis.step)
    return axis.step * steps


def script_program(program: ExportedProgram) -> torch.jit.ScriptModule:
    """The program, called with its inputs by position and answering a tuple of tensors.

    Raises `ValueError` for a call that TorchScript does not have, and what `torch.jit.script`
    raises.
    """
    source = program.module(check_guards=False)
    writer = _Writer(source)
    for node in source.graph.nodes:
        writer.write(node)
    graph = writer.graph
    graph.eliminate_dead_code()
    graph.lint()
    return torch.jit.script(fx.GraphModule(writer.tensors, graph))


class _Writer:
    """Copies a graph node by node into one that TorchScript can read."""

    def __init__(self, source: fx.GraphModule) -> None:
        self.source = source
        self.graph = fx.Graph()
        self.tensors: dict[str, torch.Tensor] = {}
        self._names: dict[int, str] = {}
        self._copies: dict[fx.Node, Any] = {}

    def write(self, node: fx.Node) -> None:
        """Copy one node. Raises `ValueError`."""
        if node.op == "placeholder":
            self._copies[node] = self.graph.placeholder(f"input_{len(self._copies)}")
        elif node.op == "get_attr":
            self._copies[node] = self._tensor(node)
        elif node.op == "output":
            self.graph.output(tuple(self._argument(item) for item in node.args[0]))  # type: ignore[union-attr]
        elif node.op == "call_function" and not _is_check(node):
            self._copies[node] = self._call(node)
        elif node.op != "call_function":
            raise ValueError(f"the graph holds {node.format_node()}")

    def _tensor(self, node: fx.Node) -> fx.Node:
        value = operator.attrgetter(str(node.target))(self.source)
        if not isinstance(value, torch.Tensor):
            raise ValueError(f"the graph holds another graph, {node.target}")
        name = self._names.setdefault(id(value), f"tensor_{len(self._names)}")
        self.tensors[name] = value
        return self.graph.get_attr(name)

    def _call(self, node: fx.Node) -> fx.Node:
        target: Any = node.target
        args = tuple(self._argument(item) for item in node.args)
        kwargs = {name: self._argument(item) for name, item in node.kwargs.items()}
        if target is torch.ops.aten.item.default:
            cast = _NUMBER_TYPES[type(node.meta["val"])]
            return self.graph.call_function(cast, args)
        if isinstance(target, torch._ops.OpOverload):
            target = _SPELLED.get(target) or target.overloadpacket
        elif target in _PYTHON:
            target = _PYTHON[target]
        elif getattr(target, "__module__", "") != "_operator":
            raise ValueError(f"the graph calls {target}")
        return self.graph.call_function(target, args, kwargs)

    def _argument(self, value: Any) -> Any:
        if isinstance(value, fx.Node):
            return self._copies[value]
        if isinstance(value, list | tuple):
            return type(value)(self._argument(item) for item in value)
        if isinstance(value, torch.device):
            return str(value)
        if isinstance(value, float) and not math.isfinite(value):
            return self.graph.call_function(float, (str(value),))
        return value


_ATEN = torch.ops.aten

_SPELLED: dict[Any, Callable[..., Any]] = {
    _ATEN.sym_size.int: _ATEN.size,
    _ATEN.sym_stride.int: _ATEN.stride,
    _ATEN.sym_numel.default: _ATEN.numel,
    _ATEN.sym_storage_offset.default: _ATEN.storage_offset,
}

_PYTHON: dict[Any, Callable[..., Any]] = {
    torch.sym_min: min,
    torch.sym_max: max,
    torch.sym_int: int,
    torch.sym_float: float,
    torch.sym_not: operator.not_,
    math.ceil: math.ceil,
    math.floor: math.floor,
}

_NUMBER_TYPES: dict[type, Callable[..., Any]] = {
    torch.SymInt: int,
    torch.SymFloat: float,
    torch.SymBool: bool,
}


def _is_check(node: fx.Node) -> bool:
    """Whether a call only asserts an assumption of `torch.export`, which the parity gate tries."""
    return getattr(node.target, "_opname", "").startswith(("_assert", "sym_constrain_range"))
