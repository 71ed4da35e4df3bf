"""A TensorRT engine, `model.plan`: built from the ONNX file, on the GPU that it will run on.

The network is strongly typed: the types are those of the ONNX graph, which has casts to FP16 or
BF16, or pairs of QuantizeLinear and DequantizeLinear. TensorRT 11 has no other way (the builder
flags FP16, BF16 and INT8 are gone), and TensorRT 10 takes it too. The plan is raw, as Triton wants
it, and fits one model of GPU and one version of TensorRT, both of which the manifest names.

Sources: NVIDIA's migration guide from TensorRT 10 to 11, and the Python bindings of 10.16 and 11.4.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from exporters.formats.accelerator import ShapeRange, profile_of
from exporters.formats.causes import one_sentence
from exporters.formats.exporter import Exporter, ExportError
from exporters.formats.onnx import OnnxExporter
from exporters.parity import Arrays, Run
from exporters.spec import Interface, ModelSpec
from trimaran.repository import target
from trimaran.system.downloads import cache_directory

__all__ = ["TensorRtExporter", "build_plan", "check_tensors"]

_DISTRIBUTIONS = ("tensorrt", "tensorrt-cu13", "tensorrt-cu12")

_TORCH_TYPES = {
    "FLOAT": torch.float32,
    "HALF": torch.float16,
    "BF16": torch.bfloat16,
    "INT64": torch.int64,
    "INT32": torch.int32,
    "INT8": torch.int8,
    "UINT8": torch.uint8,
    "BOOL": torch.bool,
}
"""`tensorrt.DataType` by name, for inputs and outputs of an engine."""


class TensorRtExporter(Exporter):
    """`model.plan` for Triton's `tensorrt` backend.

    `onnx` gives the graph, in the precision of the engine; engines take 1 to
    `max_batch_size` rows.
    """

    format = "tensorrt"
    backend = "tensorrt"
    file_name = "model.plan"

    def __init__(self, onnx: OnnxExporter | None = None, max_batch_size: int = 32) -> None:
        self.onnx = onnx or OnnxExporter()
        self.max_batch_size = max_batch_size
        self._content = ""

    @property
    def libraries(self) -> tuple[str, ...]:  # type: ignore[override]
        """ONNX's, and TensorRT under the name of its installed distribution."""
        return (*self.onnx.libraries, *_installed_distribution())

    def require(self) -> None:
        """Raise `ExportError` where there is no GPU or no TensorRT to build with."""
        if importlib.util.find_spec("tensorrt") is None:
            raise ExportError(
                "the format tensorrt needs the package tensorrt, which is not installed; install "
                "it on the machine with the GPU that will serve the engine, or use --format onnx "
                "with --accelerator tensorrt"
            )
        if not torch.cuda.is_available():
            raise ExportError(
                "the format tensorrt needs an NVIDIA GPU and a CUDA build of torch, and there is "
                "none here; export on the machine that will serve the engine, or use --format "
                "onnx with --accelerator tensorrt"
            )

    def captures(self, spec: ModelSpec, path: Path) -> Iterator[str]:
        """One engine for each way of capturing the ONNX graph."""
        graph = path.with_suffix(".onnx")
        profile = profile_of(spec, self.max_batch_size)
        for way in self.onnx.captures(spec, graph):
            content = graph.read_bytes()
            graph.unlink()
            path.write_bytes(build_plan(spec.name, content, profile))
            facts = (repr(sorted(profile.items())), *map(str, _machine().values()))
            self._content = hashlib.sha256(content + "\n".join(facts).encode()).hexdigest()
            yield f"{way}, TensorRT"

    def load(self, path: Path, interface: Interface) -> Run:
        """The engine on the GPU, with tensors of torch as its buffers.

        Raises `ExportError` where its tensors are not those of the interface.
        """
        trt, logger = _tensorrt(), _logger()
        engine = trt.Runtime(logger).deserialize_cuda_engine(path.read_bytes())
        if engine is None:
            raise ExportError(f"the engine cannot be loaded: {logger.reason()}")
        check_tensors(_tensors(engine), interface)
        context = engine.create_execution_context()
        stream = torch.cuda.Stream()

        def run(inputs: Arrays) -> Arrays:
            with torch.cuda.stream(stream):
                given = {
                    spec.name: torch.from_numpy(np.ascontiguousarray(inputs[spec.name])).cuda()
                    for spec in interface.inputs
                }
                for name, tensor in given.items():
                    if not context.set_input_shape(name, tuple(tensor.shape)):
                        raise RuntimeError(f"shape {tuple(tensor.shape)} of {name!r} does not fit")
                    context.set_tensor_address(name, tensor.data_ptr())
                answers = {}
                for spec in interface.outputs:
                    shape = tuple(context.get_tensor_shape(spec.name))
                    dtype = _TORCH_TYPES[engine.get_tensor_dtype(spec.name).name]
                    answers[spec.name] = torch.empty(shape, dtype=dtype, device="cuda")
                    context.set_tensor_address(spec.name, answers[spec.name].data_ptr())
                if not context.execute_async_v3(stream.cuda_stream):
                    raise RuntimeError(f"the engine failed: {logger.reason()}")
            stream.synchronize()
            return {name: tensor.cpu().numpy() for name, tensor in answers.items()}

        return run

    def target(self, path: Path) -> Mapping[str, str | int]:
        """The GPU and the TensorRT that the engine fits."""
        return {"container": target.CONTAINER, **_machine()}

    def digest(self, path: Path) -> str:
        """Of the graph, the shapes, the GPU and the version: two builds differ in their timings."""
        return self._content or super().digest(path)


