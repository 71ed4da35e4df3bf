"""The process that tries a finished version of a step in the interpreter of Triton's stubs.

It is run as a file, `step_process.py VERSION ASKED SAID`, where nothing of trimaran may be
installed: it imports NumPy, and the code in the version.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["as_array", "as_json"]


def as_json(array: np.ndarray) -> dict[str, Any]:
    """An array in types of JSON, BYTES as base64."""
    shape = {"dtype": str(array.dtype), "shape": array.shape}
    if array.dtype == np.object_:
        encoded = [base64.b64encode(item).decode() for item in array.reshape(-1)]
        return {**shape, "bytes": encoded}
    return {**shape, "data": array.tolist()}


def as_array(sent: Mapping[str, Any]) -> np.ndarray:
    """The array that `as_json` wrote."""
    if "bytes" in sent:
        made = np.empty(len(sent["bytes"]), dtype=np.object_)
        made[:] = [base64.b64decode(item) for item in sent["bytes"]]
        return made.reshape(sent["shape"])
    return np.array(sent["data"], dtype=sent["dtype"]).reshape(sent["shape"])


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _answers(version: Path, rows: Mapping[str, Any]) -> dict[str, Any]:
    from trimaran.served.step_calls import call_step, load_step  # those of the version

    declared, function = load_step(version)
    given = {name: as_array(each) for name, each in rows.items()}
    return {name: as_json(each) for name, each in call_step(declared, function, given).items()}


def _run(version: Path, asked: Path, said: Path) -> None:
    sys.dont_write_bytecode = True
    sys.path[0] = str(version)  # in place of this file's own directory
    question = json.loads(asked.read_text())
    versions = {name: _installed(name) for name in question["packages"]}
    answer: dict[str, Any] = {"versions": versions, "numpy": metadata.version("numpy")}
    if all(versions.values()):
        try:
            answer["answers"] = _answers(version, question["rows"])
        except Exception as error:  # whatever the user's code raises is the answer
            answer["error"] = f"{type(error).__name__}: {error}"
            answer["kind"] = type(error).__name__
    said.write_text(json.dumps(answer))


if __name__ == "__main__":
    _run(*map(Path, sys.argv[1:]))
