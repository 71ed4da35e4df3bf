"""Golden requests: a model must answer them as expected before it goes live.

They are in the model's directory as `golden/<name>.json`, along with the files that they name:

```json
{
  "inputs": {"IMAGE": {"file": "chelsea.jpg"}},
  "expect": {"LABEL": {"contains": "cat"}, "PROBABILITY": {"near": [0.4], "atol": 0.1}}
}
```

An input is a `file` (its bytes) or a `value` (nested lists), for one row, without the batch axis.
An expectation is `contains` (a text within one of the values), `equals` (all values) or `near`
(the first values, within `atol`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trimaran.repository.config import ModelConfig, inputs_of
from trimaran.repository.repository import Repository
from trimaran.serving.client import Client
from trimaran.serving.json_rows import as_array
from trimaran.system.errors import TrimaranError

__all__ = ["GoldenRequest", "check_golden", "example_row", "read_golden", "unmet"]

_KEYS = ("inputs", "expect")
_SOURCES = ("file", "value")
_EXPECTATIONS = ("contains", "equals", "near", "atol")


@dataclass(frozen=True)
class GoldenRequest:
    """One request and the expectations on its answer."""

    name: str
    inputs: Mapping[str, np.ndarray]
    expect: Mapping[str, Mapping[str, Any]]


def read_golden(repository: Repository, config: ModelConfig) -> list[GoldenRequest]:
    """An ensemble's golden requests, by name. Raises `TrimaranError` for an unusable one."""
    directory = repository.model(config.name) / "golden"
    return [_read(path, config) for path in sorted(directory.glob("*.json"))]


def example_row(repository: Repository, model: str) -> dict[str, Any] | None:
    """One row of the first golden request whose inputs are single values, by input name."""
    for path in sorted((repository.model(model) / "golden").glob("*.json")):
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            given = json.loads(path.read_text(encoding="utf-8"))["inputs"]
            values = {name: item["value"] for name, item in given.items()}
            if all(len(value) == 1 for value in values.values()):
                return {name: value[0] for name, value in values.items()}
    return None


def check_golden(client: Client, model: str, requests: list[GoldenRequest]) -> None:
    """Send every request to `model`. Raises `TrimaranError` with the first unmet expectation."""
    for request in requests:
        try:
            answer = client.infer(model, request.inputs)
        except TrimaranError as error:
            raise TrimaranError(f"golden request {request.name!r} failed: {error}") from error
        for output, expectation in request.expect.items():
            problem = unmet(answer.outputs.get(output), expectation)
            if problem:
                raise TrimaranError(f"golden request {request.name!r}: {output} {problem}")


def unmet(array: np.ndarray | None, expectation: Mapping[str, Any]) -> str | None:
    """Why an output does not meet an expectation, or `None` if it does."""
    if array is None:
        return "is missing from the answer"
    values = [v.decode(errors="replace") if isinstance(v, bytes) else v for v in array.reshape(-1)]
    if "contains" in expectation:
        wanted = expectation["contains"]
        if not any(wanted in str(value) for value in values):
            return f"is {values}, and none contains {wanted!r}"
    if "equals" in expectation and values != expectation["equals"]:
        return f"is {values}, not {expectation['equals']}"
    if "near" in expectation:
        wanted, atol = expectation["near"], float(expectation.get("atol", 0.0))
        found = [float(value) for value in values[: len(wanted)]]
        if len(found) != len(wanted) or not np.allclose(found, wanted, rtol=0.0, atol=atol):
            return f"begins with {found}, not within {atol:g} of {wanted}"
    return None


def _read(path: Path, config: ModelConfig) -> GoldenRequest:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        _refuse_keys(path, "it", record, _KEYS)
        given, expect = record["inputs"], record["expect"]
        specs = inputs_of(config)
        _refuse_keys(path, "inputs", given, {spec.name for spec in specs}, whole=False)
        for name, item in given.items():
            _refuse_keys(path, f"input {name!r}", item, _SOURCES, whole=False)
        for name, item in expect.items():
            _refuse_keys(path, f"expect of {name!r}", item, _EXPECTATIONS, whole=False)
        inputs = {}
        for spec in specs:
            if spec.name not in given:
                continue
            item = given[spec.name]
            where = f"{path}: input {spec.name}"
            value = [_file(path, item["file"])] if "file" in item else item["value"]
            array = as_array(value, spec.dtype, where)
            inputs[spec.name] = array[None] if config.max_batch_size > 0 else array
    except OSError as error:
        raise TrimaranError(f"{path}: is not a golden request: {error}") from error
    except RecursionError:
        raise TrimaranError(f"{path}: is not a golden request: it is nested too deeply") from None
    except ValueError as error:
        raise TrimaranError(f"{path}: is not JSON in UTF-8: {error}") from error
    return GoldenRequest(path.stem, inputs, expect)


def _refuse_keys(
    path: Path, what: str, found: object, known: Collection[str], *, whole: bool = True
) -> None:
    """Refuse an object with a key that is not among `known`, and with none, or not the `whole`.

    Raises `TrimaranError`.
    """
    keys = ", ".join(sorted(known))
    if not isinstance(found, dict):
        raise TrimaranError(f"{path}: {what} is no object with {keys}")
    for key in found:
        if key not in known:
            raise TrimaranError(f"{path}: {what} has the key {key!r}; choose from {keys}")
    if not found or (whole and len(found) < len(known)):
        raise TrimaranError(f"{path}: {what} lacks a key; expected {keys}")


def _file(path: Path, name: str) -> bytes:
    target = (path.parent / name).resolve()
    if not target.is_relative_to(path.parent.resolve()):
        raise TrimaranError(f"{path}: file {name!r} is outside of {path.parent}")
    return target.read_bytes()
