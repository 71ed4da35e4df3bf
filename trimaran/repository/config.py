"""`config.pbtxt`: read, written and checked through Triton's own protobuf."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from trimaran.repository import dtypes
from trimaran.repository.config_text import decode_config
from trimaran.repository.dtypes import TensorSpec
from trimaran.repository.protocol import ModelConfig, protocol
from trimaran.system.errors import ConfigError
from trimaran.system.files import write_text

__all__ = [
    "DEVICE_KINDS",
    "ModelConfig",
    "UnknownNumberError",
    "add_tensors",
    "format_config",
    "inputs_of",
    "interface_difference",
    "is_complete",
    "is_declared",
    "is_ensemble",
    "is_partial",
    "outputs_of",
    "parse_config",
    "read_config",
    "read_config_bytes",
    "write_config",
]


DEVICE_KINDS = {
    "cpu": protocol.ModelInstanceGroup.KIND_CPU,
    "cuda": protocol.ModelInstanceGroup.KIND_GPU,
}
"""The kind of instance for a model that runs on one kind of device only."""


class UnknownNumberError(ConfigError):
    """Numbers without a meaning where Triton has names: `data_type: 99`.

    For each, `numbers` has the field's path, the value found, and the remedy.
    """

    def __init__(self, where: str, numbers: tuple[tuple[str, str, str], ...]) -> None:
        field, found, remedy = numbers[0]
        super().__init__(f"{where}: {field}: {found}; {remedy}")
        self.numbers = numbers


def parse_config(text: str, where: str) -> ModelConfig:
    """The configuration that `text` holds; `where` names it in the error.

    Raises `ConfigError` with line and column where the text is not a `ModelConfig`, and
    `UnknownNumberError` for a number where only names are valid.
    """
    config = ModelConfig()
    try:
        config.CopyFrom(_parsed(text))
    except text_format.ParseError as error:
        place = f"line {error.GetLine()}, column {error.GetColumn()}"
        reason = " ".join(str(error).partition(" : ")[2].split())
        raise ConfigError(
            f"{where}: not a Triton model configuration: {place}: {reason}"
        ) from error
    unknown = tuple(_unknown_numbers(config, ""))
    if unknown:
        raise UnknownNumberError(where, unknown)
    return config


@lru_cache(maxsize=64)
def _parsed(text: str) -> ModelConfig:
    """What `text` holds, to be copied: a command reads a model's text many times."""
    return text_format.Parse(text, ModelConfig())


def read_config(path: Path) -> ModelConfig:
    """The configuration in a file. Raises `ConfigError`."""
    return parse_config(decode_config(read_config_bytes(path), str(path)).text, str(path))


def read_config_bytes(path: Path) -> bytes:
    """The bytes of a configuration's file. Raises `ConfigError`."""
    if path.is_symlink() and not path.exists():
        raise ConfigError(f"{path}: is a link to {path.readlink()}, which does not exist")
    if path.exists() and not path.is_file():
        what = "a directory" if path.is_dir() else "not a regular file"
        raise ConfigError(f"{path}: is {what}; put a text file in its place")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def _unknown_numbers(message: Message, path: str) -> Iterator[tuple[str, str, str]]:
    """Every number in `message`, at any depth, that its enumeration does not have.

    Protobuf and Triton keep such numbers, but they have no meaning.
    """
    for field, value in message.ListFields():
        here = f"{path}.{field.name}" if path else field.name
        if field.message_type is not None:
            yield from _below(field, value, here)
        elif field.enum_type is not None:
            known = field.enum_type.values_by_number
            for number in [value] if isinstance(value, int) else value:
                if number not in known:
                    names = [item.name for item in field.enum_type.values]
                    types = field.enum_type.full_name == protocol.DataType.DESCRIPTOR.full_name
                    yield (
                        here,
                        f"{field.name} {number} is none of "
                        + ("Triton's types" if types else f"{', '.join(names)}"),
                        "write a name such as TYPE_FP32" if types else "write one of these names",
                    )


def _below(field: FieldDescriptor, value: Any, path: str) -> Iterator[tuple[str, str, str]]:
    below = field.message_type
    if below is not None and below.GetOptions().map_entry:
        if below.fields_by_name["value"].message_type is not None:
            for key in value:
                yield from _unknown_numbers(value[key], f"{path}.{key}")
    elif isinstance(value, Message):
        yield from _unknown_numbers(value, path)
    else:
        for index, item in enumerate(value):
            name = getattr(item, "name", "")
            yield from _unknown_numbers(item, f"{path}.{name}" if name else f"{path}[{index}]")


def format_config(config: ModelConfig) -> str:
    """The configuration as `config.pbtxt` text: fields in the schema's order, maps sorted."""
    return text_format.MessageToString(config, use_short_repeated_primitives=True)


def write_config(path: Path, config: ModelConfig) -> None:
    """Replace the file in one step."""
    write_text(path, format_config(config))


def is_ensemble(config: ModelConfig) -> bool:
    """Whether the model is a pipeline of others rather than one that a backend runs."""
    return config.platform == "ensemble" or config.HasField("ensemble_scheduling")


def is_complete(config: ModelConfig) -> bool:
    """Whether a configuration leaves nothing for Triton to complete from the model."""
    return is_declared(config) and bool(config.backend or is_ensemble(config))


def is_declared(config: ModelConfig) -> bool:
    """Whether there are inputs and outputs, each with its type and dims."""
    tensors = (*config.input, *config.output)
    return bool(config.input and config.output) and not any(map(is_partial, tensors))


def is_partial(item: protocol.ModelInput | protocol.ModelOutput) -> bool:
    """Whether a tensor has a name but leaves its type or its dims to the model."""
    return bool(item.name) and (item.data_type == protocol.TYPE_INVALID or not item.dims)


def inputs_of(config: ModelConfig) -> list[TensorSpec]:
    """The declared inputs, without the batch axis. Raises `ConfigError` for one without a type."""
    return [_tensor(item, item.optional) for item in config.input]


def outputs_of(config: ModelConfig) -> list[TensorSpec]:
    """The declared outputs, without the batch axis. Raises as `inputs_of` does."""
    return [_tensor(item, False) for item in config.output]


def add_tensors(
    config: ModelConfig, inputs: Iterable[TensorSpec], outputs: Iterable[TensorSpec]
) -> None:
    """Declare inputs and outputs in `config`.

    A tensor without axes becomes `dims: [1]` with an empty reshape, since Triton
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
    if is_partial(item):
        raise ConfigError(
            f"tensor {item.name!r} has no data_type or no dims in config.pbtxt, which leaves them "
            "to the model; write them there"
        )
    reshape = tuple(item.reshape.shape) if item.HasField("reshape") else None
    dtype = dtypes.by_config(protocol.DataType.Name(item.data_type))
    return TensorSpec(item.name, dtype, tuple(item.dims), reshape, optional)


def interface_difference(existing: ModelConfig, wanted: ModelConfig) -> str | None:
    """Where two configurations of one model disagree on their interface, or `None`.

    Triton completes inputs and outputs that the existing one leaves out, so they agree with
    anything. The batch limit may differ, but not whether there is one.
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
