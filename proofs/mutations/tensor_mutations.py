"""Mutations of declared tensors, their labels and their warm-up."""

from __future__ import annotations

from random import Random

from proofs.mutations.repositories import Draft, config_of, merge, tensor_of
from trimaran.repository.protocol import protocol

__all__ = [
    "mutate_batch_tensors",
    "mutate_data_type",
    "mutate_dims",
    "mutate_labels",
    "mutate_reshape",
    "mutate_tensor_count",
    "mutate_tensor_flag",
    "mutate_tensor_name",
    "mutate_warmup",
]

_DIMS = ((), (0,), (-1,), (-2,), (1,), (4,), (5,), (2, 2), (4, 1), (-1, 4), (1, 4), (3,), (-1, -1))
_NAMES = ("", "x", "y", "z", "X", "Y", "M", "N", "x__0", "labels")
_LABELS = ("", "model.py", "nothing", "../labels.txt", "1", "labels.txt", "labels.txt")


def mutate_dims(rng: Random, draft: Draft) -> str:
    """Other dims."""
    item = tensor_of(rng, draft)
    before = list(item.dims)
    del item.dims[:]
    item.dims.extend(rng.choice(_DIMS))
    return f"{item.name} dims: {before} to {list(item.dims)}"


def mutate_data_type(rng: Random, draft: Draft) -> str:
    """Another data type, or none."""
    item = tensor_of(rng, draft)
    item.data_type = rng.choice(sorted(protocol.DataType.values()))
    return f"{item.name} data_type: {protocol.DataType.Name(item.data_type)}"


def mutate_tensor_name(rng: Random, draft: Draft) -> str:
    """Another name of a tensor, or none."""
    item = tensor_of(rng, draft)
    before, item.name = item.name, rng.choice(_NAMES)
    return f"tensor {before} to {item.name!r}"


def mutate_tensor_count(rng: Random, draft: Draft) -> str:
    """A tensor less, twice, or more."""
    config = config_of(rng, draft)
    field = rng.choice([config.input, config.output])
    index = rng.randrange(len(field))
    what = rng.choice(["removed", "doubled", "added"])
    name = field[index].name
    if what == "removed":
        del field[index]
    else:
        field.add().CopyFrom(field[index])
        if what == "added":
            field[-1].name = "extra"
    return f"{config.name}: tensor {name} {what}"


def mutate_tensor_flag(rng: Random, draft: Draft) -> str:
    """A flag or a format of a tensor."""
    item = tensor_of(rng, draft)
    flags = ["is_shape_tensor", "is_non_linear_format_io"]
    if isinstance(item, protocol.ModelInput):
        flags = ["optional", "optional", "is_shape_tensor", "format"]
    flag = rng.choice(flags)
    if flag == "format":
        item.format = rng.choice([1, 2])
    else:
        setattr(item, flag, not getattr(item, flag))
    return f"{item.name} {flag}"


def mutate_reshape(rng: Random, draft: Draft) -> str:
    """A reshape that may or may not fit."""
    item = tensor_of(rng, draft)
    item.reshape.Clear()
    item.reshape.SetInParent()
    item.reshape.shape.extend(rng.choice([*_DIMS, (4,), (2, 2), (1, 4), (4, 1, 1)]))
    if rng.random() < 0.3:
        del item.dims[:]
        item.dims.extend(rng.choice(_DIMS))
    return f"{item.name} dims {list(item.dims)} reshape {list(item.reshape.shape)}"


def mutate_labels(rng: Random, draft: Draft) -> str:
    """Another label file."""
    item = rng.choice(list(config_of(rng, draft).output) or [protocol.ModelOutput()])
    item.label_filename = rng.choice(_LABELS)
    return f"{item.name} label_filename: {item.label_filename!r}"


def mutate_warmup(rng: Random, draft: Draft) -> str:
    """A warm-up sample that may or may not fit."""
    config = config_of(rng, draft)
    if not config.model_warmup:
        sample = config.model_warmup.add(name="new", batch_size=rng.choice([1, 1, 8]))
        for item in config.input:
            sample.inputs[item.name].data_type = item.data_type
            sample.inputs[item.name].dims.extend(abs(dim) for dim in item.dims)
            sample.inputs[item.name].zero_data = True
    sample = config.model_warmup[0]
    name = rng.choice(sorted(sample.inputs) or ["x"])
    value = sample.inputs[name]
    match rng.randrange(9):
        case 0:
            sample.batch_size = rng.choice([0, 2, 8, 9])
        case 1:
            del sample.inputs[name]
        case 2:
            sample.inputs["other"].CopyFrom(value)
        case 3:
            value.data_type = rng.choice(sorted(protocol.DataType.values()))
        case 4 | 5:
            del value.dims[:]
            value.dims.extend(rng.choice(_DIMS))
        case 6:
            value.ClearField(value.WhichOneof("input_data_type") or "zero_data")
        case 7:
            value.random_data = True
        case 8:
            value.input_data_file = rng.choice(["nothing", "x", "text", "../labels.txt"])
    return f"{config.name} warm-up {name}: {' '.join(str(sample).split())}"


def mutate_batch_tensors(rng: Random, draft: Draft) -> str:
    """Tensors that Triton makes of a batch."""
    if any(f.config and f.config.backend == "onnxruntime" for f in draft.folders.values()):
        return ""  # The stand-in backend refuses them, and the native one does not.
    made = 'batch_input { kind: BATCH_ELEMENT_COUNT target_name: "b" data_type: TYPE_%s %s }'
    split = 'batch_output { kind: BATCH_SCATTER_WITH_INPUT_SHAPE target_name: "%s" %s }'
    source = 'source_input: "x"'
    return merge(
        rng,
        draft,
        (
            made % ("INT32", source),
            made % ("INT64", source),
            made % ("FP32", source * 2),
            made % ("FP32", ""),
            made % ("FP32", 'source_input: "q"'),
            split % ("y", source),
            split % ("q", source),
            split % ("y", ""),
        ),
    )
