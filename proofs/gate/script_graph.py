"""A TorchScript artifact that can be changed: frozen, so that its graph holds all constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from exporters.torch_state import quiet
from proofs.gate.observation import Observation, observe
from proofs.gate.script_functions import scripted

__all__ = ["ScriptGraph", "value_name"]


class ScriptGraph:
    """An archive, loaded again for each change."""

    def __init__(self, path: Path) -> None:
        with quiet():
            loaded = torch.jit.load(path, map_location="cpu").eval()
            self.module = torch.jit.freeze(loaded, optimize_numerics=False)
        self.graph: Any = self.module.graph
        self.nodes: list[Any] = list(self.graph.nodes())
        self.inputs: list[Any] = list(self.graph.inputs())[1:]
        self.values = _named_values(self.graph)

    def save(self, path: Path) -> None:
        """Write the archive."""
        with quiet():
            self.graph.lint()
            torch.jit.save(self.module, str(path))

    def constant(self, node: int, position: int) -> Any:
        """What an input of a node is in Python, if it is a constant, and `None` if not."""
        return list(self.nodes[node].inputs())[position].toIValue()

    def replace_input(self, node: int, position: int, value: Any) -> None:
        """Another constant for one input of one node."""
        owner = self.nodes[node]
        self.graph.setInsertPoint(owner)
        owner.replaceInput(position, self._constant(value))

    def freeze(self, name: str, value: Any) -> None:
        """A constant in place of a value that was computed."""
        old = self.values[name]
        self.graph.setInsertPoint(old.node())
        old.replaceAllUsesWith(self._constant(value))

    def after(self, name: str, function: str, axis: int | None, numbers: Sequence[float]) -> None:
        """Pass a value through a function before anything takes it, except for its size."""
        value = self.values[name]
        uses = [
            use.user
            for use in value.uses()
            if use.user.kind() not in ("aten::size", "prim::NumToTensor")
        ]
        self._insert_after(value)
        made = self._call(function, value, axis, numbers)
        for user in uses:
            user.replaceInputWith(value, made)

    def before(self, node: int, position: int, function: str) -> None:
        """Pass one input of one node through a function."""
        owner = self.nodes[node]
        self.graph.setInsertPoint(owner)
        taken = list(owner.inputs())[position]
        owner.replaceInput(position, self._call(function, taken, None, ()))

    def replace_node(self, node: int, function: str) -> None:
        """A function of a node's first input in the node's place."""
        old = self.nodes[node]
        self.graph.setInsertPoint(old)
        made = self._call(function, next(iter(old.inputs())), None, ())
        old.output().replaceAllUsesWith(made)

    def replace_operator(
        self,
        node: int,
        kind: str,
        inputs: Sequence[int],
        more: Sequence[Any] = (),
        outputs: int = 1,
    ) -> None:
        """Another operator in a node's place: of some of its inputs, and of constants."""
        old = self.nodes[node]
        self.graph.setInsertPoint(old)
        given = list(old.inputs())
        constants = [self._constant(value) for value in more]
        made = self.graph.create(kind, [*(given[i] for i in inputs), *constants], outputs)
        made.insertBefore(old)
        old.output().replaceAllUsesWith(next(iter(made.outputs())))

    def observation(self, feeds: Sequence[Mapping[str, np.ndarray]]) -> Observation:
        """All its tensors and integers for an example, for data like it, and for another size."""
        copy = self.graph.copy()
        named = _named_values(copy)
        values = list(named.values())
        made = copy.create("prim::TupleConstruct", values, 1)
        made.output().setType(torch._C.TupleType([value.type() for value in values]))
        copy.appendNode(made)
        while list(copy.outputs()):
            copy.eraseOutput(0)
        copy.registerOutput(next(iter(made.outputs())))
        copy.eraseInput(0)
        probe = torch._C._create_function_from_graph("probe", copy)
        runs = []
        for feed in feeds:
            arrays = list(feed.values())
            with quiet():
                found = probe(*(torch.tensor(array) for array in arrays))
            numbers = [
                f.numpy() if isinstance(f, torch.Tensor) else np.array(f, np.int64) for f in found
            ]
            runs.append([number.copy() for number in numbers])
        rows = [len(next(iter(feed.values()))) for feed in feeds]
        return observe(list(named), runs, rows)

    def _constant(self, value: Any) -> Any:
        if isinstance(value, list) and value and isinstance(value[0], torch.Tensor):
            parts = [self.graph.insertConstant(part) for part in value]
            made = self.graph.create("prim::ListConstruct", parts, 1)
            made.output().setType(torch._C.ListType.ofTensors())
            return self.graph.insertNode(made).output()
        return self.graph.insertConstant(value)

    def _insert_after(self, value: Any) -> None:
        """New nodes come after what makes a value, or first of all for an input."""
        owner = value.node()
        following = self.nodes.index(owner) + 1 if owner in self.nodes else 0
        self.graph.setInsertPoint(self.nodes[following])

    def _call(self, function: str, taken: Any, axis: int | None, numbers: Sequence[float]) -> Any:
        if axis is None:
            length = self.graph.insertConstant(0)
        else:
            place = self.graph.insertConstant(axis)
            sized = self.graph.create("aten::size", [self.inputs[0], place], 1)
            self.graph.insertNode(sized)
            length = sized.output()
            length.setType(torch._C.IntType.get())
        given = [*map(float, numbers), 0.0, 0.0][:2]
        constants = [self.graph.insertConstant(number) for number in given]
        made = self.graph.insertGraph(scripted(function), [taken, length, *constants])
        return next(iter(made))


def _named_values(graph: Any) -> dict[str, Any]:
    """Tensors and integers by what makes them, under names that a copy of the graph has too."""
    named = {f"input {i}": value for i, value in enumerate(list(graph.inputs())[1:])}
    for index, node in enumerate(graph.nodes()):
        if node.kind() in ("prim::Constant", "prim::TupleConstruct"):
            continue
        for place, value in enumerate(node.outputs()):
            if value.type().kind() in ("TensorType", "IntType"):
                named[value_name(node.kind(), index, place)] = value
    return named


def value_name(kind: str, node: int, output: int = 0) -> str:
    """The name of what a node gives."""
    operator = kind.removeprefix("aten::")
    return f"{operator} {node}" + (f".{output}" if output else "")
