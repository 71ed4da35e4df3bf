"""`config.pbtxt`: read, written and checked through Triton's own protobuf."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as protocol
from tritonclient.grpc.model_config_pb2 import ModelConfig

from trimaran import dtypes
from trimaran.errors import ConfigError
from trimaran.files import write_text
from trimaran.tensors import TensorSpec

__all__ = [
    "ModelConfig",
    "add_tensors",
    "format_config",
    "inputs_of",
    "interface_difference",
    "is_ensemble",
    "outputs_of",
    "parse_config",
    "read_config",
    "write_config",
]


def parse_config(text: str, where: str) -> ModelConfig:
    """The configuration that `text` holds; `where` names it in the error.

    Raises `ConfigError` with line and column where the text is not a `ModelConfig`.
    """
    config = ModelConfig()
    try:
        text_format.Parse(text, config)
    except text_format.ParseError as error:
        place = f"line {error.GetLine()}, column {error.GetColumn()}"
        reason = " ".join(str(error).partition(" : ")[2].split())
        raise ConfigError(
            f"{where}: not a Triton model configuration: {place}: {reason}"
        ) from error
    return config


def read_config(path: Path) -> ModelConfig:
    """The configuration in a file. Raises `ConfigError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    return parse_config(text, str(path))


def format_config(config: ModelConfig) -> str:
    """The configuration as `config.pbtxt` text: fields in the schema's order, maps sorted."""
    return text_format.MessageToString(config, use_short_repeated_primitives=True)


def write_config(path: Path, config: ModelConfig) -> None:
    """Replace the file in one step."""
    write_text(path, format_config(config))


def is_ensemble(config: ModelConfig) -> bool:
    """Whether the model is a pipeline of others rather than one that a backend runs."""
    return config.platform == "ensemble" or config.HasField("ensemble_scheduling")


def inputs_of(config: ModelConfig) -> list[TensorSpec]:
    """The declared inputs, without the batch axis."""
    return [_tensor(item, item.optional) for item in config.input]


def outputs_of(config: ModelConfig) -> list[TensorSpec]:
    """The declared outputs, without the batch axis."""
    return [_tensor(item, False) for item in config.output]


def add_tensors(
    config: ModelConfig, inputs: Iterable[TensorSpec], outputs: Iterable[TensorSpec]
) -> None:
    """Declare inputs and outputs in `config`.

    A tensor without axes of its own becomes `dims: [1]` with an empty reshape, since Triton
    refuses empty dims.
    """
    for specs, field in ((inputs, config.input), (outputs, config.output)):
        for spec in specs:
            item = field.add(name=spec.name, data_type=spec.dtype.config, dims=spec.dims or (1,))
            if not spec.dims:
                item.reshape.SetInParent()
            elif spec.reshape is not None:
                item.reshape.SetInParent()
                item.reshape.shape.extend(spec.reshape)
            if spec.optional:
                item.optional = True


def _tensor(item: protocol.ModelInput | protocol.ModelOutput, optional: bool) -> TensorSpec:
    reshape = tuple(item.reshape.shape) if item.HasField("reshape") else None
    dtype = dtypes.by_config(protocol.DataType.Name(item.data_type))
    return TensorSpec(item.name, dtype, tuple(item.dims), reshape, optional)


def interface_difference(existing: ModelConfig, wanted: ModelConfig) -> str | None:
    """Where two configurations of one model disagree on what clients see, or `None`.

    Inputs and outputs that the existing one leaves out are Triton's to complete and agree with
    anything; the batch limit may differ, but not whether there is one.
    """
    for kind, read in (("input", inputs_of), ("output", outputs_of)):
        have, want = {t.name: t for t in read(existing)}, {t.name: t for t in read(wanted)}
        if not have:
            continue
        for name in sorted(have.keys() | want.keys()):
            if name not in have or name not in want:
                side = "the artifact" if name in want else "config.pbtxt"
                return f"{kind} {name!r} is only in {side}"
            a, b = have[name], want[name]
            if (a.dtype, a.dims, a.model_dims) != (b.dtype, b.dims, b.model_dims):
                return f"{kind} {name!r}: config.pbtxt has {a}, the artifact has {b}"
    if existing.input and (existing.max_batch_size > 0) != (wanted.max_batch_size > 0):
        return (
            f"max_batch_size: config.pbtxt has {existing.max_batch_size}, the artifact "
            f"needs {'a batch axis' if wanted.max_batch_size else '0'}"
        )
    return None
