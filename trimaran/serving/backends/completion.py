"""What a configuration leaves out, filled in from the model file.

Done as the native ONNX Runtime backend does it; its README's section "Default Max Batch Size" has
the rule.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from trimaran.serving.backends.contract import Interface, ModelTensor

__all__ = ["DEFAULT_MAX_BATCH_SIZE", "complete"]

DEFAULT_MAX_BATCH_SIZE = 4
"""Triton's own `default-max-batch-size`."""


def complete(config: MutableMapping[str, Any], model: Interface) -> None:
    """Fill in inputs or outputs, the batch limit and dynamic batching of a configuration.

    `config` is Triton's JSON form, changed in place; one that has inputs and outputs is left as it
    is. Raises `ValueError` where it asks for batching and the model cannot batch.
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


def _item(tensor: ModelTensor, batched: bool) -> dict[str, Any]:
    dims = list(tensor.shape[1:] if batched else tensor.shape)
    item: dict[str, Any] = {
        "name": tensor.name,
        "data_type": tensor.data_type,
        "dims": dims or [1],
    }
    # Triton refuses an empty reshape where there is no batch axis.
    return item | {"reshape": {"shape": []}} if batched and not dims else item
