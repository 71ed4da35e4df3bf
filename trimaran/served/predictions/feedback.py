"""The outcomes of one model, and their counters for Prometheus.

| metric | labels | what |
|---|---|---|
| `trimaran_feedback_total` | model, status | outcomes that were told |
| `trimaran_outcomes_total` | model, version, cell | predictions whose outcome is known |
| `trimaran_outcome_positives_total` | model, version, bin | true ones, by bin of the probability |
| `trimaran_outcome_probability_total` | the same | the sum of the bin's probabilities |
| `trimaran_outcome_squared_error_total` | model, version | of the probability, the sum |

`model` is the one that predicted. All but the first go on where they ended before a restart.

Self-contained: this file is copied into the versions of the model that takes outcomes.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils
from custom_metrics import Family
from outcomes import STATUSES, Key, Outcome, Outcomes
from prediction_line import Keyed

__all__ = ["Feedback"]

_INTERVAL_S = 1.0
"""Between two looks at the log. A release's counters begin when its first prediction is seen."""
_NICENESS = 19
_METRICS = {
    "outcomes": ("trimaran_outcomes_total", "Predictions whose outcome is known.", "cell"),
    "positives": ("trimaran_outcome_positives_total", "True ones, by probability.", "bin"),
    "probability": ("trimaran_outcome_probability_total", "Sums of probabilities.", "bin"),
    "squared_error": ("trimaran_outcome_squared_error_total", "Of the probability.", ""),
}


class Feedback:
    """The outcomes of one model, and their counters."""

    def __init__(self, directory: Path, parameters: Mapping[str, str]) -> None:
        self._model = parameters["predictions_of"]
        self._keyed = Keyed.of(directory)
        self._outcomes = Outcomes(directory, parameters["probability"], parameters["decision"])
        self._families = {
            name: Family(metric, words) for name, (metric, words, _) in _METRICS.items()
        }
        told = Family("trimaran_feedback_total", "Outcomes that were told.")
        self._told = {
            status: told.metric({"model": self._model, "status": status}) for status in STATUSES
        }
        self._metrics: dict[Key, Any] = {}
        self._shown: dict[Key, float] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_regularly, daemon=True)
        self._count()
        self._thread.start()

    def tell(
        self, ids: list[bytes], outcomes: list[bool], times: Sequence[bytes | None] | None
    ) -> list[str]:
        """Count outcomes; a status for each. Raises `ValueError` for one that cannot be read."""
        rows = [
            self._outcome(row, each.decode(errors="replace"), outcomes[row], time)
            for row, (each, time) in enumerate(zip(ids, times or [None] * len(ids), strict=True))
        ]
        self._outcomes.read_log()
        statuses = self._outcomes.tell(rows)
        for status, count in Counter(statuses).items():
            self._told[status].increment(count)
        self._count()
        return statuses

    def close(self) -> None:
        """Stop looking, and close the file."""
        self._ended.set()
        self._thread.join()
        self._outcomes.close()

    def _outcome(self, row: int, name: str, outcome: bool, time: bytes | None) -> Outcome:
        if not name:
            raise ValueError(f"row {row}: the id is empty")
        try:
            moment = datetime.fromisoformat(time.decode()) if time else None
        except ValueError:
            raise ValueError(
                f"row {row}: the time is {time!r}; expected ISO 8601, such as 2026-11-22T13:00:00Z"
            ) from None
        if moment and moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return Outcome(
            name, self._keyed.masked(name), outcome, moment.timestamp() if moment else None
        )

    def _look_regularly(self) -> None:
        # Of this thread alone: outcomes come late, and need none of the time that answers need.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        while True:
            try:
                self._look()
            except (sqlite3.Error, OSError) as error:
                pb_utils.Logger.log_warn(f"{self._model}: the log cannot be read: {error}")
            if self._ended.wait(_INTERVAL_S):
                return

    def _look(self) -> None:
        self._outcomes.read_log()
        self._count()

    def _count(self) -> None:
        """Bring the counters to the totals, from wherever the process before left them."""
        with self._lock:
            for key, total in self._outcomes.totals().items():
                if self._shown.get(key) == total:
                    continue
                metric = self._metrics.get(key) or self._metric(*key)
                missing = total - metric.value()
                if missing > 0:
                    metric.increment(missing)
                self._shown[key] = total

    def _metric(self, version: str, name: str, place: str) -> Any:
        _, _, label = _METRICS[name]
        labels = {"model": self._model, "version": version, **({label: place} if label else {})}
        metric = self._families[name].metric(labels)
        self._metrics[version, name, place] = metric
        return metric
