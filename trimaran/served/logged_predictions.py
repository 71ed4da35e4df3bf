"""Triton's side of the prediction log: its directory, its policy, and its counters.

| metric | labels | what |
|---|---|---|
| `trimaran_logged_predictions_total` | model, version | written rows |
| `trimaran_dropped_predictions_total` | model, version, reason | dropped rows |

| `trimaran_reference_outcomes` | model, version, cell | rows of the test part, from `judged.json` |

Nothing is logged unless the environment variable `TRIMARAN_PREDICTIONS` names a directory.

The last step of an ensemble logs for the ensemble that its parameter `answers_of` names. Triton
does not tell a step which version of the ensemble it answers for, so that is read from the
ensemble's live configuration. The few requests in flight while a release replaces another may be
counted for either.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

from trimaran.served.answers import plain
from trimaran.served.boundary import Failed, attempt
from trimaran.served.metrics import Family, report_reference
from trimaran.served.prediction_line import Answered, Keyed, Policy, lines
from trimaran.served.prediction_log import PredictionFiles, PredictionLog, Written

__all__ = ["EnsembleLog", "open_log"]

_VARIABLE = "TRIMARAN_PREDICTIONS"
_ANSWERS_OF = "answers_of"
_IDENTIFIER = "identifier"
_JUDGED = "judged.json"
_MEGABYTES = "1024"
_VERSION = re.compile(r"^\s*versions: (\d+)$", re.MULTILINE)


class EnsembleLog:
    """What the last step of an ensemble logs for it."""

    def __init__(self, args: Mapping[str, str]) -> None:
        """Raises `ValueError` for parameters that are not understood."""
        self._identifier = _parameters(args).get(_IDENTIFIER)
        self._log = open_log(args, (), self._identifier)

    def keep(self, request: pb_utils.InferenceRequest, outputs: Mapping[str, np.ndarray]) -> None:
        """Queue a request's answers, arrays `[rows, values]`, or count them as dropped."""
        if not self._log:
            return
        request_id = attempt(pb_utils.InferenceRequest.request_id, request)
        if isinstance(request_id, Failed):  # it is not UTF-8
            self._log.drop(len(next(iter(outputs.values()))))
            return
        given = self._identifier and pb_utils.get_input_tensor_by_name(request, self._identifier)
        self._log.add(
            Answered(
                time.time(),
                request_id,
                given.as_numpy().ravel().tolist() if given else None,
                {name: plain(values) for name, values in outputs.items()},
            )
        )

    def close(self) -> None:
        """Write the waiting rows."""
        if self._log:
            self._log.close()


def open_log(
    args: Mapping[str, str], names: Sequence[str], identifier: str | None
) -> PredictionLog | None:
    """The log of the version that Triton loads, or None where predictions are not logged.

    `names` are the record's fields. Raises `ValueError` for parameters that are not understood. An
    unwritable directory does not stop serving: see `PredictionLog`.
    """
    parameters = _parameters(args)
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
    model = parameters.get(_ANSWERS_OF, args["model_name"])
    version: Callable[[], str] = lambda: args["model_version"]  # noqa: E731
    own = Path(args["model_repository"])
    if _ANSWERS_OF in parameters:
        version = _LiveVersion(own.parent / model, own / args["model_version"] / _JUDGED)
    directory = Path(root) / model
    return PredictionLog(
        PredictionFiles(directory, int(megabytes) * 2**20),
        _Lines(directory, model, version, policy),
        _Reports(model, version),
    )


def _parameters(args: Mapping[str, str]) -> dict[str, str]:
    given = json.loads(args["model_config"])["parameters"]
    return {key: value["string_value"] for key, value in given.items()}


class _LiveVersion:
    """The version of an ensemble that is live; the first time, also its reference of outcomes."""

    def __init__(self, ensemble: Path, judged: Path) -> None:
        self._ensemble, self._judged = ensemble, judged
        self._config = ensemble / "configs" / "live.pbtxt"
        self._changed_ns = -1
        self._version = ""
        self._described: set[str] = set()

    def __call__(self) -> str:
        try:
            changed_ns = self._config.stat().st_mtime_ns
            if changed_ns != self._changed_ns:
                self._version = _VERSION.findall(self._config.read_text(encoding="utf-8"))[-1]
                self._changed_ns = changed_ns
        except (OSError, IndexError):  # it serves all versions, and answers with the newest
            names = [each.name for each in self._ensemble.glob("[0-9]*")]
            self._version = max(filter(str.isdecimal, names), key=int, default="1")
        if self._version not in self._described:
            self._describe()
        return self._version

    def _describe(self) -> None:
        self._described.add(self._version)
        if not self._judged.is_file():
            return
        report_reference(
            {"model": self._ensemble.name, "version": self._version},
            json.loads(self._judged.read_text(encoding="utf-8")),
        )


class _Lines:
    """The lines of a request; the directory and its key are made with the first."""

    def __init__(
        self, directory: Path, model: str, version: Callable[[], str], policy: Policy
    ) -> None:
        self._directory = directory
        self._model, self._version = model, version
        self._policy = policy
        self._keyed: Keyed | None = None

    def __call__(self, answered: Answered) -> Iterable[bytes]:
        if self._keyed is None:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._keyed = Keyed.of(self._directory)
        return lines(answered, self._model, self._version(), self._policy, self._keyed)


class _Reports:
    """Counts for Prometheus, and logs when a disk fails and when it works again."""

    def __init__(self, model: str, version: Callable[[], str]) -> None:
        self._model, self._version = model, version
        self._failing = False
        self._families = (
            Family("trimaran_logged_predictions_total", "Predictions that were logged."),
            Family("trimaran_dropped_predictions_total", "Predictions that were not."),
        )
        self._metrics: dict[tuple[str, str], pb_utils.Metric] = {}
        self._count({"": 0, "queue": 0, "disk": 0, "record": 0})

    def __call__(self, written: Written) -> None:
        self._count(
            {
                "": written.logged,
                "queue": written.dropped_queue,
                "disk": written.dropped_disk,
                "record": written.dropped_record,
            }
        )
        failing = written.error is not None
        if failing and not self._failing:
            pb_utils.Logger.log_error(
                f"{self._model}: predictions cannot be logged, and are dropped: {written.error}"
            )
        if self._failing and not failing and written.logged:
            pb_utils.Logger.log_info(f"{self._model}: predictions are logged again")
        self._failing = failing or (self._failing and not written.logged)

    def _count(self, rows: Mapping[str, int]) -> None:
        """Add rows by the reason why they were dropped, which is empty for logged ones."""
        version = self._version()
        for reason, count in rows.items():
            metric = self._metrics.get((version, reason))
            if metric is None:
                labels = {"model": self._model, "version": version}
                labels |= {"reason": reason} if reason else {}
                metric = self._families[bool(reason)].metric(labels)
                self._metrics[version, reason] = metric
            if count:
                metric.increment(count)
