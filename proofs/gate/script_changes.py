"""Every change that can be made to a TorchScript artifact."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from proofs.gate.insertions import Insertion, Sizes, insertions
from proofs.gate.kinds import Change, changed_indices, changed_weights
from proofs.gate.observation import Observation
from proofs.gate.script_graph import ScriptGraph, value_name

__all__ = ["script_changes"]

ScriptChange = Change[ScriptGraph]
Edit = Callable[[ScriptGraph], None]

_BIAS = {"aten::linear": 2, "aten::_convolution": 2, "aten::batch_norm": 2, "aten::layer_norm": 3,
         "aten::group_norm": 3, "aten::instance_norm": 2}  # fmt: skip
_LAYERS = {"aten::linear", "aten::_convolution", "aten::matmul", "aten::bmm", "aten::einsum",
           "aten::lstm", "aten::gru", "aten::scaled_dot_product_attention"}  # fmt: skip
_EPS = {"aten::batch_norm": 7, "aten::layer_norm": 4, "aten::group_norm": 4,
        "aten::instance_norm": 7, "aten::rms_norm": 3}  # fmt: skip
_ACTIVATIONS = {
    "aten::relu": ("leaky relu", "silu", "gelu"),
    "aten::relu_": ("leaky relu", "silu"),
    "aten::leaky_relu": ("relu", "elu"),
    "aten::elu": ("relu", "silu"),
    "aten::gelu": ("relu", "silu", "tanh"),
    "aten::silu": ("relu", "mish", "gelu"),
    "aten::mish": ("silu", "softplus"),
    "aten::softplus": ("relu", "silu"),
    "aten::tanh": ("sigmoid", "hard sigmoid"),
    "aten::sigmoid": ("hard sigmoid", "tanh"),
    "aten::hardswish": ("silu", "relu"),
    "aten::hardtanh": ("relu", "tanh"),
}
_OPERATORS = {"aten::add": "aten::sub", "aten::sub": "aten::add", "aten::mul": "aten::div",
              "aten::div": "aten::mul", "aten::gt": "aten::ge", "aten::sqrt": "aten::abs",
              "aten::exp": "aten::softplus", "aten::rsqrt": "aten::sqrt",
              "aten::square": "aten::abs"}  # fmt: skip
_AXES = {"aten::softmax": 1, "aten::log_softmax": 1, "aten::cat": 1, "aten::stack": 1,
         "aten::chunk": 2, "aten::transpose": 2}  # fmt: skip
_AXIS_LISTS = {"aten::mean": 1, "aten::sum": 1, "aten::amax": 1, "aten::flip": 1}
_INDICES = {"aten::slice": (2, 3), "aten::select": (2,), "aten::tril": (1,), "aten::triu": (1,)}
_FLAGS = {"aten::avg_pool2d": ((4, "ceil_mode"), (5, "count_include_pad")),
          "aten::max_pool2d": ((5, "ceil_mode"),), "aten::upsample_bilinear2d": ((2, "corners"),),
          "aten::scaled_dot_product_attention": ((5, "is_causal"),)}  # fmt: skip


def script_changes(
    graph: ScriptGraph, seen: Observation, sizes: Sizes, rng: np.random.Generator
) -> Iterator[ScriptChange]:
    """The changes that apply to this graph, whatever comes of them."""
    for index, node in enumerate(graph.nodes):
        if node.kind() in ("prim::Constant", "prim::ListConstruct", "prim::TupleConstruct"):
            continue
        if not _gives_tensors(node):
            continue
        constants = [value.toIValue() for value in node.inputs()]
        name = value_name(node.kind(), index)
        yield from _weights(index, name, node, constants, rng)
        yield from _operators(index, name, node, constants)
        yield from _numbers(index, name, node, constants)
        yield from _axes(index, name, node, constants, len(seen.shape(name)) or 1)
    unsafe = any(node.kind() in _UNCHECKED for node in graph.nodes)
    for size in seen.sizes() if not unsafe else ():
        value = seen.example[size]
        frozen = (
            int(value) if graph.values[size].type().kind() == "IntType" else torch.tensor(value)
        )
        what = f"{size} is always {value.tolist()}"
        yield Change("a size baked in", what, _freeze(size, frozen))
    for taken in (f"input {i}" for i in range(len(graph.inputs))):
        if len(graph.inputs) > 1 or seen.example[taken].dtype.kind == "i":
            yield Change("an input taken as constant", f"{taken}: its first row", _first_row(taken))
    for item in insertions(seen, sizes, rng):
        yield Change(item.kind, item.what, _insert(item))


def _weights(
    index: int, name: str, node: Any, constants: list[Any], rng: np.random.Generator
) -> Iterator[ScriptChange]:
    for position, constant in enumerate(constants):
        several = constant if isinstance(constant, list) else [constant]
        for place, weight in enumerate(several):
            if not isinstance(weight, torch.Tensor):
                continue
            is_bias = _BIAS.get(node.kind()) == position or (
                isinstance(constant, list) and weight.ndim == 1
            )
            for kind, words, value in changed_weights(weight.numpy(), is_bias, rng):
                other: Any = torch.from_numpy(value)
                if isinstance(constant, list):
                    other = [*several[:place], other, *several[place + 1 :]]
                what = f"{name}, input {position}.{place}: {words}"
                yield Change(kind, what, _replace(index, position, other))
    if node.kind() in _LAYERS and next(node.inputs()).type().kind() == "TensorType":
        for bits in ("float16", "bfloat16"):
            yield Change(
                "half precision in one layer",
                f"{name}: its input passes through {bits}",
                _before(index, 0, bits),
            )


def _operators(index: int, name: str, node: Any, constants: list[Any]) -> Iterator[ScriptChange]:
    kind = node.kind()
    for other in _ACTIVATIONS.get(kind, ()):
        what = f"{name} becomes {other}"
        yield Change("an activation for its neighbour", what, _function(index, other))
    if kind == "aten::gelu":
        other = "gelu" if constants[1] == "tanh" else "gelu by tanh"
        what = f"{name}: approximate {constants[1]} becomes {other}"
        yield Change("an activation's approximation", what, _function(index, other))
    if kind in _OPERATORS:
        what = f"{name} becomes {_OPERATORS[kind]}"
        inputs = [0, 1] if kind in ("aten::mul", "aten::div", "aten::gt") else None
        edit = _operator(index, _OPERATORS[kind], inputs or range(len(constants)))
        if kind == "aten::exp":
            edit = _function(index, "softplus")
        yield Change("an operator for its neighbour", what, edit)
    pools: dict[str, tuple[tuple[str, Edit], ...]] = {
        "aten::max_pool2d": (
            ("avg_pool2d", _operator(index, "aten::avg_pool2d", (0, 1, 2, 3, 5), (True, None))),
        ),
        "aten::avg_pool2d": (
            ("max_pool2d", _operator(index, "aten::max_pool2d", (0, 1, 2, 3), ([1, 1], False))),
        ),
        "aten::adaptive_avg_pool2d": (
            ("adaptive_max_pool2d", _operator(index, "aten::adaptive_max_pool2d", (0, 1), (), 2)),
        ),
        "aten::mean": (
            ("sum", _operator(index, "aten::sum", (0, 1, 2, 3))),
            ("amax", _operator(index, "aten::amax", (0, 1, 2))),
        ),
        "aten::sum": (("mean", _operator(index, "aten::mean", (0, 1, 2, 3))),),
        "aten::amax": (
            ("mean", _operator(index, "aten::mean", (0, 1, 2), (None,))),
            ("amin", _operator(index, "aten::amin", (0, 1, 2))),
        ),
    }
    for words, edit in pools.get(kind, ()):
        what = f"{name} becomes {words}"
        yield Change("a pooling or reduction for its neighbour", what, edit)


def _numbers(index: int, name: str, node: Any, constants: list[Any]) -> Iterator[ScriptChange]:
    for position, value in enumerate(constants):
        if isinstance(value, torch.Tensor) and value.ndim == 0 and value.is_floating_point():
            number = float(value)
        elif isinstance(value, float):
            number = value
        else:
            continue
        is_eps = _EPS.get(node.kind()) == position or (
            node.kind() == "aten::add" and 0 < number < 2e-3
        )
        kind, by = ("eps of a norm by 100", 100) if is_eps else ("a factor by 1 %", 1.01)
        if number and abs(number) < 1e6:
            what = f"{name}, input {position}: {number:g} times {by:g}"
            yield Change(kind, what, _replace(index, position, value * by))
    for position, words in _FLAGS.get(node.kind(), ()):
        if isinstance(constants[position], bool):
            what = f"{name}: {words} flipped"
            edit = _replace(index, position, not constants[position])
            yield Change("an attribute flipped", what, edit)


def _axes(
    index: int, name: str, node: Any, constants: list[Any], rank: int
) -> Iterator[ScriptChange]:
    kind = node.kind()
    if kind in _AXES and isinstance(constants[_AXES[kind]], int):
        axis = constants[_AXES[kind]]
        for other in sorted({(axis + 1) % rank, (axis - 1) % rank} - {axis % rank}):
            what = f"{name}: axis {axis} becomes {other}"
            yield Change("another axis", what, _replace(index, _AXES[kind], other))
    if kind in _AXIS_LISTS and isinstance(constants[_AXIS_LISTS[kind]], list):
        axes = constants[_AXIS_LISTS[kind]]
        if len(axes) == 1:
            for other in (axes[0] + 1, axes[0] - 1):
                what = f"{name}: axes {axes} becomes [{other}]"
                yield Change("another axis", what, _replace(index, _AXIS_LISTS[kind], [other]))
    if kind == "aten::permute" and isinstance(constants[1], list):
        swapped = [*constants[1][:-2], constants[1][-1], constants[1][-2]]
        what = f"{name}: {constants[1]} becomes {swapped}"
        yield Change("another axis", what, _replace(index, 1, swapped))
    for position in _INDICES.get(kind, ()):
        value = constants[position]
        if isinstance(value, int):
            for moved in changed_indices(np.array(value)):
                what = f"{name}, input {position}: {value} becomes {int(moved)}"
                edit = _replace(index, position, int(moved))
                yield Change("a slice or index off by one", what, edit)
            if value == _END:
                what = f"{name}, input {position}: ends one early"
                edit = _replace(index, position, -1)
                yield Change("a slice or index off by one", what, edit)


_UNCHECKED = {"aten::lstm", "aten::gru"}
"""Layers that read beyond a state of too few rows, and end the process."""
_END = 2**63 - 1


def _gives_tensors(node: Any) -> bool:
    return any(value.type().kind() in ("TensorType", "ListType") for value in node.outputs())


def _replace(index: int, position: int, value: Any) -> Edit:
    return lambda graph: graph.replace_input(index, position, value)


def _before(index: int, position: int, function: str) -> Edit:
    return lambda graph: graph.before(index, position, function)


def _function(index: int, function: str) -> Edit:
    return lambda graph: graph.replace_node(index, function)


def _operator(
    index: int, kind: str, inputs: Any, more: tuple[Any, ...] = (), outputs: int = 1
) -> Edit:
    return lambda graph: graph.replace_operator(index, kind, inputs, more, outputs)


def _freeze(name: str, value: Any) -> Edit:
    return lambda graph: graph.freeze(name, value)


def _first_row(name: str) -> Edit:
    return lambda graph: graph.after(name, "the first row", None, ())


def _insert(item: Insertion) -> Edit:
    numbers = [float(argument.reshape(-1)[0]) for argument in item.arguments]
    return lambda graph: graph.after(item.value, item.function, item.axis, numbers)
