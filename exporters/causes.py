"""Causes of refusals that a module or an artifact shows, each with the way round."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import onnx
from torch import nn
from torch.nn.utils import parametrize

from trimaran.repository.dtypes import TensorSpec

__all__ = ["nested_tensors", "parametrised", "reduced_precision", "rounded", "unknown_operator"]

_REDUCED: Mapping[int, str] = {
    onnx.TensorProto.BFLOAT16: "bfloat16",
    onnx.TensorProto.FLOAT16: "float16",
}


def nested_tensors(module: nn.Module) -> str:
    """For a module that answers otherwise with padding in eager mode than in any export."""
    for name, item in module.named_modules():
        if isinstance(item, nn.TransformerEncoder) and item.use_nested_tensor:
            return (
                f"; {name or 'the module'} is an nn.TransformerEncoder, which computes padded rows "
                "on nested tensors in eager mode and as no export does: make it with "
                "enable_nested_tensor=False"
            )
    return ""


def rounded(output: TensorSpec, largest_error: float) -> str:
    """For whole numbers that are one apart, as those are that were rounded at a half."""
    if output.dtype.is_floating or largest_error != 1:
        return ""
    return (
        "; whole numbers that are rounded from fractions may come out one apart: allow that by "
        f"tolerances={{{output.name!r}: (0, 1)}} in the ModelSpec"
    )


def parametrised(module: nn.Module) -> str:
    """For a module whose weights are computed anew at every call."""
    for name, item in module.named_modules():
        if parametrize.is_parametrized(item):
            weight = next(iter(item.parametrizations))
            place = f"module.{name}" if name else "module"
            return (
                f"; the weight {weight!r} of {name or 'the module'} is parametrised, and computed "
                "by operators that the format may lack: make it plain with torch.nn.utils."
                f"parametrize.remove_parametrizations({place}, {weight!r})"
            )
    return ""


def reduced_precision(path: Path) -> str:
    """For an ONNX file that ONNX Runtime cannot load: whether it computes in fewer bits."""
    model = onnx.load(path, load_external_data=False)
    found = next((_REDUCED[kind] for kind in _element_types(model.graph) if kind in _REDUCED), "")
    if not found:
        return (
            "; ONNX Runtime lacks it for the CPU: compute in float32 in forward, or take --format "
            "torchscript"
        )
    return (
        f"; forward computes in {found}, by torch.autocast or a cast of its own, and ONNX Runtime "
        "has no such kernel for the CPU: take it out of forward (--precision makes fewer bits of a "
        "whole model), or take --format torchscript"
    )


def unknown_operator(reason: str) -> str:
    """For TorchScript that names an operator which only the exporting process knows."""
    if "Unknown builtin op" not in reason:
        return ""
    return (
        "; a server has torch's own operators alone: write it with these, or take --format onnx if "
        "ONNX has a translation of it"
    )


def _element_types(graph: onnx.GraphProto) -> Iterator[int]:
    yield from (tensor.data_type for tensor in graph.initializer)
    yield from (value.type.tensor_type.elem_type for value in graph.value_info)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name == "to":
                yield attribute.i
            yield from _element_types(attribute.g)
