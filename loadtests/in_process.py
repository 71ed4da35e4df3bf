"""The floor: the parts of scoring a record, in one process, without any server."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import onnxruntime

from ensembles.tabular.records import Field, RecordReader, Table
from ensembles.tabular.transform import Transform
from trimaran.repository import Version

__all__ = ["in_process_s", "open_version"]

_BATCHES = (1, 16)
_CALLS = 300
_REPEATS = 7


def in_process_s(published: Version, texts: Sequence[str]) -> dict[str, float]:
    """Seconds per record of each part of the work on one thread, alone and 16 at once.

    `published` is a version that holds `transform.json` and `model.onnx`; `texts` are records as
    JSON.
    """
    transform, session = open_version(published.path)
    fields = [Field(**field) for field in transform.data.fields]
    reader = RecordReader(fields, transform.data.identifier)

    def features(table: Table) -> object:
        return transform.apply(table.numbers, transform.encode(table.categories))

    found = {}
    for rows in _BATCHES:
        table = reader.from_json(texts[:rows])
        parts: dict[str, Callable[[], object]] = {
            "JSON to columns": partial(reader.from_json, texts[:rows]),
            "transform": partial(features, table),
            "network": partial(session.run, None, {"features": features(table)}),
        }
        for name, part in parts.items():
            found[f"{name}, {rows} at once"] = _least_s(part) / rows
    return found


def open_version(directory: Path) -> tuple[Transform, onnxruntime.InferenceSession]:
    """The transform and the network of a version that holds both, the network on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        directory / "model.onnx", options, providers=["CPUExecutionProvider"]
    )
    return Transform.read(directory / "transform.json"), session


def _least_s(part: Callable[[], object]) -> float:
    """Seconds of one call: the least mean of several repeats, which other work disturbs least."""
    means = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        for _ in range(_CALLS):
            part()
        means.append((time.perf_counter() - began) / _CALLS)
    return min(means)