def build_plan(name: str, graph: bytes, profile: Mapping[str, ShapeRange]) -> bytes:
    """The serialized engine of an ONNX graph. Raises `ExportError` with TensorRT's reason."""
    trt, logger = _tensorrt(), _logger()
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(graph):
        reason = parser.get_error(0).desc() if parser.num_errors else logger.reason()
        raise _refusal(name, reason)
    config = builder.create_builder_config()
    # TF32 keeps 10 of FP32's 23 bits, which is too little for parity with PyTorch.
    config.clear_flag(trt.BuilderFlag.TF32)
    shapes = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        span = profile[tensor.name]
        shapes.set_shape(tensor.name, span.least, span.usual, span.most)
    if config.add_optimization_profile(shapes) < 0:
        raise _refusal(name, logger.reason())
    timings = _timing_cache()
    known = timings.read_bytes() if timings.is_file() else b""
    config.set_timing_cache(config.create_timing_cache(known), False)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise _refusal(name, logger.reason())
    measured = config.get_timing_cache()
    if measured is not None:
        _keep(timings, bytes(measured.serialize()))
    return bytes(plan)


def _refusal(name: str, reason: str) -> ExportError:
    return ExportError(
        f"model {name} cannot be built by TensorRT: {reason}; use --format onnx, whose backend "
        "runs on the GPU what TensorRT does not"
    )


def _tensors(engine: Any) -> dict[str, tuple[str, torch.dtype | None, tuple[int, ...]]]:
    """Each input and output of the engine: its side, its type, and its shape with the batch."""
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    return {
        name: (
            engine.get_tensor_mode(name).name.lower(),
            _TORCH_TYPES.get(engine.get_tensor_dtype(name).name),
            tuple(engine.get_tensor_shape(name)),
        )
        for name in names
    }


def check_tensors(
    found: Mapping[str, tuple[str, torch.dtype | None, tuple[int, ...]]], interface: Interface
) -> None:
    """Raise `ExportError` where an engine's tensors are not those of the model.

    `found` is the side, the type and the shape with the batch, by name.
    """
    for side, specs in (("input", interface.inputs), ("output", interface.outputs)):
        for spec in specs:
            wanted = (side, getattr(torch, str(spec.dtype.torch)), len(spec.dims) + 1)
            got = found.get(spec.name)
            if got is None or (got[0], got[1], len(got[2])) != wanted:
                raise ExportError(
                    f"the engine has {spec.name!r} as {got or 'nothing'}; the model has "
                    f"{side} {spec}; TensorRT carries no FP64, INT16 or UINT16 there"
                )


def _tensorrt() -> Any:
    try:
        return importlib.import_module("tensorrt")
    except ImportError as error:
        raise ExportError(f"tensorrt cannot be imported: {one_sentence(error)}") from error


def _logger() -> Any:
    """A TensorRT logger that keeps the errors."""
    trt = _tensorrt()

    class Logger(trt.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                self.errors.append(" ".join(msg.split())[:300])

        def reason(self) -> str:
            return self.errors[-1] if self.errors else "it gave no reason"

    return Logger()


def _machine() -> dict[str, str]:
    major, minor = torch.cuda.get_device_capability()
    return {
        "gpu": torch.cuda.get_device_name(),
        "compute_capability": f"{major}.{minor}",
        "tensorrt": str(_tensorrt().__version__),
    }


def _timing_cache() -> Path:
    """Where measured kernels are kept for the next build: one file per GPU and version."""
    parts = "-".join(_machine().values()).replace(" ", "_").replace("/", "_")
    return cache_directory() / "tensorrt" / f"{parts}.timings"


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(path)


def _installed_distribution() -> tuple[str, ...]:
    for name in _DISTRIBUTIONS:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        return (name,)
    return ()
