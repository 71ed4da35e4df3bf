"""Why torch cannot capture a module, in one sentence, and the way round."""

from __future__ import annotations

import traceback

from torch import nn
from torch._dynamo.exc import UncapturedHigherOrderOpError, Unsupported, UserError, UserErrorType
from torch.fx.experimental.symbolic_shapes import (
    ConstraintViolationError,
    GuardOnDataDependentSymNode,
)
from torch.onnx._internal.exporter._errors import ConversionError, DispatchError

from exporters.causes import parametrised
from exporters.formats.exporter import one_sentence

__all__ = ["explain"]

_VALUES = (
    "forward goes another way depending on a tensor's values; write the choice with torch.where or "
    "torch.cond"
)
_FIXED = (
    "forward makes a constant of an axis that varies (the batch always does); compute with the "
    "tensor's own shape, x.shape[0] and not len(x), or leave another axis out of dynamic_axes"
)
_OPERATOR = (
    "ONNX has no operator for it; write forward with other operators, or take --format torchscript"
)
_PACKED = (
    "ONNX has no form of pack_padded_sequence; mask what is padded instead, or take --format "
    "torchscript"
)


def explain(error: BaseException, module: nn.Module) -> str:
    """The reason of a failed capture of a module, with the way round where it is known."""
    reason = one_sentence(error)
    cause = parametrised(module)
    if cause:
        return f"{reason}{cause}"
    advice = next((text for item in _chain(error) if (text := _advice(item))), "")
    return f"{advice} ({reason})" if advice else reason


def _advice(error: BaseException) -> str:
    if "pack_padded_sequence" in "".join(traceback.format_tb(error.__traceback__)):
        return _PACKED
    if "Guard failed on the same frame" in str(error):
        return _VALUES
    if isinstance(error, GuardOnDataDependentSymNode):
        return _VALUES
    if isinstance(error, ConstraintViolationError):
        return _FIXED
    if isinstance(error, UserError):
        return _USER.get(error.error_type, "")
    if isinstance(error, Unsupported | UncapturedHigherOrderOpError):
        return "forward calls Python that a graph cannot hold; keep to tensor operations"
    if isinstance(error, DispatchError):
        return _OPERATOR
    if isinstance(error, ConversionError) and error.__cause__ is None:
        return _OPERATOR
    return ""


_USER = {
    UserErrorType.DYNAMIC_CONTROL_FLOW: _VALUES,
    UserErrorType.CONSTRAINT_VIOLATION: _FIXED,
}


def _chain(error: BaseException) -> list[BaseException]:
    """An exception and those that caused it."""
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found:
        found.append(current)
        current = current.__cause__ or current.__context__
    return found
