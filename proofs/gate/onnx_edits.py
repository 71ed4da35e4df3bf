"""The edits that make an ONNX artifact wrong, by the node's place in the graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper

from proofs.gate.insertions import Insertion
from proofs.gate.onnx_functions import onnx_function
from proofs.gate.onnx_graph import OnnxGraph
from trimaran.repository import target

__all__ = [
    "Edit",
    "attribute_set",
    "first_row",
    "frozen",
    "inserted",
    "passed_through",
    "replaced",
    "replaced_node",
    "retyped",
]

Edit = Callable[[OnnxGraph], None]


def replaced(index: int, position: int, value: np.ndarray) -> Edit:
    """Another constant for one input of one node."""
    return lambda graph: graph.replace_input(index, position, value)


def passed_through(index: int, position: int, function: str) -> Edit:
    """One input of one node through a function first."""
    return lambda graph: graph.before(index, position, onnx_function(function))


def replaced_node(index: int, function: str) -> Edit:
    """A function in a node's place."""
    return lambda graph: graph.replace_node(index, onnx_function(function))


def frozen(name: str, value: np.ndarray) -> Edit:
    """A constant in place of a computed value."""
    return lambda graph: graph.freeze(name, value)


def first_row(name: str) -> Edit:
    """Every row of an input as its first one."""
    return lambda graph: graph.after(name, onnx_function("the first row"), [])


def inserted(item: Insertion) -> Edit:
    """A function after a value."""

    def apply(graph: OnnxGraph) -> None:
        source = graph.inputs[0]
        length = [] if item.axis is None else [graph.length(source, item.axis)]
        graph.after(item.value, onnx_function(item.function), [*length, *item.arguments])

    return apply


def retyped(index: int, operator: str) -> Edit:
    """Another operator in a node's place, with the attributes that it knows."""

    def apply(graph: OnnxGraph) -> None:
        node = graph.graph.node[index]
        known = onnx.defs.get_schema(operator, target.ONNX_OPSET).attributes
        kept = [attribute for attribute in node.attribute if attribute.name in known]
        node.op_type = operator
        del node.attribute[:]
        node.attribute.extend(kept)

    return apply


def attribute_set(index: int, name: str, value: object) -> Edit:
    """Another value of an attribute."""

    def apply(graph: OnnxGraph) -> None:
        node = graph.graph.node[index]
        kept = [attribute for attribute in node.attribute if attribute.name != name]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute(name, value)])

    return apply
