"""Triton's side of live accuracy: ground truth in, a status and counters for Prometheus out.

`id` BYTES `[1]`: the record's identifier, or a request's id (`id/row` where it had several rows);
`outcome` `[1]`: BOOL, or what `judging.py` has for the model's task; `time` BYTES `[1]`, optional:
when it was known, in ISO 8601. The answer is `status` BYTES `[1]`, by the table in `outcomes.py`.

The parameter `predictions_of` names the models that predicted, with commas between them; an outcome
counts for each that predicted the id.

| metric | labels | what |
|---|---|---|
| `trimaran_feedback_total` | model, status | reported outcomes |
| `trimaran_outcomes_total` | model, version, cell | predictions whose outcome is known |
| `trimaran_outcome_positives_total` | model, version, bin | true ones, by bin of the probability |
| `trimaran_outcome_probability_total` | the same | the sum of the bin's probabilities |
| `trimaran_outcome_squared_error_total` | model, version | of the probability, the sum |

`model` is the one that predicted; of the first metric, the first of several. All but the first
continue after a restart.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from trimaran.served.boundary import Failed, attempt
from trimaran.served.failures import counted
from trimaran.served.judging import Judge, read_judge
from trimaran.served.metrics import Family
from trimaran.served.outcomes import STATUSES, Key, Outcome, Outcomes
from trimaran.served.pulse import beating
from trimaran.served.refusal import RefusedError, shown

__all__ = ["Feedback", "TritonPythonModel"]

_VARIABLE = "TRIMARAN_PREDICTIONS"
_COLUMNS = ("id", "outcome", "time")
_INTERVAL_S = 1.0
"""Between two reads of the log. A release's counters begin at its first prediction there."""

_NICENESS = 19

_METRICS = {
    "outcomes": ("trimaran_outcomes_total", "Predictions whose outcome is known.", "cell"),
    "positives": ("trimaran_outcome_positives_total", "True ones, by probability.", "bin"),
    "probability": ("trimaran_outcome_probability_total", "Sums of probabilities.", "bin"),
    "squared_error": ("trimaran_outcome_squared_error_total", "Of the probability.", ""),
}


