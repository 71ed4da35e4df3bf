"""What a model counts for Prometheus: rows by bin of each feature, and requests that it refuses.

| metric | labels | what |
|---|---|---|
| `trimaran_feature_rows_total` | model, version, feature, bin | rows that were served |
| `trimaran_feature_reference_rows` | the same | rows of the reference, if it has any |
| `trimaran_refused_requests_total` | model, version | requests that could not be read |
| `trimaran_reference_outcomes` | model, version, cell | rows of the test part |

Triton counts a request that a Python model refuses among those that were answered.

Self-contained beside `custom_metrics.py` and `distribution.py`, which are copied with it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from custom_metrics import Family
from distribution import Reference, Tally

__all__ = ["Counters"]

_LEAST_INTERVAL_S = 2.0
_MOST_INTERVAL_S = 10.0
_REPORTING_SHARE = 0.005
"""Of the time goes into reports. Each counter that changed costs a message to Triton, for whose
answer the interpreter may have to wait: under load 230 counters took 15 to 70 ms."""


def _interval_after(report_s: float) -> float:
    """How long to wait after a report of so many seconds, so that reports cost little."""
    return min(max(report_s / _REPORTING_SHARE, _LEAST_INTERVAL_S), _MOST_INTERVAL_S)


class Counters:
    """Counts in this process, and tells Triton now and then, from a thread of its own."""

    def __init__(self, args: Mapping[str, str], directory: Path) -> None:
        self.reference = reference = Reference.read(directory / "reference.json")
        self._labels = {"model": args["model_name"], "version": args["model_version"]}
        self._tally = Tally(reference)
        self._refused = 0
        rows = Family("trimaran_feature_rows_total", "Rows that were served, by bin.")
        expected = Family("trimaran_feature_reference_rows", "Rows of the reference.", "GAUGE")
        refused = Family("trimaran_refused_requests_total", "Requests that were refused.")
        judged = Family(
            "trimaran_reference_outcomes", "Rows of the test part, by what was decided.", "GAUGE"
        )
        self._rows = []
        for feature in reference.features:
            labels = [
                {**self._labels, "feature": feature.name, "bin": name} for name in feature.bins
            ]
            self._rows += [rows.metric(each) for each in labels]
            for each, count in zip(labels, feature.counts, strict=bool(feature.counts)):
                expected.metric(each).set(count)
        self._refusals = refused.metric(self._labels)
        for cell, count in reference.judged.items():
            judged.metric({**self._labels, "cell": cell}).set(count)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._report_regularly, daemon=True)
        self._thread.start()

    def add(
        self,
        numbers: npt.NDArray[np.float64],
        codes: npt.NDArray[np.int64],
        answers: Sequence[npt.NDArray[Any]] = (),
    ) -> None:
        """Count a table's rows, and what was answered to them: see `Tally.add`."""
        self._tally.add(numbers, codes, answers)

    def refuse(self) -> None:
        """Count a request that could not be read."""
        self._refused += 1

    def close(self) -> None:
        """Tell the rest, while Triton can still be told."""
        self._ended.set()
        self._thread.join()
        self._report()

    def _report_regularly(self) -> None:
        interval_s = _LEAST_INTERVAL_S
        while not self._ended.wait(interval_s):
            began_s = time.perf_counter()
            self._report()
            interval_s = _interval_after(time.perf_counter() - began_s)

    def _report(self) -> None:
        counts = self._tally.counted()
        for place in np.flatnonzero(counts).tolist():
            self._rows[place].increment(int(counts[place]))
        refused, self._refused = self._refused, 0
        if refused:
            self._refusals.increment(refused)
