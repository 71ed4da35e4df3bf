"""Why a module cannot be exported, or an artifact not served, in one sentence with the remedy."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path

import onnx
from torch import nn
from torch.nn.utils import parametrize

from exporters.parity import ArtifactRuntimeError
from trimaran.repository.dtypes import TensorSpec

__all__ = [
    "explain",
    "nested_tensors",
    "one_sentence",
    "parametrised",
    "reduced_precision",
    "rounded",
    "unknown_operator",
]

_REDUCED: Mapping[int, str] = {
    onnx.TensorProto.BFLOAT16: "bfloat16",
    onnx.TensorProto.FLOAT16: "float16",
}

_VALUES = (
    "forward takes another branch depending on a tensor's values; write the choice with "
    "torch.where or torch.cond"
)
_FIXED = (
    "forward makes a constant of an axis that varies (the batch always does); compute with the "
    "tensor's own shape, x.shape[0] and not len(x), or leave another axis out of dynamic_axes"
)
_OPERATOR = (
    "ONNX has no operator for it; write forward with other operators, or use --format torchscript"
)
_PACKED = (
    "a sequence that pack_padded_sequence packed cannot be captured; mask what is padded instead, "
    "or use --format torchscript"
)
_RECURRENT_LAYERS = ("nn", "modules", "rnn.py")
_NUMPY = "forward leaves torch for NumPy, which is not captured; write it with tensor operations"


def one_sentence(error: BaseException) -> str:
    """The innermost reason of an exception, on one line and at most 300 characters."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = (" ".join(lines[:2]) if lines else "no reason given")[:300].rstrip(".")
    return text if isinstance(error, ArtifactRuntimeError) else f"{type(error).__name__}: {text}"


def nested_tensors(module: nn.Module) -> str:
    """For a module whose eager answers to padded rows differ from those of any export."""
    for name, item in module.named_modules():
        if isinstance(item, nn.TransformerEncoder) and item.use_nested_tensor:
            return (
                f"; {name or 'the module'} is an nn.TransformerEncoder, which computes padded rows "
                "on nested tensors in eager mode, which no export does: make it with "
                "enable_nested_tensor=False"
            )
    return ""


def rounded(output: TensorSpec, largest_error: float) -> str:
    """For integers that differ by one, as numbers rounded at a half may."""
    if output.dtype.is_floating or largest_error != 1:
        return ""
    return (
        "; integers that are rounded from fractions may differ by one: allow that by "
        f"tolerances={{{output.name!r}: (0, 1)}} in the ModelSpec"
    )


def parametrised(module: nn.Module) -> str:
    """For a module whose weights are computed again at every call."""
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
            "; ONNX Runtime lacks it for the CPU: compute in float32 in forward, or use "
            "--format torchscript"
        )
    return (
        f"; forward computes in {found}, by torch.autocast or by a cast, and ONNX Runtime "
        "has no such kernel for the CPU: take it out of forward (--precision lowers the precision "
        "of a model), or use --format torchscript"
    )


def unknown_operator(reason: str) -> str:
    """For TorchScript that names an operator which only the exporting process knows."""
    if "Unknown builtin op" not in reason:
        return ""
    return (
        "; a server has torch's own operators alone: write it with these, or use --format onnx if "
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


def explain(error: BaseException, module: nn.Module) -> str:
    """The reason of a failed capture of a module, with the remedy where it is known."""
    reason = one_sentence(error)
    cause = parametrised(module)
    if cause:
        return f"{reason}{cause}"
    advice = next((text for item in _chain(error) if (text := _advice(item))), "")
    return f"{advice} ({reason})" if advice else reason


def _advice(error: BaseException) -> str:
    # Torch takes seconds to import these, and only a failed capture needs them.
    from torch._dynamo.exc import UncapturedHigherOrderOpError, Unsupported, UserError
    from torch._dynamo.exc import UserErrorType as Kind
    from torch.fx.experimental.symbolic_shapes import (
        ConstraintViolationError,
        GuardOnDataDependentSymNode,
    )
    from torch.onnx._internal.exporter._errors import ConversionError, DispatchError

    if _is_of_packed(error):
        return _PACKED
    if ".numpy() is not supported" in str(error):
        return _NUMPY
    if "Guard failed on the same frame" in str(error):
        return _VALUES
    if isinstance(error, GuardOnDataDependentSymNode):
        return _VALUES
    if isinstance(error, ConstraintViolationError):
        return _FIXED
    if isinstance(error, UserError):
        advice = {Kind.DYNAMIC_CONTROL_FLOW: _VALUES, Kind.CONSTRAINT_VIOLATION: _FIXED}
        return advice.get(error.error_type, "")
    if isinstance(error, Unsupported | UncapturedHigherOrderOpError):
        return "forward calls Python that a graph cannot hold; keep to tensor operations"
    if isinstance(error, DispatchError):
        return _OPERATOR
    if isinstance(error, ConversionError) and error.__cause__ is None:
        return _OPERATOR
    return ""


def _is_of_packed(error: BaseException) -> bool:
    """Whether it comes from packing, or from a recurrent layer that was given a packed sequence."""
    frames = traceback.extract_tb(error.__traceback__)
    in_a_layer = any(Path(frame.filename).parts[-3:] == _RECURRENT_LAYERS for frame in frames)
    return any(frame.name == "pack_padded_sequence" for frame in frames) or (
        in_a_layer and isinstance(error, TypeError) and "FakeTensor" in str(error)
    )


def _chain(error: BaseException) -> list[BaseException]:
    """An exception and those that caused it."""
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found:
        found.append(current)
        current = current.__cause__ or current.__context__
    return found
