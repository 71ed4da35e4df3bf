"""Rows as perf_analyzer's input file: JSON with raw tensors in base64."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from loadtests.payloads.choosing import Row
from trimaran.system.errors import UsageError

__all__ = ["input_data"]


def input_data(rows: Iterable[Row], *, batches: bool, batch: int = 1) -> str:
    """The file's text. perf_analyzer adds the batch axis itself, so each row is an entry.

    `batches` says whether the arrays have a batch axis, `batch` how many rows go into a request.
    Raises `UsageError` where rows do not fit into one batch.
    """
    entries = [_entry(row) for given in rows for row in (_split(given) if batches else [given])]
    if batch > 1 and len({tuple(sorted(_shapes(entry).items())) for entry in entries}) > 1:
        raise UsageError(
            "rows do not fit into one batch: they have not all the same inputs and shapes; leave "
            "--batch out"
        )
    return json.dumps({"data": entries})


def _split(row: Row) -> list[dict[str, np.ndarray]]:
    return [
        {name: array[at] for name, array in row.items()}
        for at in range(min(len(array) for array in row.values()))
    ]


def _entry(row: Row) -> dict[str, Any]:
    return {
        name: {"b64": base64.b64encode(_raw(array)).decode(), "shape": list(np.shape(array))}
        for name, array in row.items()
    }


def _raw(array: np.ndarray) -> bytes:
    """A tensor as Triton takes it: little-endian; each text after its length in four bytes."""
    if array.dtype != object:
        return np.ascontiguousarray(array).tobytes()
    return b"".join(struct.pack("<I", len(value)) + value for value in array.reshape(-1).tolist())


def _shapes(entry: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(item["shape"]) for name, item in entry.items()}
