"""What a configuration promises to clients, held against what the model file really is.

The native backends do this when a model is loaded, so that a mistake shows at once and not on
the first request. Their wording is kept, since people search for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trimaran.tensors import describe_shape, shapes_agree

__all__ = ["DEFAULT_MAX_BATCH_SIZE", "ModelTensor", "complete", "find_mismatch"]

DEFAULT_MAX_BATCH_SIZE = 4
"""What Triton fills in for a model that can batch and does not say how far
(`default-max-batch-size`)."""


@dataclass(frozen=True)
class ModelTensor:
    """A tensor of the model file: Triton type (`TYPE_FP32`) and full shape, -1 for any length."""

    name: str
    data_type: str
    shape: tuple[int, ...]


def find_mismatch(
    config: Mapping[str, Any], inputs: Sequence[ModelTensor], outputs: Sequence[ModelTensor]
) -> str | None:
    """Where a model's configuration (Triton's JSON form) contradicts its file, or `None`.

    A configuration may leave out outputs, but not inputs.
    """
    name = config["name"]
    declared = config["input"]
    if len(declared) != len(inputs):
        return (
            f"unable to load model '{name}', configuration expects {len(declared)} inputs, model "
            f"provides {len(inputs)}"
        )
    for kind, tensors in (("input", inputs), ("output", outputs)):
        known = {tensor.name: tensor for tensor in tensors}
        for item in config[kind]:
            tensor = known.get(item["name"])
            if tensor is None:
                return (
                    f"unexpected inference {kind} '{item['name']}', allowed {kind}s are: "
                    f"{', '.join(known)}"
                )
            problem = _tensor_mismatch(name, item, tensor, config["max_batch_size"])
            if problem:
                return problem
    return None


def _tensor_mismatch(
    model: str, item: Mapping[str, Any], tensor: ModelTensor, max_batch_size: int
) -> str | None:
    if item["data_type"] != tensor.data_type:
        return (
            f"unexpected datatype {tensor.data_type} for tensor '{tensor.name}' of model "
            f"'{model}', the model configuration expects {item['data_type']}"
        )
    if max_batch_size > 0 and (not tensor.shape or tensor.shape[0] != -1):
        return (
            f"model '{model}', tensor '{tensor.name}': for the model to support batching the "
            f"shape should have at least 1 dimension and the first dimension must be -1; but "
            f"shape expected by the model is {describe_shape(tensor.shape)}"
        )
    declared = item["reshape"]["shape"] if "reshape" in item else item["dims"]
    full = (*((-1,) if max_batch_size > 0 else ()), *(int(dim) for dim in declared))
    if not shapes_agree(full, tensor.shape):
        return (
            f"model '{model}', tensor '{tensor.name}': the model expects {len(tensor.shape)} "
            f"dimensions (shape {describe_shape(tensor.shape)}) but the model configuration "
            f"specifies {len(full)} dimensions (shape {describe_shape(full)})"
        )
    return None


def complete(config: Any, inputs: Sequence[ModelTensor], outputs: Sequence[ModelTensor]) -> None:
    """Fill in what a configuration leaves out, as the native ONNX Runtime backend does.

    `config` is a `pb_utils.ModelConfig`. A model whose tensors all have a dynamic first axis gets
    `DEFAULT_MAX_BATCH_SIZE` and dynamic batching where no limit is given.
    """
    given = config.as_dict()
    batched = given["max_batch_size"] > 0
    if not batched and all(t.shape and t.shape[0] == -1 for t in (*inputs, *outputs)):
        config.set_max_batch_size(DEFAULT_MAX_BATCH_SIZE)
        config.set_dynamic_batching()
        batched = True
    for items, tensors, add in (
        (given["input"], inputs, config.add_input),
        (given["output"], outputs, config.add_output),
    ):
        if items:
            continue
        for tensor in tensors:
            dims = list(tensor.shape[1:] if batched else tensor.shape)
            added: dict[str, object] = {
                "name": tensor.name,
                "data_type": tensor.data_type,
                "dims": dims or [1],
            }
            if not dims:
                added["reshape"] = {"shape": []}
            add(added)
