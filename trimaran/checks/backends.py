"""Which backend runs a model, and which file that backend looks for.

Triton completes `backend` from `platform`, from `default_model_filename` or from the files in a
version, before it refuses a model that it cannot attribute.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from trimaran.checks.backend_rules import SAVED_MODEL, tensorflow_file
from trimaran.checks.finding import Problems, error
from trimaran.repository.config import ModelConfig, is_ensemble

__all__ = ["BACKENDS", "Backend", "attribute", "backend_of", "check_backend", "describes_tensors"]


@dataclass(frozen=True)
class Backend:
    """A backend of NVIDIA's containers: its platforms, and the file it loads by default."""

    name: str
    platforms: tuple[str, ...] = ()
    filename: str = ""


BACKENDS = {
    backend.name: backend
    for backend in (
        Backend("onnxruntime", ("onnxruntime_onnx",), "model.onnx"),
        Backend("pytorch", ("pytorch_libtorch",), "model.pt"),
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


def backend_of(config: ModelConfig) -> str:
    """The backend that a configuration names, itself or by its platform; empty if none."""
    return config.backend or _BY_PLATFORM.get(config.platform, "")


def attribute(config: ModelConfig, entries: Iterable[str], directory: str = "") -> str:
    """The backend that serves a model, as Triton completes it, or empty.

    `entries` are in its first version; a `directory` such as `model.own` names a backend itself.
    """
    named = backend_of(config)
    if named or config.platform:
        return named
    here, wanted = set(entries), config.default_model_filename
    for name in _COMPLETED:
        filename = BACKENDS[name].filename
        if wanted == filename or (not wanted and filename in here):
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
