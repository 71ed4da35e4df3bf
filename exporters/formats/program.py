"""The module as `torch.export` captures it: one graph for every length of the axes that vary."""

from __future__ import annotations

from typing import Any

import torch
from torch.export import Dim, ExportedProgram

from exporters.quiet import silent_torch
from exporters.spec import BATCH_AXIS, DynamicAxis, ModelSpec

__all__ = ["dynamic_shapes", "export_program"]


def export_program(spec: ModelSpec) -> ExportedProgram:
    """The exported program of `spec.positional()`. Raises what `torch.export` raises."""
    with silent_torch():
        return torch.export.export(
            spec.positional(),
            tuple(spec.example_inputs.values()),
            dynamic_shapes=dynamic_shapes(spec),
            strict=False,
        )


def dynamic_shapes(spec: ModelSpec) -> dict[str, tuple[dict[int, Any], ...]]:
    """The batch and every dynamic axis, as `torch.export` takes them for `PositionalModule`."""
    dims: dict[str, Any] = {BATCH_AXIS: Dim(BATCH_AXIS, min=1)}
    shapes = []
    for name in spec.example_inputs:
        shape = {0: dims[BATCH_AXIS]}
        for axis, item in spec.axes.get(name, {}).items():
            if item.name not in dims:
                dims[item.name] = _dim(item)
            shape[axis] = dims[item.name]
        shapes.append(shape)
    return {"inputs": tuple(shapes)}


def _dim(axis: DynamicAxis) -> Any:
    if axis.step == 1:
        return Dim(axis.name, min=axis.least, max=axis.most)
    steps = Dim(f"{axis.name}_steps", min=axis.least // axis.step, max=axis.most // axis.step)
    return axis.step * steps
