"""An ONNX artifact that can be changed: its nodes, its constants, and the values inside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from proofs.gate.observation import Observation, observe

__all__ = ["DOMAIN", "OnnxGraph"]

DOMAIN = "changed"
"""Of the functions that a change adds."""

_LENGTH = f"{DOMAIN}_length"


class OnnxGraph:
    """A model, parsed again for each change."""

    def __init__(self, path: Path) -> None:
        self.model = onnx.load(path)
        self.graph = self.model.graph
        self.constants: dict[str, np.ndarray] = {
            item.name: numpy_helper.to_array(item) for item in self.graph.initializer
        }
        self._numbers = count()

    def save(self, path: Path) -> None:
        """Write the file."""
        path.write_bytes(self.model.SerializeToString(deterministic=True))

    @property
    def inputs(self) -> list[str]:
        """The names of its inputs."""
        return [item.name for item in self.graph.input]

    def constant(self, node: int, position: int) -> np.ndarray | None:
        """What an input of a node is, if it is a constant."""
        names = self.graph.node[node].input
        return self.constants.get(names[position]) if position < len(names) else None

    def replace_input(self, node: int, position: int, value: np.ndarray) -> None:
        """Another constant for one input of one node."""
        self.graph.node[node].input[position] = self._initializer(value)

    def freeze(self, name: str, value: np.ndarray) -> None:
        """A constant in place of a value that was computed."""
        self._rename_uses(name, self._initializer(value))

    def after(
        self, name: str, function: onnx.FunctionProto, arguments: Sequence[str | np.ndarray]
    ) -> None:
        """Pass a value through a function before anything takes it.

        `arguments` are what the function takes after the value itself.
        """
        taken, given, place = self._detach(name)
        more = [a if isinstance(a, str) else self._initializer(a) for a in arguments]
        self._call(function, [taken, *more], given, place)

    def before(self, node: int, position: int, function: onnx.FunctionProto) -> None:
        """Pass one input of one node through a function."""
        names = self.graph.node[node].input
        changed = f"{DOMAIN}_{next(self._numbers)}"
        taken = names[position]
        names[position] = changed
        self._call(function, [taken], changed, node)

    def replace_node(self, node: int, function: onnx.FunctionProto) -> None:
        """A function of a node's first input in the node's place."""
        old = self.graph.node[node]
        taken, given = old.input[0], old.output[0]
        del self.graph.node[node]
        self._call(function, [taken], given, node)

    def length(self, source: str, axis: int) -> str:
        """The name of a value that holds how long an input's axis is, int64 `[1]`."""
        node = helper.make_node("Shape", [source], [_LENGTH], start=axis, end=axis + 1)
        self.graph.node.insert(0, node)
        return _LENGTH

    def observation(self, feeds: Sequence[Mapping[str, np.ndarray]]) -> Observation:
        """All its values for an example, data like it, and another size; spoils the graph."""
        names = [name for node in self.graph.node for name in node.output if name]
        del self.graph.output[:]
        self.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        content = self.model.SerializeToString()
        session = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
        runs = [
            [*session.run(names, dict(feed)), *(feed[name] for name in self.inputs)]
            for feed in feeds
        ]
        return observe([*names, *self.inputs], runs, [len(f[self.inputs[0]]) for f in feeds])

    def _initializer(self, value: np.ndarray) -> str:
        name = f"{DOMAIN}_{next(self._numbers)}"
        self.graph.initializer.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def _detach(self, name: str) -> tuple[str, str, int]:
        """What a function after a value takes, what it gives, and where its node belongs.

        Sizes are still read from an input itself.
        """
        for place, node in enumerate(self.graph.node):
            if name in node.output:
                before = f"{name}_before"
                node.output[list(node.output).index(name)] = before
                return before, name, place + 1
        changed = f"{name}_after"
        self._rename_uses(name, changed)
        return name, changed, int(_LENGTH in self.graph.node[0].output)

    def _rename_uses(self, old: str, new: str) -> None:
        for node in self.graph.node:
            for position, name in enumerate(node.input):
                if name == old and not (node.op_type == "Shape" and name in self.inputs):
                    node.input[position] = new

    def _call(
        self, function: onnx.FunctionProto, taken: Sequence[str], given: str, place: int
    ) -> None:
        self.model.functions.append(function)
        if all(item.domain != DOMAIN for item in self.model.opset_import):
            self.model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
        node = helper.make_node(function.name, list(taken), [given], domain=DOMAIN)
        self.graph.node.insert(place, node)
