"""How fast a network is beside another: both in one measurement, by ONNX Runtime here."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trimaran.stats.bootstrap import Ratio, paired_ratio

__all__ = ["latency_ratio"]

_ROUNDS = 40
_LEAST_S = 2e-3
"""Of one network in one round, so that the clock's own error does not count."""
_MOST_CALLS = 500


def latency_ratio(
    new: Path, live: Path, new_rows: npt.NDArray[Any], live_rows: npt.NDArray[Any]
) -> Ratio:
    """How many times the latency of `live`, an ONNX file, that of `new` is, row by row.

    The rows, float32 `[rows, columns]`, are what each network takes. Each round asks both for the
    same number of rows, in turn first, on one thread.
    """
    calls = [_caller(path, rows) for path, rows in ((new, new_rows), (live, live_rows))]
    for call in calls:
        call(_MOST_CALLS)
    count = min(_MOST_CALLS, max(1, round(_LEAST_S / min(call(10) / 10 for call in calls))))
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(_ROUNDS):
        for which in (0, 1) if number % 2 else (1, 0):
            times[which].append(calls[which](count))
    return paired_ratio(*times)


def _caller(path: Path, rows: npt.NDArray[Any]) -> Callable[[int], float]:
    """A function that asks for some rows, one by one, and says how many seconds that took."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    feeds = [{name: row[None]} for row in np.asarray(rows, np.float32)[:64]]

    def seconds(count: int) -> float:
        began = time.perf_counter()
        for number in range(count):
            session.run(None, feeds[number % len(feeds)])
        return time.perf_counter() - began

    return seconds
