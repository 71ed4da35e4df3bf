"""Rules of single backends: what they need, and what only NVIDIA's container supports.

TorchScript and a TensorFlow graph do not describe their tensors, so the configuration has to.
Sources: `libtorch.cc` in triton-inference-server/pytorch_backend, and `tensorflow.cc` in
triton-inference-server/tensorflow_backend.
"""

from __future__ import annotations

from collections.abc import Iterable

from tritonclient.grpc import model_config_pb2 as protocol

from trimaran.checks.finding import Problems, error, warning
from trimaran.repository.config import ModelConfig

__all__ = [
    "SAVED_MODEL",
    "check_native_features",
    "check_pytorch",
    "check_tensorflow",
    "tensorflow_file",
]

_SERVED = frozenset(
    protocol.DataType.Value(f"TYPE_{name}")
    for name in ("INVALID", "BOOL", "UINT8", "INT8", "INT16", "INT32", "INT64")
) | frozenset(
    protocol.DataType.Value(f"TYPE_{name}") for name in ("FP16", "FP32", "FP64", "STRING")
)

SAVED_MODEL, _GRAPH = "model.savedmodel", "model.graphdef"
_STANDINS = ("onnxruntime", "pytorch")


def check_pytorch(config: ModelConfig) -> Problems:
    """Inputs and outputs that are missing, or of a type that the backend does not have."""
    for kind, items in (("input", config.input), ("output", config.output)):
        if not items:
            yield error(
                kind,
                f"there is no {kind}, and no model.pt describes its {kind}s",
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
                    f"backend takes text with one axis only",
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
    for field, is_used in used.items():
        if is_used:
            yield warning(
                field,
                f"{field.rpartition('.')[2]} works only in NVIDIA's container, and trimaran's "
                f"own runtime refuses the model",
                "serve it with NVIDIA's container, or make it a Python model",
            )
