"""Rows of JSON become tensors, by one table for every command that takes them.

| JSON | becomes |
|---|---|
| text for BYTES | its UTF-8 bytes |
| a number for an integer type | itself; refused if the type does not hold it exactly |
| a number for FP16, FP32 or FP64 | the nearest one; refused if that is infinite, or 0 for another |
| `NaN`, `Infinity` and `-Infinity`, which Python writes, for FP16, FP32 or FP64 | themselves |
| true and false, 1 and 0 for BOOL | true and false |
| null for an optional input | the input is left out, as a missing value |
| lists | the axes; a value alone is a list of one |
| a value of another kind, such as null or a number for BYTES, or true for FP32 | refused |

A byte order mark is skipped. In JSON Lines a row ends at a line feed, and at no other character
that Unicode counts as the end of a line. Answers are written as JSON too: numbers that it lacks
become the texts `"NaN"`, `"Infinity"` and `"-Infinity"`.
"""

from __future__ import annotations

import base64
import io
import json
import math
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from trimaran.repository.config import ModelConfig, inputs_of
from trimaran.repository.dtypes import DType, describe_shape, shapes_agree
from trimaran.system.errors import TrimaranError, UsageError

__all__ = [
    "STDIN",
    "as_array",
    "json_values",
    "read_json",
    "read_rows",
    "row_of",
    "text_or_base64",
]

STDIN = "-"
_MARK = "\ufeff"
_KINDS = {str: "text", bool: "a truth value", type(None): "null", dict: "an object"}
_SHOWN = 40


def read_rows(source: Path) -> list[Any]:
    """The rows in a file of JSON, or of JSON Lines if it is named `.jsonl`; `-` is standard input.

    One object is one row. Raises `UsageError`.
    """
    text = _text(source)
    if source.suffix.lower() == ".jsonl":
        lines = enumerate(text.split("\n"), 1)
        return [_parsed(line, f"{source}, line {at}") for at, line in lines if line.strip()]
    given = _parsed(text, str(source))
    return given if isinstance(given, list) else [given]


def read_json(source: Path) -> Any:
    """What a file of JSON holds; `-` is standard input. Raises `UsageError`."""
    return _parsed(_text(source), str(source))


def row_of(config: ModelConfig, given: Any, where: str) -> dict[str, np.ndarray]:
    """One row by input name, from JSON's values; with a batch axis of 1 where the model batches.

    Optional inputs may be left out. Raises `UsageError` naming `where` and the input at fault.
    """
    if not isinstance(given, dict):
        raise UsageError(f"{where} is not an object with the inputs' names")
    specs = {spec.name: spec for spec in inputs_of(config)}
    unknown = sorted(given.keys() - specs.keys())
    if unknown:
        raise UsageError(
            f"{where}: {config.name} has no input {unknown[0]!r}; it has {', '.join(specs)}"
        )
    arrays = {}
    for name, spec in specs.items():
        value = given.get(name)
        if spec.optional and value is None:
            continue
        if name not in given:
            raise UsageError(f"{where}: input {name!r} is missing")
        values = value if isinstance(value, list) else [value]
        array = as_array(values, spec.dtype, f"{where}: input {name!r}")
        if not shapes_agree(array.shape, spec.dims):
            raise UsageError(
                f"{where}: input {name!r} has the shape {describe_shape(array.shape)}; expected "
                f"{describe_shape(spec.dims)}"
            )
        arrays[name] = array[None] if config.max_batch_size > 0 else array
    if not arrays:
        raise UsageError(
            f"{where}: every input is left out; give at least one of {', '.join(specs)}"
        )
    return arrays