@beating
@counted
class TritonPythonModel:
    """The one instance of one version: it alone counts."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the log that `TRIMARAN_PREDICTIONS` names; without one every request is refused."""
        given = json.loads(args["model_config"])["parameters"]
        parameters = {key: value["string_value"] for key, value in given.items()}
        self.feedback: Feedback | None = None
        root = os.environ.get(_VARIABLE)
        if root:
            judge = read_judge(parameters, Path(args["model_repository"]) / args["model_version"])
            models = parameters["predictions_of"].split(",")
            self.feedback = Feedback(Path(root), models, judge)

    def execute(
        self, requests: list[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        """One response to each request; one that cannot be read or stored counts nothing."""
        answers = (attempt(self.answer, request) for request in requests)
        return [each.response() if isinstance(each, Failed) else each for each in answers]

    def finalize(self) -> None:
        """Stop reading the log."""
        if self.feedback:
            self.feedback.close()

    def answer(self, request: pb_utils.InferenceRequest) -> pb_utils.InferenceResponse:
        """The statuses of a request's outcomes. Raises `RefusedError`, or what a disk led to."""
        if not self.feedback:
            raise RefusedError(
                "predictions are not logged, so outcomes cannot be joined to them; serve "
                "with --log-predictions"
            )
        ids, outcomes, times = (_column(request, name) for name in _COLUMNS)
        try:
            statuses = self.feedback.record(ids, outcomes, times)
        except (sqlite3.Error, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error  # without its path
            words = "not all outcomes of this request were counted, as the outcomes file failed: "
            return pb_utils.InferenceResponse([], pb_utils.TritonError(f"{words}{reason}"))
        found = np.array([[status.encode()] for status in statuses], dtype=object)
        return pb_utils.InferenceResponse([pb_utils.Tensor("status", found)])


@dataclass
class _Predictor:
    """One model that predicted."""

    model: str
    outcomes: Outcomes
    metrics: dict[Key, Any] = field(default_factory=dict)
    shown: dict[Key, float] = field(default_factory=dict)


class Feedback:
    """The outcomes of models whose predictions are below `root`, and their counters."""

    def __init__(self, root: Path, models: Sequence[str], judge: Judge) -> None:
        self._model, self._judge = models[0], judge
        self._predictors = []
        for model in models:
            directory = root / model
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._predictors.append(_Predictor(model, Outcomes(directory, judge)))
        self._families = {
            name: Family(metric, words) for name, (metric, words, _) in _METRICS.items()
        }
        reported = Family("trimaran_feedback_total", "Reported outcomes.")
        self._reported = {
            status: reported.metric({"model": self._model, "status": status}) for status in STATUSES
        }
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read_regularly, daemon=True)
        self._count()
        self._thread.start()

    def record(self, ids: list[bytes], outcomes: list[Any], times: Sequence[bytes]) -> list[str]:
        """Count outcomes; a status for each. Raises `RefusedError` for an unreadable one."""
        rows = [
            self._outcome(row, each.decode(errors="replace"), outcomes[row], time)
            for row, (each, time) in enumerate(zip(ids, times or [b""] * len(ids), strict=True))
        ]
        found = []
        for predictor in self._predictors:
            predictor.outcomes.read_log()
            found.append(predictor.outcomes.record(rows))
        statuses = [min(each, key=STATUSES.index) for each in zip(*found, strict=True)]
        for status, count in Counter(statuses).items():
            self._reported[status].increment(count)
        self._count()
        return statuses

    def close(self) -> None:
        """Stop reading the log, and close the file."""
        self._ended.set()
        self._thread.join()
        for predictor in self._predictors:
            predictor.outcomes.close()

    def _outcome(self, row: int, name: str, given: Any, time: bytes) -> Outcome:
        if not name:
            raise RefusedError(f"row {row}: the id is empty")
        try:
            outcome = self._judge.outcome(given)
        except RefusedError as error:
            raise RefusedError(f"row {row}: {error}") from None
        try:
            moment = datetime.fromisoformat(time.decode()) if time else None
        except ValueError:
            raise RefusedError(
                f"row {row}: the time is {shown(time)}; expected ISO 8601, "
                f"such as 2026-11-22T13:00:00Z"
            ) from None
        if moment and moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return Outcome(name, outcome, moment.timestamp() if moment else None)

    def _read_regularly(self) -> None:
        # Sets this thread alone. Outcomes come late; answers need the time more.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        while True:
            try:
                self._read()
            except Exception as error:  # the thread must go on, whatever it was
                pb_utils.Logger.log_warn(f"{self._model}: the log cannot be read: {error}")
            if self._ended.wait(_INTERVAL_S):
                return

    def _read(self) -> None:
        for predictor in self._predictors:
            predictor.outcomes.read_log()
        self._count()

    def _count(self) -> None:
        """Raise the counters to the totals; an earlier process may have left them lower."""
        with self._lock:
            for predictor in self._predictors:
                for key, total in predictor.outcomes.totals().items():
                    if predictor.shown.get(key) == total:
                        continue
                    metric = predictor.metrics.get(key) or self._metric(predictor, key)
                    missing = total - metric.value()
                    if missing > 0:
                        metric.increment(missing)
                    predictor.shown[key] = total

    def _metric(self, predictor: _Predictor, key: Key) -> Any:
        version, name, place = key
        _, _, label = _METRICS[name]
        labels = {
            "model": predictor.model,
            "version": version,
            **({label: place} if label else {}),
        }
        predictor.metrics[key] = metric = self._families[name].metric(labels)
        return metric


def _column(request: pb_utils.InferenceRequest, name: str) -> list[Any]:
    """An input's values; none where the request leaves out an optional input."""
    found = pb_utils.get_input_tensor_by_name(request, name)
    return found.as_numpy().ravel().tolist() if found else []
