"""What else may be chosen for an export beside its format."""

from __future__ import annotations

from dataclasses import dataclass

from exporters.parity import Arrays
from exporters.precision.agreement import REQUIRED

__all__ = ["Options"]


@dataclass(frozen=True)
class Options:
    """How an artifact is made and judged.

    `precision` is a name of `PRECISIONS`; `int8` the method of quantisation, `static` or `dynamic`;
    `calibration` rows for it by input name, `None` for the model's own samples. `required` is the
    share of decisions that must be those of FP32. `accelerator` is asked for in the configuration.
    """

    precision: str = "fp32"
    int8: str = "static"
    calibration: Arrays | None = None
    required: float = REQUIRED
    accelerator: str | None = None