def as_array(value: Any, dtype: DType, where: str) -> np.ndarray:
    """Nested lists as an array of a Triton type, by the table above; bytes stay as they are.

    Raises `TrimaranError` naming `where` for values that do not fit.
    """
    if dtype.numpy is None:
        raise TrimaranError(f"{where}: {dtype.triton} cannot be given as JSON")
    given = np.asarray(value, dtype=object)
    values = given.reshape(-1).tolist()
    _refuse_kinds(values, dtype, where)
    if dtype.triton == "BYTES":
        encoded = np.empty(len(values), dtype=object)
        encoded[:] = [_encoded(item, dtype, where) for item in values]
        return encoded.reshape(given.shape)
    array = np.empty(len(values), dtype=dtype.numpy)
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            array[:] = values
    except (OverflowError, ValueError):  # an integer beyond the type, or NaN for an integer
        array = np.concatenate([_alone(item, dtype) for item in values])
    _refuse_changed(values, array, dtype, where)
    return array.reshape(given.shape)


def json_values(value: Any) -> Any:
    """Nested lists as JSON can hold them: text for a number that it lacks."""
    if isinstance(value, list):
        return [json_values(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _text(source: Path) -> str:
    try:
        if str(source) == STDIN:
            if isinstance(sys.stdin, io.TextIOWrapper):
                sys.stdin.reconfigure(encoding="utf-8", errors="strict")
            text = sys.stdin.read()
        else:
            text = source.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"{source} is not readable JSON: {error}") from error
    return text.removeprefix(_MARK)


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text, parse_float=_finite)
    except RecursionError:
        raise UsageError(f"{where} is not readable JSON: it is nested too deeply") from None
    except ValueError as error:
        raise UsageError(f"{where} is not readable JSON: {error}") from error


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"no type holds {text[:_SHOWN]}")
    return number


def _encoded(item: str | bytes, dtype: DType, where: str) -> bytes:
    try:
        return item if isinstance(item, bytes) else item.encode()
    except UnicodeEncodeError:
        raise TrimaranError(
            f"{where}: does not fit {dtype.triton}: {_shown(item)} has half of a surrogate pair"
        ) from None


def _refuse_kinds(values: Iterable[Any], dtype: DType, where: str) -> None:
    """Refuse values of a kind that the type does not take. Raises `TrimaranError`."""
    allowed: set[type]
    if dtype.triton == "BYTES":
        allowed, expected = {str, bytes}, "text in quotes"
    elif dtype.triton == "BOOL":
        allowed, expected = {bool, int}, "true or false"
    else:
        allowed, expected = {int, float}, "a number"
    for kind in set(map(type, values)) - allowed:
        item = next(item for item in values if type(item) is kind)
        if kind is list:
            reason = "lists on one axis have different lengths"
        else:
            reason = f"{_shown(item)} is {_KINDS.get(kind, 'a number')}; expected {expected}"
        raise TrimaranError(f"{where}: does not fit {dtype.triton}: {reason}")


def _refuse_changed(values: list[Any], array: np.ndarray, dtype: DType, where: str) -> None:
    """Refuse a number that became another: an integer in any way, a floating one at the ends."""
    if dtype.is_floating:
        suspect = np.isinf(array) | (array == 0)
        for at in np.flatnonzero(suspect):
            item = values[at]
            if item != 0 and not (isinstance(item, float) and math.isinf(item)):
                raise TrimaranError(f"{where}: {_shown(item)} does not fit {dtype.triton}")
        return
    for item, found in zip(values, array.tolist(), strict=True):
        if item != found:
            raise TrimaranError(f"{where}: {_shown(item)} does not fit {dtype.triton}")


def _alone(value: Any, dtype: DType) -> np.ndarray:
    """One number in the type, `[1]`; another number where the type has no room for it."""
    array = np.zeros(1, dtype=dtype.numpy)
    with suppress(OverflowError, ValueError), np.errstate(over="ignore", invalid="ignore"):
        array[0] = value
    return array


def _shown(value: Any) -> str:
    text = json.dumps(value, default=repr)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def text_or_base64(value: Any) -> Any:
    """A value of a tensor as JSON has it: bytes as the text that they are, or else as base64."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()
