"""The precisions, and a module that computes in one of them behind FP32 tensors.

Clients see the interface of the FP32 model whatever the precision, so that an ensemble can swap
one for the other. Only what lies between its inputs and outputs changes.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from exporters.formats.causes import one_sentence
from exporters.formats.exporter import ExportError
from exporters.spec import Interface, ModelSpec
from exporters.torch_state import quiet

__all__ = ["PRECISIONS", "InPrecision", "Precision", "model_name", "spec_in"]


@dataclass(frozen=True)
class Precision:
    """How numbers are stored inside a model.

    `torch_dtype` is what its weights are converted to, `None` where they are not. `tolerance` is
    what an element of an output may differ by from FP32: this share of itself, and this share of
    the output's root mean square.
    """

    name: str
    torch_dtype: torch.dtype | None
    tolerance: float


PRECISIONS = {
    item.name: item
    for item in (
        Precision("fp32", None, 0.0),
        Precision("fp16", torch.float16, 0.01),
        Precision("bf16", torch.bfloat16, 0.05),
        Precision("int8", None, 0.10),
    )
}
"""The precisions by name. The tolerances are about ten steps of the type at the numbers' own size
(2^-11 for FP16, 2^-8 for BF16, 2^-8 of the range for INT8): what rounding at every layer of a deep
network adds up to, and less than what a wrong layer shows."""


def model_name(name: str, format: str, precision: str) -> str:
    """What the repository calls a model: `churn_onnx`, and `churn_onnx_int8` below FP32."""
    return f"{name}_{format}" if precision == "fp32" else f"{name}_{format}_{precision}"


class InPrecision(nn.Module):
    """A module whose floating tensors are of one type inside, and of the given ones outside."""

    def __init__(
        self, inner: nn.Module, inside: torch.dtype, outside: Sequence[torch.dtype | None]
    ) -> None:
        super().__init__()
        self.inner = inner
        self.inside = inside
        self.outside = tuple(outside)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Inputs in order, outputs in order; integers and booleans pass unchanged."""
        cast = [x.to(self.inside) if x.is_floating_point() else x for x in inputs]
        return tuple(
            answer if dtype is None else answer.to(dtype)
            for answer, dtype in zip(self.inner(*cast), self.outside, strict=True)
        )


def spec_in(spec: ModelSpec, interface: Interface, precision: Precision) -> ModelSpec:
    """The description of the same model with a copy of its module in `precision`.

    The original module is not changed. Raises `ExportError` where PyTorch itself cannot run the
    copy.
    """
    if precision.torch_dtype is None:
        return spec
    inner = replace(spec, module=copy.deepcopy(spec.module).to(precision.torch_dtype)).positional()
    outside = [
        getattr(torch, str(output.dtype.torch)) if output.dtype.is_floating else None
        for output in interface.outputs
    ]
    module = InPrecision(inner, precision.torch_dtype, outside).eval()
    try:
        with quiet():
            module(*(tensor.clone() for tensor in spec.example_inputs.values()))
    except Exception as error:
        raise ExportError(
            f"model {spec.name} cannot run in {precision.name}: {one_sentence(error)}; make its "
            "forward follow the dtype of its inputs, or use int8"
        ) from error
    return replace(spec, module=module)
