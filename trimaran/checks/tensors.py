"""Rules for declared inputs and outputs: names, data types, dims, reshapes and label files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from math import prod

from trimaran.checks.finding import Finding, Problems, error, warning
from trimaran.repository.config import ModelConfig
from trimaran.repository.dtypes import describe_shape
from trimaran.repository.protocol import protocol

__all__ = ["check_labels", "check_tensors", "label_files", "tensor_problems"]

_LARGEST_COUNT = 2**63 - 1


def check_tensors(config: ModelConfig, backend: str, *, partial: bool = False) -> Problems:
    """Every input and output by itself, and their names together.

    With `partial`, the model may say what their type and dims are.
    """
    for kind, items in (("input", config.input), ("output", config.output)):
        for item in items:
            yield from tensor_problems(config, kind, item, backend, partial=partial)
        names = [item.name for item in items if item.name]
        for name in sorted({name for name in names if names.count(name) > 1}):
            # Triton accepts it and says nothing.
            yield error(f"{kind}.{name}", f"{kind} {name!r} is declared twice", "remove one")
    yield from _batch_tensors(config)


def tensor_problems(
    config: ModelConfig,
    kind: str,
    item: protocol.ModelInput | protocol.ModelOutput,
    backend: str,
    *,
    partial: bool = False,
) -> Iterator[Finding]:
    """What Triton refuses in one declared tensor."""
    where = f"{kind}.{item.name}"
    if not item.name:
        yield error(kind, f"an {kind} has no name", "give it the name that the model knows")
    if item.data_type == protocol.TYPE_INVALID and not partial:
        yield error(
            f"{where}.data_type",
            f"tensor {item.name!r} has no data_type",
            "add one such as TYPE_FP32",
        )
    if not item.dims and partial:
        pass
    elif not item.dims:
        yield error(
            f"{where}.dims",
            f"tensor {item.name!r} has empty dims",
            "write dims: [1] and an empty reshape for a tensor of one value per row",
        )
    elif any(dim == 0 or dim < -1 for dim in item.dims):
        yield error(
            f"{where}.dims",
            f"tensor {item.name!r} has dims {describe_shape(item.dims)}",
            "use numbers above 0, or -1 for any length",
        )
    elif item.HasField("reshape"):
        yield from _reshape_problems(config, where, item)
    if item.is_shape_tensor and backend not in ("", "tensorrt"):
        yield error(
            f"{where}.is_shape_tensor",
            f"tensor {item.name!r} is a shape tensor, which only TensorRT models have",
            "remove is_shape_tensor",
        )
    if isinstance(item, protocol.ModelInput):
        yield from _format_problems(where, item)


def _format_problems(where: str, item: protocol.ModelInput) -> Problems:
    if item.format != protocol.ModelInput.FORMAT_NONE and len(item.dims) != 3:
        yield error(
            f"{where}.format",
            f"input {item.name!r} has a format of images but {len(item.dims)} dims",
            "give it 3 dims, or remove the format",
        )


def _reshape_problems(
    config: ModelConfig, where: str, item: protocol.ModelInput | protocol.ModelOutput
) -> Problems:
    dims, shape = tuple(item.dims), tuple(item.reshape.shape)
    field = f"{where}.reshape"
    if not shape and config.max_batch_size == 0:
        yield error(
            field,
            f"tensor {item.name!r} has an empty reshape, which needs max_batch_size above 0",
            "remove the reshape",
        )
    elif any(dim == 0 or dim < -1 for dim in shape):
        yield error(
            field,
            f"tensor {item.name!r} is reshaped to {describe_shape(shape)}",
            "use numbers above 0, or -1 for any length",
        )
    elif _elements(dims) != _elements(shape):
        yield error(
            field,
            f"tensor {item.name!r} has dims {describe_shape(dims)} but a reshape to "
            f"{describe_shape(shape)}, which holds another number of elements",
            "give both the same number of elements, also between axes of any length",
        )
    elif max(_elements(dims)) > _LARGEST_COUNT:
        yield warning(
            f"{where}.dims",
            f"tensor {item.name!r} has dims {describe_shape(dims)}, more than can be counted",
            "lower them",
        )


def _elements(shape: Sequence[int]) -> list[int]:
    """How many elements lie before, between and after the axes of any length.

    Triton compares these, so `[8, -1]` is a reshape of `[2, 4, -1]` and not of `[-1, 8]`.
    """
    counts: list[int] = [1]
    for is_open, axes in groupby(shape, lambda dim: dim == -1):
        if is_open:
            counts += [1] * len(list(axes))
        else:
            counts[-1] = prod(axes)
    return counts


def _batch_tensors(config: ModelConfig) -> Problems:
    inputs = {item.name for item in config.input}
    outputs = {item.name for item in config.output}
    for made in config.batch_input:
        field = f"batch_input.{','.join(made.target_name)}"
        if made.data_type not in (protocol.TYPE_INT32, protocol.TYPE_FP32):
            yield error(
                f"{field}.data_type",
                f"batch_input is {protocol.DataType.Name(made.data_type)}",
                "make it TYPE_INT32 or TYPE_FP32",
            )
        if len(made.source_input) != 1:
            yield error(
                f"{field}.source_input",
                f"batch_input has {len(made.source_input)} source inputs",
                "name exactly one",
            )
        yield from _unknown(field, "source input", set(made.source_input) - inputs, inputs)
    for split in config.batch_output:
        field = f"batch_output.{','.join(split.target_name)}"
        if len(split.source_input) != 1:
            yield error(
                f"{field}.source_input",
                f"batch_output has {len(split.source_input)} source inputs",
                "name exactly one",
            )
        yield from _unknown(field, "source input", set(split.source_input) - inputs, inputs)
        yield from _unknown(field, "target", set(split.target_name) - outputs, outputs)
        for name in sorted({n for n in split.target_name if list(split.target_name).count(n) > 1}):
            yield error(field, f"batch_output has the target {name!r} twice", "name it once")


def _unknown(field: str, what: str, names: set[str], known: set[str]) -> Problems:
    for name in sorted(names):
        yield error(
            field,
            f"{what} {name!r} is not a declared tensor",
            f"name one of {', '.join(sorted(known)) or 'none'}",
        )


def label_files(config: ModelConfig) -> frozenset[str]:
    """The label files that the outputs name, below the model's directory."""
    return frozenset(item.label_filename for item in config.output if item.label_filename)


def check_labels(config: ModelConfig, lines: Mapping[str, int]) -> Problems:
    """Label files that are missing or too short; `lines` has how many lines each has."""
    for item in config.output:
        name, field = item.label_filename, f"output.{item.name}.label_filename"
        if not name:
            continue
        if name not in lines:
            yield error(
                field,
                f"label file {name} is missing",
                "put it next to config.pbtxt in the model's directory",
            )
        elif item.dims and -1 not in item.dims and lines[name] != prod(item.dims):
            yield warning(
                field,
                f"label file {name} has {lines[name]} lines but output {item.name!r} is "
                f"{describe_shape(item.dims)}",
                "give it one line for every place of the output",
            )
