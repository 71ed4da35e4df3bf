"""A model's configuration, completed from its file and compared with it.

The native backends do both when a model is loaded, so that a mistake shows at once and not on the
first request. Their wording is kept, since people search for it. What is completed follows the
README of the native ONNX Runtime backend, section "Default Max Batch Size".
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = [
    "DEFAULT_MAX_BATCH_SIZE",
    "Interface",
    "ModelTensor",
    "complete",
    "find_mismatch",
    "find_unserved",
]

DEFAULT_MAX_BATCH_SIZE = 4
"""Triton's own `default-max-batch-size`."""


@dataclass(frozen=True)
class ModelTensor:
    """A tensor of the model file: Triton type (`TYPE_FP32`) and full shape, -1 for any length."""

    name: str
    data_type: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Interface:
    """A model file's inputs and outputs. `initializers` are weights that an input may replace."""

    inputs: Sequence[ModelTensor]
    outputs: Sequence[ModelTensor]
    initializers: Sequence[ModelTensor] = ()

    @property
    def can_batch(self) -> bool:
        """Whether every input and output has a first axis of any length."""
        return all(tensor.shape[:1] == (-1,) for tensor in (*self.inputs, *self.outputs))


def complete(config: MutableMapping[str, Any], model: Interface) -> None:
    """Fill in inputs or outputs, the batch limit and dynamic batching of a configuration.

    `config` is Triton's JSON form, changed in place; one that has inputs and outputs stays
    unchanged. Raises `ValueError` where it asks for batching and the model cannot batch.
    """
    if config["input"] and config["output"]:
        return
    if model.can_batch:
        config["max_batch_size"] = config["max_batch_size"] or DEFAULT_MAX_BATCH_SIZE
        if config["max_batch_size"] > 1 and "sequence_batching" not in config:
            config.setdefault("dynamic_batching", {})
    elif config["max_batch_size"]:
        raise ValueError(
            f"autofill failed for model '{config['name']}': model does not support batching while "
            "non-zero max_batch_size is specified"
        )
    for kind, tensors in (("input", model.inputs), ("output", model.outputs)):
        if not config[kind]:
            config[kind] = [_item(tensor, config["max_batch_size"] > 0) for tensor in tensors]


def find_unserved(config: Mapping[str, Any]) -> str | None:
    """What a configuration asks for that only the native backends can do, or `None`."""
    sequence = config.get("sequence_batching") or {}
    asked = {
        "sequence_batching with control_input": sequence.get("control_input"),
        "sequence_batching with state": sequence.get("state"),
        "batch_input": config.get("batch_input"),
        "batch_output": config.get("batch_output"),
        "allow_ragged_batch": any(item.get("allow_ragged_batch") for item in config["input"]),
    }
    for feature, value in asked.items():
        if value:
            return (
                f"unable to load model '{config['name']}', {feature} needs NVIDIA's own "
                "backend; serve this model with NVIDIA's container"
            )
    return None


def find_mismatch(config: Mapping[str, Any], model: Interface) -> str | None:
    """Where a model's configuration (Triton's JSON form) contradicts its file, or `None`.

    A configuration may leave out outputs, but not inputs; its optional inputs are initializers of
    the model. An axis that the model leaves open may be fixed for an input, not for an output.
    """
    name = config["name"]
    required = [item for item in config["input"] if not item.get("optional")]
    if len(required) != len(model.inputs):
        return (
            f"unable to load model '{name}', configuration expects {len(required)} inputs, model "
            f"provides {len(model.inputs)}"
        )
    for item in config["input"]:
        if item.get("optional") and config["max_batch_size"] > 0:
            return (
                f"unable to load model '{name}', optional input '{item['name']}' is not supported "
                "for models that support batching"
            )
    for kind, tensors in (
        ("input", (*model.inputs, *model.initializers)),
        ("output", model.outputs),
    ):
        known = {tensor.name: tensor for tensor in tensors}
        for item in config[kind]:
            problem = _tensor_mismatch(config, kind, item, known)
            if problem:
                return problem
    return None


def _item(tensor: ModelTensor, batched: bool) -> dict[str, Any]:
    dims = list(tensor.shape[1:] if batched else tensor.shape)
    item: dict[str, Any] = {
        "name": tensor.name,
        "data_type": tensor.data_type,
        "dims": dims or [1],
    }
    # Triton refuses an empty reshape where there is no batch axis.
    return item | {"reshape": {"shape": []}} if batched and not dims else item


def _tensor_mismatch(
    config: Mapping[str, Any], kind: str, item: Mapping[str, Any], known: Mapping[str, ModelTensor]
) -> str | None:
    tensor = known.get(item["name"])
    if tensor is None:
        return (
            f"unexpected inference {kind} '{item['name']}', allowed {kind}s are: "
            f"{', '.join(sorted(known))}"
        )
    if item["data_type"] != tensor.data_type:
        return (
            f"unable to load model '{config['name']}', configuration expects datatype "
            f"{item['data_type']} for {kind} '{tensor.name}', model provides {tensor.data_type}"
        )
    dims = tuple(int(dim) for dim in (item.get("reshape") or {"shape": item["dims"]})["shape"])
    exact = kind == "output"
    if config["max_batch_size"] > 0:
        return _batched_shape_mismatch(config["name"], tensor, dims, exact)
    return _shape_mismatch(config["name"], tensor, dims, exact)


def _batched_shape_mismatch(
    model: str, tensor: ModelTensor, dims: tuple[int, ...], exact: bool
) -> str | None:
    if tensor.shape[:1] != (-1,):
        return (
            f"model '{model}', tensor '{tensor.name}': for the model to support batching the "
            "shape should have at least 1 dimension and the first dimension must be -1; but "
            f"shape expected by the model is {_text(tensor.shape)}"
        )
    full = (-1, *dims)
    if _fits(tensor.shape, full, exact):
        return None
    return (
        f"model '{model}', tensor '{tensor.name}': the model expects {len(tensor.shape)} "
        f"dimensions (shape {_text(tensor.shape)}) but the model configuration specifies "
        f"{len(full)} dimensions (an initial batch dimension because max_batch_size > 0 followed "
        f"by the explicit tensor shape, making complete shape {_text(full)})"
    )


def _shape_mismatch(
    model: str, tensor: ModelTensor, dims: tuple[int, ...], exact: bool
) -> str | None:
    if not tensor.shape:
        if all(dim == 1 for dim in dims):
            return None
        return (
            f"unable to load model '{model}', scalar tensor '{tensor.name}', should only provide "
            "1 in the model configuration when the model doesn't support batching. Model "
            f"configuration provided: {_text(dims)}."
        )
    if _fits(tensor.shape, dims, exact):
        return None
    return (
        f"model '{model}', tensor '{tensor.name}': the model expects {len(tensor.shape)} "
        f"dimensions (shape {_text(tensor.shape)}) but the model configuration specifies "
        f"{len(dims)} dimensions (shape {_text(dims)})"
    )


def _fits(model: tuple[int, ...], configured: tuple[int, ...], exact: bool) -> bool:
    return len(model) == len(configured) and all(
        have == want or (have == -1 and not exact)
        for have, want in zip(model, configured, strict=True)
    )


def _text(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"
