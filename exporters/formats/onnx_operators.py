"""Operators that torch's exporter does not translate, or translates so that they differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


TRANSLATIONS: Mapping[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.aten.scaled_dot_product_attention.default: _attention,
    torch.ops.aten._neg_view.default: _negative_view,
}
"""ATen operators to functions that write them in ONNX, for `torch.onnx.export`."""
