"""Triton's side of the prediction log: its directory, its policy, and its counters.

| metric | labels | what |
|---|---|---|
| `trimaran_logged_predictions_total` | model, version | written rows |
| `trimaran_dropped_predictions_total` | model, version, reason | dropped rows |

Nothing is logged unless the environment variable `TRIMARAN_PREDICTIONS` names a directory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import triton_python_backend_utils as pb_utils

from trimaran.served.metrics import Family
from trimaran.served.prediction_line import Answered, Keyed, Policy, lines
from trimaran.served.prediction_log import PredictionFiles, PredictionLog, Written

__all__ = ["open_log"]

_VARIABLE = "TRIMARAN_PREDICTIONS"
_MEGABYTES = "1024"


def open_log(
    args: Mapping[str, str], names: Sequence[str], identifier: str | None
) -> PredictionLog | None:
    """The log of the version that Triton loads, or None where predictions are not logged.

    `names` are the record's fields. Raises `ValueError` for parameters that are not understood. An
    unwritable directory does not stop serving: see `PredictionLog`.
    """
    given = json.loads(args["model_config"])["parameters"]
    parameters = {key: value["string_value"] for key, value in given.items()}
    policy = Policy.of(parameters, names, identifier)
    megabytes = parameters.get("log_megabytes", _MEGABYTES)
    if not megabytes.isdecimal() or not int(megabytes):
        raise ValueError(
            f"the parameter log_megabytes in config.pbtxt is {megabytes!r}; give a whole number "
            f"of 1 or more"
        )
    root = os.environ.get(_VARIABLE)
    if not root:
        return None
    model, version = args["model_name"], args["model_version"]
    directory = Path(root) / model
    return PredictionLog(
        PredictionFiles(directory, int(megabytes) * 2**20),
        _Lines(directory, model, version, policy),
        _Reports(model, version),
    )


class _Lines:
    """The lines of a request; the directory and its key are made with the first."""

    def __init__(self, directory: Path, model: str, version: str, policy: Policy) -> None:
        self._directory = directory
        self._names = model, version
        self._policy = policy
        self._keyed: Keyed | None = None

    def __call__(self, answered: Answered) -> Iterable[bytes]:
        if self._keyed is None:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._keyed = Keyed.of(self._directory)
        return lines(answered, *self._names, self._policy, self._keyed)


class _Reports:
    """Counts for Prometheus, and logs when a disk fails and when it works again."""

    def __init__(self, model: str, version: str) -> None:
        self._model = model
        self._failing = False
        labels = {"model": model, "version": version}
        logged = Family("trimaran_logged_predictions_total", "Predictions that were logged.")
        dropped = Family("trimaran_dropped_predictions_total", "Predictions that were not.")
        self._logged = logged.metric(labels)
        self._queue, self._disk, self._record = (
            dropped.metric({**labels, "reason": reason}) for reason in ("queue", "disk", "record")
        )

    def __call__(self, written: Written) -> None:
        for metric, rows in (
            (self._logged, written.logged),
            (self._queue, written.dropped_queue),
            (self._disk, written.dropped_disk),
            (self._record, written.dropped_record),
        ):
            if rows:
                metric.increment(rows)
        failing = written.error is not None
        if failing and not self._failing:
            pb_utils.Logger.log_error(
                f"{self._model}: predictions cannot be logged, and are dropped: {written.error}"
            )
        if self._failing and not failing and written.logged:
            pb_utils.Logger.log_info(f"{self._model}: predictions are logged again")
        self._failing = failing or (self._failing and not written.logged)
