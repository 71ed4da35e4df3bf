"""Rules for warm-up: the samples that Triton runs before it calls a model ready."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from trimaran.checks.finding import Problems, error, warning
from trimaran.repository import dtypes
from trimaran.repository.config import ModelConfig
from trimaran.repository.dtypes import describe_shape, shapes_agree
from trimaran.repository.protocol import protocol

__all__ = ["check_warmup", "warmup_files"]

_TEXT_LENGTH_BYTES = 4
_TYPE = protocol.DataType.Name


def warmup_files(config: ModelConfig) -> frozenset[str]:
    """The files in `warmup/` that the samples name."""
    return frozenset(
        value.input_data_file
        for sample in config.model_warmup
        for value in sample.inputs.values()
        if value.input_data_file
    )


def check_warmup(config: ModelConfig, data: Mapping[str, bytes] | None = None) -> Problems:
    """Samples that the model's inputs would not take; `data` has the files of `warmup/`.

    Triton passes over samples of batch size 0, without which a model is not warm.
    """
    for sample in config.model_warmup:
        field = f"model_warmup.{sample.name}"
        if sample.batch_size == 0:
            yield warning(
                f"{field}.batch_size",
                f"warm-up {sample.name!r} has no batch_size, so it is skipped",
                "write batch_size: 1",
            )
            continue
        if sample.batch_size > max(config.max_batch_size, 1):
            yield error(
                f"{field}.batch_size",
                f"warm-up {sample.name!r} has {sample.batch_size} rows but max_batch_size is "
                f"{config.max_batch_size}",
                "lower its batch_size",
            )
        inputs = {item.name: item for item in config.input}
        for name, item in inputs.items():
            if name not in sample.inputs and not item.optional:
                yield error(
                    f"{field}.inputs",
                    f"warm-up {sample.name!r} has no input {name!r}, which the model needs",
                    "add it",
                )
        for name, value in sorted(sample.inputs.items()):
            if name not in inputs:
                yield warning(
                    f"{field}.inputs.{name}",
                    f"warm-up {sample.name!r} has an input {name!r}, which the model does not have",
                    "remove it",
                )
            yield from _value(field, name, value, inputs.get(name), data)


def _value(
    field: str,
    name: str,
    value: protocol.ModelWarmup.Input,
    item: protocol.ModelInput | None,
    data: Mapping[str, bytes] | None,
) -> Problems:
    where = f"{field}.inputs.{name}"
    if any(dim < 0 for dim in value.dims):
        yield error(
            f"{where}.dims",
            f"warm-up input {name!r} has dims {describe_shape(value.dims)}",
            "give every axis a length",
        )
    elif item is not None and not shapes_agree(item.dims, value.dims):
        yield error(
            f"{where}.dims",
            f"warm-up input {name!r} has dims {describe_shape(value.dims)} but the model takes "
            f"{describe_shape(item.dims)}",
            "make them equal, without the batch axis",
        )
    if item is not None and value.data_type != item.data_type:
        yield error(
            f"{where}.data_type",
            f"warm-up input {name!r} is {_TYPE(value.data_type)} but the model takes "
            f"{_TYPE(item.data_type)}",
            "make them equal",
        )
    if value.WhichOneof("input_data_type") is None:
        yield error(
            where,
            f"warm-up input {name!r} has no data",
            "add zero_data: true, random_data: true or an input_data_file",
        )
    elif value.input_data_file and data is not None:
        yield from _file(where, value, data)


def _file(where: str, value: protocol.ModelWarmup.Input, data: Mapping[str, bytes]) -> Problems:
    path = f"warmup/{value.input_data_file}"
    if value.input_data_file not in data:
        yield error(where, f"{path} is missing", "add the file to the model's directory")
        return
    content, elements = data[value.input_data_file], prod(value.dims)
    if value.data_type == protocol.TYPE_STRING:
        texts = _count_texts(content)
        if texts != elements:
            held = "no texts with their lengths" if texts is None else f"{texts} texts"
            yield error(
                where,
                f"{path} holds {held} but dims {describe_shape(value.dims)} are {elements}",
                "write each text after its length in four bytes, little-endian",
            )
        return
    size = elements * _item_bytes(value.data_type)
    if len(content) < size:
        yield error(
            where,
            f"{path} holds {len(content)} bytes but {_TYPE(value.data_type)} "
            f"{describe_shape(value.dims)} are {size}",
            "write the tensor's raw bytes into it",
        )


def _count_texts(content: bytes) -> int | None:
    """How many texts follow one another, each after its length; `None` if they do not."""
    place = count = 0
    while place < len(content):
        start = place + _TEXT_LENGTH_BYTES
        place = start + int.from_bytes(content[place:start], "little")
        count += 1
        if start > len(content) or place > len(content):
            return None
    return count


def _item_bytes(data_type: int) -> int:
    if data_type == protocol.TYPE_BF16:
        return 2
    if data_type in (protocol.TYPE_INVALID, protocol.TYPE_STRING):
        return 0
    dtype = dtypes.by_config(_TYPE(data_type)).numpy
    return dtype.itemsize if dtype is not None else 0
