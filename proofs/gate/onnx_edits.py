"""The edits that make an ONNX artifact wrong, by the node's place in the graph."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import onnx
from onnx import helper, parser

from proofs.gate.insertions import Insertion
from proofs.gate.onnx_graph import DOMAIN, OnnxGraph
from trimaran.repository import target

__all__ = [
    "Edit",
    "attribute_set",
    "first_row",
    "frozen",
    "inserted",
    "onnx_function",
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


_WRONG = (
    "f = CastLike (c, x) k = CastLike (twentieth, x) p = Mul (f, k) q = Mul (p, x) y = Add (x, q)"
)
"""5 % more wherever the condition `c` holds."""

_BODIES: dict[str, tuple[str, str]] = {
    # Rows that influence one another, or all rows.
    "the batch's mean subtracted": ("x", "m = ReduceMean (x, zero) y = Sub (x, m)"),
    "1 % of the batch's mean subtracted": (
        "x",
        "m = ReduceMean (x, zero) k = CastLike (hundredth, x) p = Mul (k, m) y = Sub (x, p)",
    ),
    "1 % of the row before added": (
        "x",
        "l = Slice (x, last, most, zero) f = Slice (x, zero, last, zero) "
        "r = Concat <axis = 0> (l, f) k = CastLike (hundredth, x) p = Mul (k, r) y = Add (x, p)",
    ),
    "rounded to 8 bits of the batch's range": (
        "x",
        "o = Abs (x) t = ReduceMax <keepdims = 0> (o) e = CastLike (tiny, x) u = Max (t, e) "
        "k = CastLike (steps, x) s = Div (u, k) q = Div (x, s) r = Round (q) y = Mul (r, s)",
    ),
    "normalised over the batch": (
        "x",
        "m = ReduceMean (x, zero) d = Sub (x, m) v = Mul (d, d) w = ReduceMean (v, zero) "
        "k = CastLike (hundredth, x) u = Add (w, k) s = Sqrt (u) y = Div (d, s)",
    ),
    "the first row": ("x", "r = Slice (x, zero, one, zero) h = Shape (x) y = Expand (r, h)"),
    "1 % of the first row": (
        "x",
        "r = Slice (x, zero, one, zero) k = CastLike (hundredth, x) p = Mul (k, r) y = Add (x, p)",
    ),
    # What is random.
    "noise of 1 %": (
        "x, a",
        "r = RandomNormalLike <seed = 7.0> (x) p = Mul (r, a) y = Add (x, p)",
    ),
    "dropout of 10 %": (
        "x",
        "w = Constant <value = float {0.1}> () t = Constant <value = bool {1}> () "
        "y = Dropout <seed = 7> (x, w, t)",
    ),
    # Values that the example does not have.
    "clamped to the example's range": ("x, a, b", "y = Clip (x, a, b)"),
    "5 % more where the batch's mean is above the example's": (
        "x, a",
        f"m = ReduceMean <keepdims = 0> (x) c = Greater (m, a) {_WRONG}",
    ),
    "5 % more where the batch's sum has another sign than the example's": (
        "x, a",
        f"m = ReduceSum <keepdims = 0> (x) s = Mul (m, a) n = CastLike (zero, x) w = Squeeze (n) "
        f"c = Less (s, w) {_WRONG}",
    ),
    "5 % more in a row whose largest value is above the example's": (
        "x, a, axes",
        f"m = ReduceMax (x, axes) c = Greater (m, a) {_WRONG}",
    ),
    # Sizes: `n` is how long an axis is, int64 [1], and `a` a length.
    "odd": ("x, n, a", f"r = Mod (n, two) c = Equal (r, one) {_WRONG}"),
    "even": ("x, n, a", f"r = Mod (n, two) c = Equal (r, zero) {_WRONG}"),
    "a multiple of 4": ("x, n, a", f"r = Mod (n, four) c = Equal (r, zero) {_WRONG}"),
    "a multiple of 8": ("x, n, a", f"r = Mod (n, eight) c = Equal (r, zero) {_WRONG}"),
    "more than": ("x, n, a", f"c = Greater (n, a) {_WRONG}"),
    "less than": ("x, n, a", f"c = Less (n, a) {_WRONG}"),
    "exactly": ("x, n, a", f"c = Equal (n, a) {_WRONG}"),
    # Fewer bits.
    "float16": ("x", "h = Cast <to = 10> (x) y = CastLike (h, x)"),
    "bfloat16": ("x", "h = Cast <to = 16> (x) y = CastLike (h, x)"),
    # Activations, and GELU both ways.
    "relu": ("x", "y = Relu (x)"),
    "leaky relu": ("x", "y = LeakyRelu <alpha = 0.01> (x)"),
    "tanh": ("x", "y = Tanh (x)"),
    "sigmoid": ("x", "y = Sigmoid (x)"),
    "hard sigmoid": ("x", "y = HardSigmoid <alpha = 0.16666667> (x)"),
    "elu": ("x", "y = Elu (x)"),
    "softplus": ("x", "y = Softplus (x)"),
    "hardswish": ("x", "y = HardSwish (x)"),
    "silu": ("x", "s = Sigmoid (x) y = Mul (x, s)"),
    "mish": ("x", "s = Softplus (x) t = Tanh (s) y = Mul (x, t)"),
    "erf by tanh": (
        "x",
        "k = CastLike (slope, x) m = CastLike (cubic, x) o = Mul (x, x) p = Mul (o, x) "
        "q = Mul (p, m) r = Mul (x, k) s = Add (r, q) y = Tanh (s)",
    ),
    "erf by sigmoid": ("x", "k = CastLike (logistic, x) s = Mul (x, k) y = Tanh (s)"),
    "tanh by erf": ("x", "k = CastLike (gauss, x) s = Mul (x, k) y = Erf (s)"),
}

_CONSTANTS = {
    "zero": "int64[1] {0}",
    "one": "int64[1] {1}",
    "two": "int64[1] {2}",
    "four": "int64[1] {4}",
    "eight": "int64[1] {8}",
    "last": "int64[1] {-1}",
    "most": "int64[1] {9223372036854775807}",
    "tiny": "float {1e-30}",
    "steps": "float {127.0}",
    "hundredth": "float {0.01}",
    "twentieth": "float {0.05}",
    # erf(z) = tanh(sqrt(2 / pi) * (t + 0.044715 t^3)) nearly, where t = sqrt(2) z.
    "slope": "float {1.1283792}",
    "cubic": "float {0.1009109}",
    # The logistic GELU, x * sigmoid(1.702 x): erf(z) = tanh(1.702 / sqrt(2) * z) nearly.
    "logistic": "float {1.2034958}",
    "gauss": "float {0.8862269}",
}


@cache
def onnx_function(name: str) -> onnx.FunctionProto:
    """A function that gives `y` for `x` and its further parameters, for opset 18."""
    parameters, body = _BODIES[name]
    used = set(body.replace("(", " ").replace(")", " ").replace(",", " ").split())
    constants = "\n".join(
        f"{word} = Constant <value = {value}> ()"
        for word, value in _CONSTANTS.items()
        if word in used
    )
    label = "".join(letter if letter.isalnum() else "_" for letter in name)
    return parser.parse_function(
        f'<domain: "{DOMAIN}", opset_import: ["": 18]> f_{label} ({parameters}) => (y) '
        f"{{ {constants} {body} }}"
    )
