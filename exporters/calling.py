"""How a module is called and what it answers: tensors in order on both sides."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from trimaran.system.errors import TrimaranError

__all__ = [
    "PositionalModule",
    "misplaced_input",
    "read_outputs",
    "takes_by_name",
    "takes_one_collection",
    "unpassable_argument",
]


class PositionalModule(nn.Module):
    """A module called with tensors in order, and answering a tuple in the order of the outputs.

    `input_names` says what the tensors are called: they are passed by keyword where the module's
    `forward` has a parameter of each name (`takes_by_name`), and by position otherwise, or where no
    names are given. `read_outputs` says which answers are understood.
    """

    def __init__(
        self, module: nn.Module, output_names: Sequence[str], input_names: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.module = module
        self.output_names = tuple(output_names)
        self.input_names = tuple(input_names)
        self.by_name = bool(input_names) and takes_by_name(module, input_names)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Whatever the original takes; one tensor per output name. Raises `TrimaranError`."""
        if self.by_name:
            result = self.module(**dict(zip(self.input_names, inputs, strict=True)))
        else:
            result = self.module(*inputs)
        return tuple(_settled(tensor) for tensor in read_outputs(result, self.output_names))


def _settled(tensor: Tensor) -> Tensor:
    """The tensor with a pending conjugation or negation carried out.

    A server reads the numbers as they are in memory. Dynamo cannot see what is pending.
    """
    if torch.compiler.is_dynamo_compiling():
        return tensor
    if tensor.is_conj():
        return tensor.resolve_conj()
    return tensor.resolve_neg() if tensor.is_neg() else tensor


def takes_by_name(module: nn.Module, names: Sequence[str]) -> bool:
    """Whether `forward` has a parameter, which can be given by keyword, of each of the names."""
    return set(names) <= set(_parameters(module, _NAMED))


def misplaced_input(module: nn.Module, names: Sequence[str]) -> tuple[str, str] | None:
    """An input and the parameter that it would be given to though another has the input's name.

    This happens only where inputs are passed by position, as not every name is a parameter's.
    """
    if takes_by_name(module, names):
        return None
    parameters = _parameters(module, _NAMED)
    by_position = _parameters(module, _POSITIONAL)
    for name, parameter in zip(names, by_position, strict=False):
        if name != parameter and name in parameters:
            return name, parameter
    return None


def takes_one_collection(module: nn.Module, inputs: Mapping[str, Tensor]) -> str | None:
    """`dict`, `list` or `tuple` where `forward` answers when it gets all inputs as one of these."""
    collections: Mapping[str, Any] = {
        "dict": dict(inputs),
        "list": list(inputs.values()),
        "tuple": tuple(inputs.values()),
    }
    for kind, value in collections.items():
        with suppress(Exception), torch.no_grad():
            module(value)
            return kind
    return None


def unpassable_argument(schema: Any, *, passed: Sequence[str] = ("Tensor",)) -> Any | None:
    """The first argument of a TorchScript `forward` that is none of the types `passed`, or `None`.

    `schema` is that of the compiled `forward`, whose first argument is the module itself.
    """
    return next((item for item in schema.arguments[1:] if str(item.type) not in passed), None)


def read_outputs(result: Any, names: Sequence[str]) -> tuple[Tensor, ...]:
    """The tensors of what a module answers, in the order of `names`.

    A mapping or a dataclass (so every `ModelOutput` of transformers) is read by name, and may hold
    more; a nested tensor is named by its path: `hidden_states_0`. Tuples and lists are read in
    order, nested ones too, without `None`; a named tuple by name where it has the names.

    Raises `TrimaranError` where a name is missing or the number of tensors is another.
    """
    if isinstance(result, Tensor):
        result = (result,)
    by_name = isinstance(result, Mapping) or dataclasses.is_dataclass(result)
    named = dict(_leaves(result, ""))
    if by_name or (hasattr(result, "_fields") and set(names) <= set(named)):
        missing = [name for name in names if name not in named]
        if missing:
            raise TrimaranError(
                f"the module answers {', '.join(map(repr, named)) or 'no tensors'}, "
                f"and not {missing[0]!r}; name outputs as the module does"
            )
        return tuple(named[name] for name in names)
    if not isinstance(result, tuple | list):
        raise TrimaranError(
            f"the module answers {type(result).__name__}; answer a tensor, a tuple of tensors, or "
            "tensors by name"
        )
    found = tuple(named.values())
    if len(found) != len(names):
        raise TrimaranError(
            f"the module answers {len(found)} tensors, output_names has {len(names)}; name each "
            "tensor once, in order (numbers and text among them are left out)"
        )
    return found


_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _parameters(module: nn.Module, kinds: Sequence[Any]) -> list[str]:
    try:
        signature = inspect.signature(module.forward)
    except (TypeError, ValueError):  # compiled code has none
        return []
    return [name for name, item in signature.parameters.items() if item.kind in kinds]


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Tensor]]:
    """Every tensor in nested tuples, lists, mappings and dataclasses, with its path."""
    if isinstance(value, Tensor):
        yield path, value
        return
    for key, item in _items(value):
        yield from _leaves(item, f"{path}_{key}" if path else str(key))


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        yield from value.items()
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield field.name, getattr(value, field.name)
    elif isinstance(value, tuple | list):
        names = getattr(value, "_fields", range(len(value)))
        yield from zip(names, value, strict=True)
