"""What a model counts for Prometheus: rows by bin of each feature, and refused requests.

| metric | labels | what |
|---|---|---|
| `trimaran_feature_rows_total` | model, version, feature, bin | served rows |
| `trimaran_feature_reference_rows` | the same | rows of the reference, if it has any |
| `trimaran_refused_requests_total` | model, version | unreadable requests |
| `trimaran_reference_outcomes` | model, version, cell | rows of the test part |

A refused request is one of the failed ones that `failures.py` counts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trimaran.served.distribution import Reference, Tally
from trimaran.served.metrics import Family, report_reference

__all__ = ["Counters"]

_LEAST_INTERVAL_S = 2.0
_MOST_INTERVAL_S = 10.0
_REPORTING_SHARE = 0.005
"""The share of the time that reports may take. Each changed counter costs a message to Triton, for
whose answer the interpreter may have to wait: under load 230 counters took 15 to 70 ms."""


def _interval_after(report_s: float) -> float:
    """Seconds to wait after a report that took `report_s`."""
    return min(max(report_s / _REPORTING_SHARE, _LEAST_INTERVAL_S), _MOST_INTERVAL_S)


class Counters:
    """Counts in this process, and reports to Triton now and then from a separate thread."""

    def __init__(self, args: Mapping[str, str], directory: Path) -> None:
        self.reference = reference = Reference.read(directory / "reference.json")
        self._labels = {"model": args["model_name"], "version": args["model_version"]}
        self._tally = Tally(reference)
        self._refused = 0
        rows = Family("trimaran_feature_rows_total", "Rows that were served, by bin.")
        expected = Family("trimaran_feature_reference_rows", "Rows of the reference.", "GAUGE")
        refused = Family("trimaran_refused_requests_total", "Requests that were refused.")
        self._rows = []
        for feature in reference.features:
            labels = [
                {**self._labels, "feature": feature.name, "bin": name} for name in feature.bins
            ]
            self._rows += [rows.metric(each) for each in labels]
            for each, count in zip(labels, feature.counts, strict=bool(feature.counts)):
                expected.metric(each).set(count)
        self._refusals = refused.metric(self._labels)
        report_reference(self._labels, reference.judged)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._report_regularly, daemon=True)
        self._thread.start()

    def add(
        self,
        numbers: npt.NDArray[np.float64],
        codes: npt.NDArray[np.int64],
        answers: Sequence[npt.NDArray[Any]] = (),
    ) -> None:
        """Count a table's rows and their answers: see `Tally.add`."""
        self._tally.add(numbers, codes, answers)

    def refuse(self) -> None:
        """Count an unreadable request."""
        self._refused += 1

    def close(self) -> None:
        """Report the rest, while Triton still takes reports."""
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
