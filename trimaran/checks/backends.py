"""Which backend runs a model, which file it looks for, and what each backend needs.

Triton completes `backend` from `platform`, from `default_model_filename` or from the files in a
version, before it refuses a model that it cannot attribute.

TorchScript and a TensorFlow graph do not describe their tensors, so the configuration has to.
Sources: `libtorch.cc` in triton-inference-server/pytorch_backend, and `tensorflow.cc` in
triton-inference-server/tensorflow_backend.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from trimaran.checks.finding import Problems, error, warning
from trimaran.repository.config import ModelConfig, is_ensemble
from trimaran.repository.protocol import protocol

__all__ = [
    "AOTI",
    "BACKENDS",
    "SAVED_MODEL",
    "Backend",
    "attribute",
    "backend_of",
    "check_backend",
    "check_native_features",
    "check_pytorch",
    "check_tensorflow",
    "default_file",
    "describes_tensors",
    "tensorflow_file",
]


AOTI = "torch_aoti"
"""The platform of packages that AOTInductor compiled."""


@dataclass(frozen=True)
class Backend:
    """A backend of NVIDIA's containers: its platforms, and the file it loads by default.

    `others` are the files of those platforms that load another.
    """

    name: str
    platforms: tuple[str, ...] = ()
    filename: str = ""
    others: Mapping[str, str] = field(default_factory=dict)


BACKENDS = {
    backend.name: backend
    for backend in (
        Backend("onnxruntime", ("onnxruntime_onnx",), "model.onnx"),
        Backend("pytorch", ("pytorch_libtorch", AOTI), "model.pt", {AOTI: "model.pt2"}),
        Backend("tensorrt", ("tensorrt_plan",), "model.plan"),
        Backend("tensorflow", ("tensorflow_savedmodel", "tensorflow_graphdef")),
        Backend("python", (), "model.py"),
        Backend("openvino", (), "model.xml"),
        Backend("dali", (), ""),
        Backend("fil", (), ""),
        Backend("vllm", (), ""),
        Backend("tensorrtllm", (), ""),
        Backend("identity", (), ""),
        Backend("repeat", (), ""),
        Backend("square", (), ""),
    )
}

_BY_PLATFORM = {
    platform: backend.name for backend in BACKENDS.values() for platform in backend.platforms
}
_COMPLETED = ("tensorrt", "onnxruntime", "openvino", "pytorch", "python")
"""The backends that Triton finds by their file, in the order in which it looks."""

_SERVED = frozenset(
    protocol.DataType.Value(f"TYPE_{name}")
    for name in ("INVALID", "BOOL", "UINT8", "INT8", "INT16", "INT32", "INT64")
) | frozenset(
    protocol.DataType.Value(f"TYPE_{name}") for name in ("FP16", "FP32", "FP64", "STRING")
)

SAVED_MODEL, _GRAPH = "model.savedmodel", "model.graphdef"
_STANDINS = ("onnxruntime", "pytorch")


def backend_of(config: ModelConfig) -> str:
    """The backend that a configuration names, itself or by its platform; empty if none."""
    return config.backend or _BY_PLATFORM.get(config.platform, "")


def default_file(config: ModelConfig, backend: str) -> str:
    """The file that a backend loads from a version where the configuration names none, or empty."""
    known = BACKENDS.get(backend)
    return known.others.get(config.platform, known.filename) if known else ""


def attribute(config: ModelConfig, entries: Iterable[str], directory: str = "") -> str:
    """The backend that serves a model, as Triton completes it, or empty.

    `entries` are in its first version; a `directory` such as `model.own` names a backend itself.
    """
    named = backend_of(config)
    if named or config.platform:
        return named
    here, wanted = set(entries), config.default_model_filename
    for name in _COMPLETED:
        filenames = {BACKENDS[name].filename, *BACKENDS[name].others.values()}
        if wanted in filenames or (not wanted and filenames & here):
            return name
    # TensorFlow goes by what earlier containers looked for.
    if not wanted and here & {"model.savedmodel", "model.graphdef"}:
        return "tensorflow"
    return directory.partition(".")[2] if not wanted else ""


def describes_tensors(config: ModelConfig, backend: str, entries: Iterable[str]) -> bool:
    """Whether a backend fills in a tensor's type and dims from files that are not looked into.

    `entries` are in the model's first version.
    """
    if backend == "tensorflow":
        return tensorflow_file(config, entries) == SAVED_MODEL
    return backend in ("tensorrt", "openvino")


def check_backend(config: ModelConfig, libraries: frozenset[str] = frozenset()) -> Problems:
    """Backends that no server has, and platforms that contradict them.

    `libraries` are the shared libraries in the model's directory, such as `libtriton_own.so`.
    """
    if is_ensemble(config):
        return
    of_platform = _BY_PLATFORM.get(config.platform, "")
    own = f"libtriton_{config.backend}.so" in libraries
    if config.backend and config.backend not in BACKENDS and not own:
        yield error(
            "backend",
            f"backend {config.backend!r} is in none of NVIDIA's containers, and "
            f"libtriton_{config.backend}.so is not in the model's directory",
            f"use one of {', '.join(sorted(BACKENDS))}, or add the library",
        )
    expected = BACKENDS[config.backend].platforms if config.backend in BACKENDS else ()
    if config.platform and expected and config.platform not in expected:
        yield error(
            "platform",
            f"platform {config.platform!r} does not belong to backend {config.backend!r}",
            "remove the platform",
        )
    if config.platform and not config.backend and not of_platform:
        yield error(
            "platform",
            f"platform {config.platform!r} is unknown",
            'name the backend instead, such as backend: "python"',
        )
    if config.runtime and config.runtime not in libraries | {f"libtriton_{backend_of(config)}.so"}:
        yield error(
            "runtime",
            f"runtime is {config.runtime!r}, which breaks the model where the backend is another "
            "file",
            "remove it: Triton finds its backends by name",
        )


def check_pytorch(config: ModelConfig) -> Problems:
    """Inputs and outputs that are missing, or of a type that the backend does not have."""
    for kind, items in (("input", config.input), ("output", config.output)):
        if not items:
            yield error(
                kind,
                f"there is no {kind}, and no {default_file(config, 'pytorch')} describes its "
                f"{kind}s",
                f"declare every {kind}, with its name, data_type and dims",
            )
        for item in items:
            name = protocol.DataType.Name(item.data_type)
            if item.data_type not in _SERVED:
                yield error(
                    f"{kind}.{item.name}.data_type",
                    f"{kind} {item.name!r} is {name}, which the pytorch backend does not serve",
                    "use another type",
                )
            dims = item.reshape.shape if item.HasField("reshape") else item.dims
            axes = len(dims) + (1 if config.max_batch_size > 0 else 0)
            if item.data_type == protocol.TYPE_STRING and axes > 1:
                yield error(
                    f"{kind}.{item.name}.dims",
                    f"{kind} {item.name!r} is TYPE_STRING with {axes} axes, and the pytorch "
                    "backend takes text with one axis only",
                    "keep one axis, the batch's or its own",
                )
    for item in config.input:
        if item.optional:
            yield error(
                f"input.{item.name}.optional",
                f"input {item.name!r} is optional, which the pytorch backend does not support",
                "remove optional",
            )


def tensorflow_file(config: ModelConfig, entries: Iterable[str]) -> str:
    """What the backend loads by default; `entries` are in the model's first version."""
    if config.platform:
        return _GRAPH if config.platform == "tensorflow_graphdef" else SAVED_MODEL
    here, named = set(entries), config.default_model_filename
    is_graph = named == _GRAPH or (_GRAPH in here and SAVED_MODEL not in here)
    return _GRAPH if is_graph else SAVED_MODEL


def check_tensorflow(config: ModelConfig, entries: Iterable[str]) -> Problems:
    """A graph without a configuration of its tensors."""
    if tensorflow_file(config, entries) == _GRAPH and not (config.input or config.output):
        yield error(
            "input",
            f"there is neither input nor output, and no {_GRAPH} describes them",
            "declare every input and output, with its name, data_type and dims",
        )


def check_native_features(config: ModelConfig, backend: str) -> Problems:
    """Features for which a model has to be served with NVIDIA's container."""
    if backend not in _STANDINS:
        return
    used = {
        "sequence_batching.control_input": bool(config.sequence_batching.control_input),
        "sequence_batching.state": bool(config.sequence_batching.state),
        "batch_input": bool(config.batch_input),
        "batch_output": bool(config.batch_output),
        "allow_ragged_batch": any(item.allow_ragged_batch for item in config.input),
    }
    for place, is_used in used.items():
        if is_used:
            yield warning(
                place,
                f"{place.rpartition('.')[2]} works only in NVIDIA's container, and trimaran's "
                "own runtime refuses the model",
                "serve it with NVIDIA's container, or make it a Python model",
            )
