"""An existing TensorRT plan, which only the TensorRT and the GPU that built it can read."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import Any

from exporters.artifacts.artifact import Artifact, FileTensor, reason
from trimaran.repository import dtypes
from trimaran.repository.dtypes import TensorSpec
from trimaran.system.errors import ArtifactError, TrimaranError
from trimaran.system.files import sha256_of

__all__ = ["FILE_NAME", "take"]

FILE_NAME = "model.plan"

_TYPES = {
    "FLOAT": "FP32",
    "HALF": "FP16",
    "INT64": "INT64",
    "INT32": "INT32",
    "INT8": "INT8",
    "UINT8": "UINT8",
    "BOOL": "BOOL",
}
"""`tensorrt.DataType` by name, for tensors at a plan's edge that can be tried here."""


def take(source: Path, staged: Path) -> Artifact:
    """Copy a plan into the directory `staged` as `model.plan`, and open it there.

    Raises `ArtifactError` where the package `tensorrt`, its GPU, or the plan's own version is not
    the one at hand.
    """
    try:
        tensorrt: Any = importlib.import_module("tensorrt")
    except ImportError as error:
        raise ArtifactError(
            f"{source}: is a TensorRT plan, which only the package 'tensorrt' can read, on a "
            "machine with the GPU it was built for; install it there and add the plan again, or "
            "add the ONNX file it was made from"
        ) from error
    path = staged / FILE_NAME
    shutil.copyfile(source, path)
    engine = _opened(tensorrt, path, source)
    tensors: dict[str, list[FileTensor]] = {"input": [], "output": []}
    for name in map(engine.get_tensor_name, range(engine.num_io_tensors)):
        tensors[engine.get_tensor_mode(name).name.lower()].append(_tensor(engine, name, source))
    return _artifact(path, source, tensors["input"], tensors["output"])


def _artifact(
    path: Path, source: Path, inputs: list[FileTensor], outputs: list[FileTensor]
) -> Artifact:
    """Run as the exporter runs the plans that it builds."""
    from exporters.formats.tensorrt import TensorRtExporter
    from exporters.spec import Interface

    exporter = TensorRtExporter()
    interface = Interface(tuple(map(_spec, inputs)), tuple(map(_spec, outputs)))
    try:
        return Artifact(
            format="tensorrt",
            backend=exporter.backend,
            file_name=FILE_NAME,
            libraries=tuple(exporter.libraries),
            inputs=inputs,
            outputs=outputs,
            run=exporter.load(path, interface),
            target=exporter.target(path),
            source={"file": str(source.resolve()), "sha256": sha256_of(path)},
            served_names={},
        )
    except TrimaranError as error:
        raise ArtifactError(f"{source}: {error}") from error


def _opened(tensorrt: Any, path: Path, source: Path) -> Any:
    try:
        runtime = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.ERROR))
        engine = runtime.deserialize_cuda_engine(path.read_bytes())
    except Exception as error:
        raise ArtifactError(
            f"{source}: cannot be opened by TensorRT {tensorrt.__version__}: {reason(error)}; add "
            "it on the machine that built it"
        ) from error
    if engine is None:
        raise ArtifactError(
            f"{source}: TensorRT {tensorrt.__version__} on this GPU cannot open it; build the plan "
            "again with this version, for this GPU"
        )
    return engine


def _tensor(engine: Any, name: str, source: Path) -> FileTensor:
    kind = engine.get_tensor_dtype(name).name
    shape = tuple(engine.get_tensor_shape(name))
    if kind not in _TYPES or not shape:
        raise ArtifactError(
            f"{source}: {name!r} is {kind} {list(shape)}, which cannot be tried here; build the "
            "plan with inputs and outputs of a common type, and with an axis each"
        )
    axes = tuple(None if dim < 0 else int(dim) for dim in shape)
    return FileTensor(name, dtypes.by_triton(_TYPES[kind]), axes)


def _spec(tensor: FileTensor) -> TensorSpec:
    """The tensor without its first axis, which the exporter takes for the batch."""
    return TensorSpec(tensor.name, tensor.dtype, tensor.shape[1:])
