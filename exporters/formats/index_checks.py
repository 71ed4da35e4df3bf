"""Checks of the indices that come from inputs, so that a wrong one fails its request alone.

Code of AOTInductor ends its process where an index lies outside of its tensor: on a CPU the check
throws inside a parallel loop, and on a GPU it makes the device unusable. So the program checks such
an index before it uses it, and uses a clamped copy, whatever the order in which the code runs.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx
from torch._subclasses.fake_tensor import FakeTensor
from torch.export import ExportedProgram

__all__ = ["with_checked_indices"]

_ATEN = torch.ops.aten


@dataclass(frozen=True)
class _Indexing:
    """How an operator names its source, axis and indices; whether these may count from the end."""

    source: str = "self"
    axis: str | int = "dim"
    index: str = "index"
    from_end: bool = False


_INDEXING = {
    "embedding": _Indexing("weight", 0, "indices"),
    "gather": _Indexing(),
    "index_select": _Indexing(),
    "take_along_dim": _Indexing(index="indices"),
    "scatter": _Indexing(),
    "scatter_add": _Indexing(),
    "scatter_reduce": _Indexing(),
    "index_add": _Indexing(from_end=True),
    "index_copy": _Indexing(from_end=True),
    "index_fill": _Indexing(from_end=True),
}
_BY_LIST = ("index", "index_put")
_OF_NO_VALUES = ("_like.", "new_", "sym_size", "sym_numel", "sym_stride")
"""In the names of operators whose answer depends on the shapes of their inputs alone."""


def with_checked_indices(program: ExportedProgram) -> ExportedProgram:
    """A program of the same tensors that raises where an index from an input is out of range.

    Indices that are computed from shapes and weights alone are left as they are, and so are those
    in the branches of `torch.cond`.
    """
    module = copy.deepcopy(program.graph_module)  # holds no weights
    writer = _Writer(module.graph, list(map(str, program.graph_signature.user_inputs)))
    for node in tuple(module.graph.nodes):
        writer.visit(node)
    module.recompile()
    return program._update(module, program.graph_signature)


class _Writer:
    """Adds the checks to a graph, in the order of its nodes."""

    def __init__(self, graph: fx.Graph, inputs: list[str]) -> None:
        self.graph, self.inputs = graph, inputs
        vals = (node.meta.get("val") for node in graph.nodes if node.op == "placeholder")
        self.mode = next(val.fake_mode for val in vals if isinstance(val, FakeTensor))
        self._valued: set[fx.Node] = set()
        self._safe: dict[tuple[Any, ...], fx.Node] = {}

    def visit(self, node: fx.Node) -> None:
        """Follow values of inputs through a node, and check the indices that it takes."""
        if node.op == "placeholder" and node.name in self.inputs:
            self._valued.add(node)
        if node.op != "call_function":
            return
        if self._valued.intersection(node.all_input_nodes) and not _has_no_values(node):
            self._valued.add(node)
        if not isinstance(node.target, torch._ops.OpOverload):
            return
        name = node.target._schema.name.removeprefix("aten::").removesuffix("_")
        with self.graph.inserting_before(node):
            if name in _INDEXING:
                self._check_one(node, name, _INDEXING[name])
            elif name in _BY_LIST:
                self._check_list(node, name)

    def _check_one(self, node: fx.Node, name: str, how: _Indexing) -> None:
        given = _arguments(node)
        source, index = given[how.source], given[how.index]
        axis = given.get(how.axis) if isinstance(how.axis, str) else how.axis
        if axis is not None and source.meta["val"].dim() and index in self._valued:
            _change(node, how.index, self._checked(index, source, axis, how.from_end, name))

    def _check_list(self, node: fx.Node, name: str) -> None:
        given = _arguments(node)
        indices = list(given["indices"])
        for axis, place in _axes_of(indices):
            if indices[place] in self._valued:
                indices[place] = self._checked(indices[place], given["self"], axis, True, name)
        _change(node, "indices", indices)

    def _checked(
        self, index: fx.Node, source: fx.Node, axis: int, from_end: bool, name: str
    ) -> fx.Node:
        """A clamped copy of an index, behind the check of the index itself."""
        length = source.meta["val"].shape[axis]
        size: Any = length
        if not isinstance(length, int):
            size = self._call(_ATEN.sym_size.int, source, axis)
        key = index, str(length), from_end
        if key not in self._safe:
            self._safe[key] = self._clamped(index, size, from_end, name)
        return self._safe[key]

    def _clamped(self, index: fx.Node, size: Any, from_end: bool, name: str) -> fx.Node:
        is_known = isinstance(size, int)
        last = size - 1 if is_known else self._call(operator.sub, size, 1)
        first: Any = 0
        if from_end:
            first = -size if is_known else self._call(operator.neg, size)
        what = f"an index that {name} takes"
        if index.op == "placeholder":
            what = f"an index in INPUT__{self.inputs.index(index.name)}"
        bounds = f"{first} to {last}" if is_known else "its axis"
        above = self._call(_ATEN.ge.Scalar, index, first)
        below = self._call(_ATEN.le.Scalar, index, last)
        right = self._call(_ATEN.all.default, self._call(_ATEN.logical_and.default, above, below))
        if index.meta["val"].device.type != "cpu":
            right = self._call(_ATEN._to_copy.default, right, device=torch.device("cpu"))
        self._call(_ATEN._assert_async.msg, right, f"{what} lies outside of {bounds}")
        return self._call(_ATEN.clamp.default, index, first, last)

    def _call(self, target: Any, *args: Any, **kwargs: Any) -> fx.Node:
        node = self.graph.call_function(target, args, kwargs)
        values = fx.node.map_arg(args, lambda given: given.meta["val"])
        with self.mode:
            is_check = target is _ATEN._assert_async.msg
            node.meta["val"] = None if is_check else target(*values, **kwargs)
        return node


def _has_no_values(node: fx.Node) -> bool:
    return any(part in str(node.target) for part in _OF_NO_VALUES)


def _arguments(node: fx.Node) -> dict[str, Any]:
    """What an operator is called with, by the names of its schema."""
    target: Any = node.target
    names = [argument.name for argument in target._schema.arguments]
    return {**dict(zip(names, node.args, strict=False)), **node.kwargs}


def _change(node: fx.Node, name: str, value: Any) -> None:
    target: Any = node.target
    place = [argument.name for argument in target._schema.arguments].index(name)
    if place < len(node.args):
        node.update_arg(place, value)
    else:
        node.update_kwarg(name, value)


def _axes_of(indices: list[Any]) -> Iterator[tuple[int, int]]:
    """The axis and the place of every index by numbers; a mask stands for all axes that it has."""
    axis = 0
    for place, index in enumerate(indices):
        value = None if index is None else index.meta["val"]
        if value is not None and value.dtype in (torch.bool, torch.uint8):
            axis += value.dim()
            continue
        if value is not None:
            yield axis, place
        axis += 1
