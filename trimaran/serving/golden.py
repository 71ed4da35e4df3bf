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
(the first values, within `atol`). Values fit a type as in `trimaran.serving.json_rows`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trimaran.repository.config import ModelConfig, inputs_of, outputs_of
from trimaran.repository.dtypes import TensorSpec, by_triton
from trimaran.repository.repository import Repository
from trimaran.served.prediction_line import TRIAL
from trimaran.serving.client import Client
from trimaran.serving.json_rows import as_array, read_json, row_of
from trimaran.system.errors import TrimaranError

__all__ = ["GoldenRequest", "check_golden", "example_row", "read_golden", "unmet", "usable_golden"]

_KEYS = ("inputs", "expect")
_SOURCES = ("file", "value")
_EXPECTATIONS = ("contains", "equals", "near", "atol")


@dataclass(frozen=True)
class GoldenRequest:
    """One request and the expectations on its answer.

    `values` are the inputs as JSON has them, without those that come from a file.
    """

    name: str
    inputs: Mapping[str, np.ndarray]
    expect: Mapping[str, Mapping[str, Any]]
    values: Mapping[str, Any]


def read_golden(repository: Repository, config: ModelConfig) -> list[GoldenRequest]:
    """A model's golden requests, by name. Raises `TrimaranError` for an unusable one."""
    return [_read(path, config) for path in _paths(repository, config)]


def usable_golden(repository: Repository, config: ModelConfig) -> Iterator[GoldenRequest]:
    """A model's golden requests without the unusable ones: only a deployment depends on those."""
    for path in _paths(repository, config):
        with suppress(TrimaranError):
            yield _read(path, config)


def example_row(repository: Repository, config: ModelConfig) -> dict[str, Any] | None:
    """One row of the first golden request whose inputs are single values, by input name."""
    for request in usable_golden(repository, config):
        single = all(array.size == 1 for array in request.inputs.values())
        if single and request.inputs.keys() == request.values.keys():
            return {name: _single(value) for name, value in request.values.items()}
    return None


def check_golden(client: Client, model: str, requests: list[GoldenRequest]) -> None:
    """Send every request to `model`. Raises `TrimaranError` with the first unmet expectation."""
    for request in requests:
        try:
            answer = client.infer(model, request.inputs, request_id=TRIAL)
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
    values = _plain(array)
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


def _paths(repository: Repository, config: ModelConfig) -> list[Path]:
    return sorted((repository.model(config.name) / "golden").glob("*.json"))


def _read(path: Path, config: ModelConfig) -> GoldenRequest:
    if not path.is_file():
        raise TrimaranError(f"{path} is no file; golden requests are files of JSON")
    record = read_json(path)
    _refuse_keys(path, "it", record, _KEYS)
    if len(record) < len(_KEYS):
        raise TrimaranError(f"{path}: it lacks a key; expected {', '.join(sorted(_KEYS))}")
    given, expect = record["inputs"], record["expect"]
    inputs = {spec.name: spec for spec in inputs_of(config)}
    outputs = {spec.name: spec for spec in outputs_of(config)}
    _refuse_keys(path, "inputs", given, inputs)
    _refuse_keys(path, "expect", expect, outputs)
    row = {name: _input(path, inputs[name], item) for name, item in given.items()}
    return GoldenRequest(
        path.stem,
        row_of(config, row, str(path)),
        {name: _expectation(path, outputs[name], item) for name, item in expect.items()},
        {name: item["value"] for name, item in given.items() if item.get("value") is not None},
    )


def _input(path: Path, spec: TensorSpec, item: Any) -> Any:
    """The value of an input, a file's bytes among others."""
    where = f"input {spec.name!r}"
    _refuse_keys(path, where, item, _SOURCES)
    if len(item) != 1:
        raise TrimaranError(f"{path}: {where} needs one key of {', '.join(sorted(_SOURCES))}")
    if "value" in item:
        return item["value"]
    if spec.dtype.triton != "BYTES":
        raise TrimaranError(f"{path}: {where} is a file, and takes {spec.dtype.triton}; give value")
    return _file(path, where, item["file"])


def _expectation(path: Path, spec: TensorSpec, item: Any) -> dict[str, Any]:
    """An expectation with its values flat, as an output of its type is compared."""
    where = f"expect of {spec.name!r}"
    _refuse_keys(path, where, item, _EXPECTATIONS)
    if not item or item.keys() == {"atol"}:
        raise TrimaranError(f"{path}: {where} lacks a key; expected contains, equals or near")
    expectation = dict(item)
    if "contains" in item and not (isinstance(item["contains"], str) and item["contains"]):
        raise TrimaranError(f"{path}: {where}: contains needs a text")
    if "equals" in item:
        expectation["equals"] = _plain(
            as_array(item["equals"], spec.dtype, f"{path}: {where}: equals")
        )
    if "near" in item:
        if spec.dtype.triton in ("BYTES", "BOOL"):
            raise TrimaranError(
                f"{path}: {where}: near compares numbers, and {spec} has none; choose equals"
            )
        near = _plain(as_array(item["near"], by_triton("FP64"), f"{path}: {where}: near"))
        if not near:
            raise TrimaranError(f"{path}: {where}: near needs a number at least")
        expectation["near"] = near
    if "atol" in item:
        atol = item["atol"]
        if type(atol) not in (int, float) or not 0 <= atol < math.inf:
            raise TrimaranError(f"{path}: {where}: atol needs a number from 0")
    return expectation


def _plain(array: np.ndarray) -> list[Any]:
    """All values, flat, with text for bytes."""
    values = array.reshape(-1).tolist()
    return [each.decode(errors="replace") if isinstance(each, bytes) else each for each in values]


def _single(value: Any) -> Any:
    while isinstance(value, list):
        value = value[0]
    return value


def _refuse_keys(path: Path, what: str, found: object, known: Collection[str]) -> None:
    """Refuse what is no object, or one with a key that is not among `known`.

    Raises `TrimaranError`.
    """
    keys = ", ".join(sorted(known))
    if not isinstance(found, dict):
        raise TrimaranError(f"{path}: {what} is no object with {keys}")
    for key in found:
        if key not in known:
            raise TrimaranError(f"{path}: {what} has the key {key!r}; choose from {keys}")


def _file(path: Path, where: str, name: Any) -> bytes:
    if not isinstance(name, str):
        raise TrimaranError(f"{path}: {where}: file needs the name of a file next to it")
    try:
        target = (path.parent / name).resolve()
        if not target.is_relative_to(path.parent.resolve()):
            raise TrimaranError(f"{path}: file {name!r} is outside of {path.parent}")
        if not target.is_file():
            raise TrimaranError(f"{path}: there is no file {name!r} next to it")
        return target.read_bytes()
    except (OSError, ValueError) as error:  # or a name that no file can have
        raise TrimaranError(f"{path}: file {name!r} cannot be read: {error}") from error
