"""Functions in place of model files, to be tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from exporters.artifacts.artifact import Artifact, Axis, FileTensor
from exporters.parity import Run
from trimaran.repository.dtypes import by_triton

Arrays = Mapping[str, np.ndarray]


def tensor(name: str, *axes: Axis, dtype: str = "FP32") -> FileTensor:
    return FileTensor(name, by_triton(dtype), axes)


def artifact(
    run: Run, inputs: Sequence[FileTensor] | FileTensor, y: FileTensor, **names: Sequence[str]
) -> Artifact:
    given = [inputs] if isinstance(inputs, FileTensor) else inputs
    return Artifact("onnx", "onnxruntime", "model.onnx", (), given, [y], run, {}, {}, {}, **names)
