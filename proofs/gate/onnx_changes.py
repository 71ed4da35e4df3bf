"""Every change that can be made to an ONNX artifact."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx

from proofs.gate.insertions import Sizes, insertions
from proofs.gate.kinds import Change, changed_indices, changed_weights
from proofs.gate.observation import Observation
from proofs.gate.onnx_edits import (
    attribute_set,
    first_row,
    frozen,
    inserted,
    passed_through,
    replaced,
    replaced_node,
    retyped,
)
from proofs.gate.onnx_graph import OnnxGraph

__all__ = ["onnx_changes"]

OnnxChange = Change[OnnxGraph]

_BIAS = {"Gemm": 2, "Conv": 2, "ConvTranspose": 2, "BatchNormalization": 2, "LSTM": 3, "GRU": 3,
         "LayerNormalization": 2, "InstanceNormalization": 2, "GroupNormalization": 2}  # fmt: skip
_LAYERS = {"Gemm", "MatMul", "Conv", "ConvTranspose", "LSTM", "GRU"}
_ACTIVATIONS = {
    "Relu": ("leaky relu", "silu", "elu"),
    "LeakyRelu": ("relu", "elu"),
    "Elu": ("relu", "silu"),
    "Tanh": ("sigmoid", "hard sigmoid"),
    "Sigmoid": ("hard sigmoid", "tanh"),
    "HardSigmoid": ("sigmoid",),
    "HardSwish": ("silu", "relu"),
    "Softplus": ("relu", "silu"),
    "Swish": ("relu", "mish"),
    "Gelu": ("relu", "silu"),
    "Mish": ("silu", "softplus"),
}
_APPROXIMATIONS = {"Erf": ("erf by tanh", "erf by sigmoid"), "Tanh": ("tanh by erf",)}
_OPERATORS = {"Add": "Sub", "Sub": "Add", "Mul": "Div", "Div": "Mul", "Max": "Min", "Min": "Max",
              "Sqrt": "Abs", "Exp": "Softplus", "Greater": "GreaterOrEqual",
              "GreaterOrEqual": "Greater", "Less": "LessOrEqual",
              "LessOrEqual": "Less"}  # fmt: skip
_POOLS = {"GlobalAveragePool": ("GlobalMaxPool",), "GlobalMaxPool": ("GlobalAveragePool",),
          "MaxPool": ("AveragePool",), "AveragePool": ("MaxPool",),
          "ReduceMean": ("ReduceSum", "ReduceMax"), "ReduceSum": ("ReduceMean",),
          "ReduceMax": ("ReduceMean", "ReduceMin"), "ReduceL2": ("ReduceL1",)}  # fmt: skip
_REDUCTIONS = {"ReduceMean", "ReduceSum", "ReduceMax", "ReduceL2"}
_FLIPS = {
    "coordinate_transformation_mode": {
        "half_pixel": "align_corners",
        "pytorch_half_pixel": "align_corners",
        "asymmetric": "half_pixel",
    },
    "mode": {"linear": "nearest", "nearest": "linear"},
    "nearest_mode": {"floor": "ceil"},
}


def onnx_changes(
    graph: OnnxGraph, seen: Observation, sizes: Sizes, rng: np.random.Generator
) -> Iterator[OnnxChange]:
    """The changes that apply to this graph, whatever comes of them."""
    for index, node in enumerate(graph.graph.node):
        yield from _weights(graph, index, node, rng)
        yield from _operators(index, node)
        yield from _numbers(graph, index, node)
        yield from _axes(graph, index, node, seen)
        yield from _attributes(index, node)
    for name in seen.sizes():
        value = seen.example[name]
        what = f"{name} is always {value.tolist()}"
        yield Change("a size baked in", what, frozen(name, value))
    for name in graph.inputs:
        if len(graph.inputs) > 1 or seen.example[name].dtype.kind == "i":
            yield Change("an input taken as constant", f"{name}: its first row", first_row(name))
    for item in insertions(seen, sizes, rng):
        yield Change(item.kind, item.what, inserted(item))


def _weights(
    graph: OnnxGraph, index: int, node: onnx.NodeProto, rng: np.random.Generator
) -> Iterator[OnnxChange]:
    for position in range(len(node.input)):
        weight = graph.constant(index, position)
        if weight is None or node.op_type in ("Reshape", "Expand", "Resize"):
            continue
        is_bias = _BIAS.get(node.op_type) == position or (
            node.op_type == "Add" and weight.squeeze().ndim == 1
        )
        for kind, words, value in changed_weights(weight, is_bias, rng):
            what = f"{_named(node)}, {node.input[position]}: {words}"
            yield Change(kind, what, replaced(index, position, value))
    if node.op_type in _LAYERS:
        for bits in ("float16", "bfloat16"):
            yield Change(
                "half precision in one layer",
                f"{_named(node)}: its input passes through {bits}",
                passed_through(index, 0, bits),
            )


def _operators(index: int, node: onnx.NodeProto) -> Iterator[OnnxChange]:
    for other in _ACTIVATIONS.get(node.op_type, ()):
        yield Change(
            "an activation for its neighbour",
            f"{_named(node)} becomes {other}",
            replaced_node(index, other),
        )
    for other in _APPROXIMATIONS.get(node.op_type, ()):
        what = f"{_named(node)}: {other}"
        yield Change("an activation's approximation", what, replaced_node(index, other))
    if node.op_type in _OPERATORS:
        other = _OPERATORS[node.op_type]
        what = f"{_named(node)} becomes {other}"
        yield Change("an operator for its neighbour", what, retyped(index, other))
    for other in _POOLS.get(node.op_type, ()):
        what = f"{_named(node)} becomes {other}"
        yield Change("a pooling or reduction for its neighbour", what, retyped(index, other))


def _numbers(graph: OnnxGraph, index: int, node: onnx.NodeProto) -> Iterator[OnnxChange]:
    for attribute in node.attribute:
        if attribute.name == "epsilon":
            what = f"{_named(node)}: {attribute.f:.0e} becomes {attribute.f * 100:.0e}"
            yield Change(
                "eps of a norm by 100", what, attribute_set(index, "epsilon", attribute.f * 100)
            )
        if attribute.name == "alpha" and attribute.type == onnx.AttributeProto.FLOAT:
            what = f"{_named(node)}: alpha times 1.01"
            yield Change("a factor by 1 %", what, attribute_set(index, "alpha", attribute.f * 1.01))
    for position in range(len(node.input)):
        value = graph.constant(index, position)
        if value is None or value.dtype.kind != "f" or value.size != 1:
            continue
        factor, small = value.reshape(-1)[0], 0 < value.reshape(-1)[0] < 2e-3
        words = f"{_named(node)}: {factor:g}"
        if node.op_type == "Add" and small:
            more = (value * 100).astype(value.dtype)
            yield Change("eps of a norm by 100", words, replaced(index, position, more))
        elif np.isfinite(factor) and factor and abs(factor) < 1e6:
            more = (value * 1.01).astype(value.dtype)
            yield Change("a factor by 1 %", f"{words} by 1.01", replaced(index, position, more))


def _axes(
    graph: OnnxGraph, index: int, node: onnx.NodeProto, seen: Observation
) -> Iterator[OnnxChange]:
    rank = len(seen.shape(node.input[0])) if node.input else 0
    for attribute in node.attribute:
        if attribute.name == "axis" and node.op_type not in ("LayerNormalization",):
            for other in {a % rank for a in (attribute.i + 1, attribute.i - 1)} if rank else ():
                if other != attribute.i % rank:
                    what = f"{_named(node)}: axis {attribute.i} becomes {other}"
                    yield Change("another axis", what, attribute_set(index, "axis", other))
        if attribute.name == "perm" and len(attribute.ints) > 2:
            perm = [*attribute.ints[:-2], attribute.ints[-1], attribute.ints[-2]]
            what = f"{_named(node)}: {list(attribute.ints)} becomes {perm}"
            yield Change("another axis", what, attribute_set(index, "perm", perm))
        if attribute.name == "pads" and any(attribute.ints):
            half = len(attribute.ints) // 2
            shifted = [p + 1 for p in attribute.ints[:half]] + [
                p - 1 for p in attribute.ints[half:]
            ]
            if min(shifted) >= 0:
                what = f"{_named(node)}: pads {list(attribute.ints)} becomes {shifted}"
                yield Change(
                    "a slice or index off by one", what, attribute_set(index, "pads", shifted)
                )
    positions = {"Slice": (1, 2), "Gather": (1,), "Range": (0, 1), "Trilu": (1,)}
    for position in positions.get(node.op_type, ()):
        value = graph.constant(index, position)
        if value is None:
            continue
        for moved in changed_indices(value):
            what = f"{_named(node)}: {value.tolist()} becomes {moved.tolist()}"
            change = replaced(index, position, moved)
            yield Change("a slice or index off by one", what, change)
    if node.op_type in _REDUCTIONS and rank > 1:
        axes = graph.constant(index, 1)
        if axes is not None and axes.size == 1:
            other = (int(axes.reshape(-1)[0]) - 1) % rank
            what = f"{_named(node)}: axes {axes.tolist()} becomes [{other}]"
            change = replaced(index, 1, np.array([other]))
            yield Change("another axis", what, change)


def _attributes(index: int, node: onnx.NodeProto) -> Iterator[OnnxChange]:
    for attribute in node.attribute:
        was = attribute.s.decode() if attribute.HasField("s") else ""
        if was in _FLIPS.get(attribute.name, {}):
            becomes = _FLIPS[attribute.name][was]
            what = f"{_named(node)}: {attribute.name} {was} becomes {becomes}"
            yield Change(
                "an attribute flipped", what, attribute_set(index, attribute.name, becomes)
            )
    if node.op_type == "AveragePool":
        what = f"{_named(node)}: count_include_pad flipped"
        included = any(a.name == "count_include_pad" and a.i for a in node.attribute)
        flipped = attribute_set(index, "count_include_pad", int(not included))
        yield Change("an attribute flipped", what, flipped)
    if node.op_type in ("LSTM", "GRU"):
        yield Change(
            "an attribute flipped",
            f"{_named(node)}: the direction reversed",
            attribute_set(index, "direction", "reverse"),
        )
        if node.op_type == "GRU":
            reset = attribute_set(index, "linear_before_reset", 0)
            yield Change("an attribute flipped", f"{_named(node)}: linear_before_reset 0", reset)


def _named(node: onnx.NodeProto) -> str:
    return f"{node.op_type} {node.output[0]}"
