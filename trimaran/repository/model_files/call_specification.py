"""The names that Triton gives to the tensors of an AOTI package, from its call specification.

The specification is JSON of torch's pytree: how the positional arguments, the keyword arguments and
the results nest. Triton names tensors by their place there (`ARGS[0]`, `ARGS[1][mask]`,
`KWARGSmask`, `RESULT[0]`, and `RESULT` for a single tensor), and by their number (`INPUT__0`,
`OUTPUT__0`). A configuration has to use these names.

Source: `src/pt2/call_spec.cc`, `model_state.cc` and `model_instance_state.cc` of
triton-inference-server/pytorch_backend.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

__all__ = [
    "CALL_REMEDY",
    "INPUT_NAME",
    "RESULT_NAME",
    "find_specifications",
    "input_names",
    "result_names",
]

CALL_REMEDY = "compile a module whose forward takes and returns tensors"


INPUT_NAME = re.compile(r"INPUT__\d+|ARGS(\[[^][]*\])+|KWARGS.+")
RESULT_NAME = re.compile(r"OUTPUT__\d+|RESULT(\[[^][]*\])*")

_TUPLE, _LIST, _DICT = "builtins.tuple", "builtins.list", "builtins.dict"
_DEEPEST = 32
_WRITTEN = re.compile(r'\b(in|out)_spec_ = R"\((.*?)\)";')


def find_specifications(source: str) -> tuple[str, str] | None:
    """How the arguments and the results nest, from a package's generated source, if it says so."""
    found = dict(_WRITTEN.findall(source))
    return (found["in"], found["out"]) if found.keys() == {"in", "out"} else None


def input_names(specification: str) -> list[str]:
    """The inputs in the order in which the package takes them.

    Raises `ValueError` for arguments that Triton does not pass.
    """
    top = _parsed(specification)
    children = _children(top)
    if [_type(child) for child in (top, *children)] != [_TUPLE, _TUPLE, _DICT]:
        raise ValueError("its call specification is not a tuple of arguments and keyword arguments")
    positional, keywords = children
    for key, child in zip(_keys(keywords), _children(keywords), strict=True):
        if _type(child) is not None:
            raise ValueError(f"its keyword argument {key!r} is not a tensor")
    return [
        *(f"ARGS{place}" for place in _places(positional)),
        *(f"KWARGS{key}" for key in _keys(keywords)),
    ]


def result_names(specification: str) -> list[str]:
    """The outputs in the order in which the package gives them.

    Raises `ValueError` for results that Triton does not take.
    """
    return [f"RESULT{place}" for place in _places(_parsed(specification)) or [""]]


def _parsed(specification: str) -> dict[str, Any]:
    try:
        version_and_spec = json.loads(specification)
    except json.JSONDecodeError as error:
        raise ValueError(f"its call specification is no JSON: {error}") from error
    match version_and_spec:
        case [_, dict() as spec]:
            return spec
    raise ValueError("its call specification is not a version and a tree")


def _places(spec: Any, depth: int = 0) -> list[str]:
    """The place of each tensor below a tuple, list or dictionary; none for a tensor itself."""
    if depth > _DEEPEST:
        raise ValueError(f"its call specification is nested more than {_DEEPEST} deep")
    if _type(spec) is None:
        return []
    keys: Sequence[object] = _keys(spec) if _type(spec) == _DICT else range(len(_children(spec)))
    return [
        f"[{key}]{below}"
        for key, child in zip(keys, _children(spec), strict=True)
        for below in _places(child, depth + 1) or [""]
    ]


def _type(spec: Any) -> str | None:
    """`None` for a tensor."""
    found = spec.get("type") if isinstance(spec, dict) else "nothing"
    if found is None or found in (_TUPLE, _LIST, _DICT):
        return found
    raise ValueError(
        f"its call specification holds {found!r}, and Triton takes tensors, tuples, lists and "
        "dictionaries"
    )


def _children(spec: Any) -> list[Any]:
    children = spec.get("children_spec")
    if not isinstance(children, list):
        raise ValueError("its call specification has a node without children_spec")
    return children


def _keys(spec: Any) -> list[str]:
    context = spec.get("context")
    try:
        keys = json.loads(context) if isinstance(context, str) else context
    except json.JSONDecodeError:
        keys = None
    if (
        not isinstance(keys, list)
        or len(keys) != len(_children(spec))
        or not all(isinstance(key, str) for key in keys)
    ):
        raise ValueError("its call specification has a dictionary whose keys are not texts")
    return keys
