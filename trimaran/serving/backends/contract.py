"""What a configuration promises to clients, held against what the model file really is.

The native backends do this when a model is loaded, so that a mistake shows at once and not on
the first request. Their wording is kept, since people search for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Interface", "ModelTensor", "find_mismatch", "find_unserved"]


@dataclass(frozen=True)
class ModelTensor:
    """A tensor of the model file: Triton type (`TYPE_FP32`) and full shape, -1 for any length."""

    name: str
    data_type: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Interface:
    """What a model file takes and gives. `initializers` are weights that an input may replace."""

    inputs: Sequence[ModelTensor]
    outputs: Sequence[ModelTensor]
    initializers: Sequence[ModelTensor] = ()

    @property
    def can_batch(self) -> bool:
        """Whether every input and output has a first axis of any length."""
        return all(tensor.shape[:1] == (-1,) for tensor in (*self.inputs, *self.outputs))


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
                f"unable to load model '{config['name']}', {feature} needs the native backend; "
                "serve this model with NVIDIA's container"
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
