"""Operators that torch's exporter does not translate, or translates so that they differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import onnx_ir
import torch
from onnxscript import opset18
from onnxscript.function_libs.torch_lib.ops.nn import aten_scaled_dot_product_attention

__all__ = ["TRANSLATIONS"]


op: Any = opset18  # its types are ONNX's, not those of values in a graph


def _attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """`scaled_dot_product_attention`, `[batch, heads, queries, size]`, heads optional.

    A query that may look at no key, such as padding under a causal or a sliding mask, answers
    zeros in PyTorch; onnxscript masks with the least finite number, so that it would answer the
    mean of all values.
    """
    if len(query.shape) == 3 and not is_causal:
        answer = _attention_of_one_head(query, key, value, attn_mask, scale)
    else:
        answer = aten_scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa
        )
    if attn_mask is None or attn_mask.dtype != onnx_ir.DataType.BOOL:
        return answer
    last = op.Constant(value_ints=[-1])
    seen = op.ReduceMax(op.Cast(attn_mask, to=onnx_ir.DataType.INT32), last, keepdims=1)
    return op.Where(op.Cast(seen, to=onnx_ir.DataType.BOOL), answer, op.CastLike(0.0, answer))


def _attention_of_one_head(query: Any, key: Any, value: Any, mask: Any, scale: float | None) -> Any:
    """`[batch, queries, size]`, which onnxscript does not take."""
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    scaled = op.Mul(query, op.CastLike(factor, query))
    scores = op.MatMul(scaled, op.Transpose(key, perm=[0, 2, 1]))
    if mask is not None and mask.dtype == onnx_ir.DataType.BOOL:
        scores = op.Where(mask, scores, op.CastLike(float(query.dtype.min), query))
    elif mask is not None:
        scores = op.Add(scores, mask)
    return op.MatMul(op.Softmax(scores, axis=-1), value)


def _negative_view(value: Any) -> Any:
    """The lazily negated imaginary part of a conjugated tensor."""
    return op.Neg(value)


def _rnn(activation: str) -> Callable[..., Any]:
    """`rnn_tanh` and `rnn_relu`: `[steps, batch, features]`, or the batch first."""

    def translate(
        x: Any,
        hx: Any,
        params: Sequence[Any],
        has_biases: bool,
        num_layers: int,
        dropout: float,
        train: bool,
        bidirectional: bool,
        batch_first: bool,
    ) -> tuple[Any, Any]:
        directions = 2 if bidirectional else 1
        outputs = op.Transpose(x, perm=[1, 0, 2]) if batch_first else x
        states = []
        for layer in range(num_layers):
            sides = range(layer * directions, (layer + 1) * directions)
            size = 4 if has_biases else 2
            each = [params[side * size : (side + 1) * size] for side in sides]
            weights = [_stacked([side[i] for side in each]) for i in range(2)]
            biases = (
                [_stacked([op.Concat(*side[2:], axis=0) for side in each])] if has_biases else []
            )
            steps, state = op.RNN(
                outputs,
                *weights,
                *biases,
                initial_h=op.Slice(hx, [sides[0]], [sides[-1] + 1], [0]),
                activations=[activation] * directions,
                direction="bidirectional" if bidirectional else "forward",
                hidden_size=hx.shape[2],
            )
            # [steps, directions, batch, hidden] to [steps, batch, directions * hidden]
            outputs = op.Reshape(
                op.Transpose(steps, perm=[0, 2, 1, 3]), op.Constant(value_ints=[0, 0, -1])
            )
            states.append(state)
        return (
            op.Transpose(outputs, perm=[1, 0, 2]) if batch_first else outputs,
            op.Concat(*states, axis=0),
        )

    return translate


def _stacked(tensors: Sequence[Any]) -> Any:
    """The directions of a layer, along a new first axis."""
    return op.Concat(*(op.Unsqueeze(tensor, [0]) for tensor in tensors), axis=0)


TRANSLATIONS: Mapping[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.aten.scaled_dot_product_attention.default: _attention,
    torch.ops.aten._neg_view.default: _negative_view,
    torch.ops.aten.rnn_tanh.input: _rnn("Tanh"),
    torch.ops.aten.rnn_relu.input: _rnn("Relu"),
}
"""ATen operators to functions that write them in ONNX, for `torch.onnx.export`."""
