"""Which argument of `forward` a configured input is, and which of its results an output is.

TorchScript keeps the arguments' names and types, and nothing about results, so results are checked
after every call. The rules and the wording are those of the native PyTorch backend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trimaran.repository.dtypes import DTYPES

__all__ = [
    "Argument",
    "as_array",
    "as_values",
    "call_order",
    "find_refusal",
    "output_positions",
    "takes_dictionary",
]

_SERVED = {f"TYPE_{name}" for name in ("BOOL", "UINT8", "FP16", "FP32", "FP64", "STRING")} | {
    f"TYPE_INT{bits}" for bits in (8, 16, 32, 64)
}
_TYPES = {f"torch.{dtype.torch}": dtype.config for dtype in DTYPES if dtype.torch}


@dataclass(frozen=True)
class Argument:
    """An argument of `forward`, with the class of its type (`DictType`) and its type in words
    (`Dict[str, Tensor]`).
    """

    name: str
    kind: str
    type: str


def find_refusal(config: Mapping[str, Any]) -> str | None:
    """Why the native backend refuses a configuration, whatever the model, or `None`."""
    for item in config["input"]:
        if item.get("optional"):
            return (
                f"'optional' is set to true for input '{item['name']}' while the backend model "
                "doesn't support optional input"
            )
    if not config["output"]:
        return "model configuration must contain at least one output, none were specified."
    for kind in ("input", "output"):
        for item in config[kind]:
            if item["data_type"] not in _SERVED:
                return (
                    f"unsupported datatype {item['data_type']} for {kind} '{item['name']}' for "
                    f"model '{config['name']}'"
                )
            dims = (item.get("reshape") or {"shape": item["dims"]})["shape"]
            axes = len(dims) + (1 if config["max_batch_size"] > 0 else 0)
            if item["data_type"] == "TYPE_STRING" and axes > 1:
                return (
                    f"Triton only supports 1 dimensional List of String as {kind} for "
                    f"'{item['name']}' for model '{config['name']}'"
                )
    return None


def takes_dictionary(arguments: Sequence[Argument]) -> bool:
    """Whether `forward` takes all inputs in one dictionary, by their configured names."""
    return len(arguments) == 1 and arguments[0].kind == "DictType"


def call_order(config: Mapping[str, Any], arguments: Sequence[Argument]) -> list[str]:
    """Input names in the order of `forward`'s arguments. Raises `ValueError` where none fits.

    Either all are named as the arguments are, or all as `<name>__<index>`, or else they come in the
    order of the configuration.
    """
    names = [item["name"] for item in config["input"]]
    if takes_dictionary(arguments):
        if not names:
            raise ValueError(
                "model configuration must contain at least one input, none were specified."
            )
        return names
    _require_tensors(arguments)
    if len(names) != len(arguments):
        raise ValueError(
            f"unable to load model '{config['name']}', configuration expects {len(names)} inputs, "
            f"model provides {len(arguments)}"
        )
    order = [argument.name for argument in arguments]
    if set(names) == set(order):
        return order
    positions = _indices(names)
    if positions is None:
        return names
    if sorted(positions) != list(range(len(names))):
        raise ValueError(
            f"unable to load model '{config['name']}', its inputs {', '.join(names)} do not have "
            f"the indices 0 to {len(names) - 1}"
        )
    return sorted(names, key=lambda name: positions[names.index(name)])


def output_positions(config: Mapping[str, Any]) -> dict[str, int]:
    """The place of every output among `forward`'s results.

    By `<name>__<index>` if all are named so, or else in the order of the configuration.
    """
    names = [item["name"] for item in config["output"]]
    positions = _indices(names)
    return dict(zip(names, range(len(names)) if positions is None else positions, strict=True))


def as_values(result: Any) -> tuple[Any, ...]:
    """The tensors and lists of text that a call returned. Raises `TypeError` for anything else."""
    if isinstance(result, tuple):
        for index, value in enumerate(result):
            _require_servable(value, f"output at index {index}")
        return result
    _require_servable(result, "output")
    return (result,)


def as_array(item: Mapping[str, Any], position: int, values: Sequence[Any]) -> np.ndarray:
    """The value of one output, `item` of the configuration, which is number `position`.

    Raises `ValueError` where there is none, or it is a scalar or of another type than configured.
    """
    name, wanted = item["name"], item["data_type"]
    if position >= len(values):
        raise ValueError(
            f"The output {name} in the model configuration refers to an output index which "
            f"doesn't exist. This model has {len(values)} outputs"
        )
    value = values[position]
    is_text = isinstance(value, list)
    found = "TYPE_STRING" if is_text else _TYPES.get(str(value.dtype), "TYPE_INVALID")
    if found != wanted:
        raise ValueError(
            f"configuration expects datatype {wanted} for output '{name}', model provides {found}"
        )
    if is_text:
        return np.array(value, dtype=object)
    if value.dim() == 0:
        raise ValueError(f"output '{name}' is a scalar which is not supported.")
    array: np.ndarray = value.numpy()
    return array


def _require_tensors(arguments: Sequence[Argument]) -> None:
    if any(argument.kind == "DictType" for argument in arguments[1:]):
        raise ValueError(
            "Multiple inputs of kind DictType were detected. Only a single input of type "
            "Dict(str, Tensor) is supported."
        )
    for argument in arguments:
        if argument.kind not in ("TensorType", "ListType"):
            raise ValueError(
                f"An input of type '{argument.type}' was detected in the model. Only a single "
                "input of type Dict(str, Tensor) or input(s) of type Tensor are supported."
            )


def _indices(names: Sequence[str]) -> list[int] | None:
    indices = [name.partition("__")[2] for name in names]
    return [int(index) for index in indices] if all(map(str.isdecimal, indices)) else None


def _require_servable(value: Any, what: str) -> None:
    import torch

    is_text = isinstance(value, list) and all(isinstance(text, str) for text in value)
    if not is_text and not isinstance(value, torch.Tensor):
        raise TypeError(
            f"{what} must be of type Tensor, List[str] or Tuple containing one of these two "
            "types. It should not be a List / Dictionary of Tensors or a Scalar"
        )
