"""Triton's side of live accuracy: outcomes in, and what each became.

`id` BYTES `[1]`: the record's identifier, or a request's id (`id/row` where it had several rows);
`outcome` BOOL `[1]`; `time` BYTES `[1]`, optional: when it was known, in ISO 8601. Out comes
`status` BYTES `[1]`, by the table in `outcomes.py`.
"""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from feedback import Feedback

_VARIABLE = "TRIMARAN_PREDICTIONS"
_COLUMNS = ("id", "outcome", "time")


class TritonPythonModel:
    """The one instance of one version: it alone counts."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the log that `TRIMARAN_PREDICTIONS` names; without one every request is refused."""
        given = json.loads(args["model_config"])["parameters"]
        parameters = {key: value["string_value"] for key, value in given.items()}
        self.feedback: Feedback | None = None
        root = os.environ.get(_VARIABLE)
        if root:
            directory = Path(root) / parameters["predictions_of"]
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.feedback = Feedback(directory, parameters)

    def execute(self, requests: list[Any]) -> list[Any]:
        """One response to each request; one that cannot be read or stored counts nothing."""
        return [self.answer(request) for request in requests]

    def finalize(self) -> None:
        """Stop looking at the log."""
        if self.feedback:
            self.feedback.close()

    def answer(self, request: Any) -> Any:
        """The statuses of a request's outcomes."""
        try:
            if not self.feedback:
                raise ValueError(
                    "predictions are not logged, so nothing can be said about outcomes; serve "
                    "with --log-predictions"
                )
            statuses = self.feedback.tell(*(self.column(request, name) for name in _COLUMNS))
        except ValueError as error:
            return _refusal(str(error), pb_utils.TritonError.INVALID_ARG)
        except (sqlite3.Error, OSError) as error:
            return _refusal(
                f"no outcome of this request was counted, the file of outcomes fails: {error}",
                pb_utils.TritonError.INTERNAL,
            )
        found = np.array([[status.encode()] for status in statuses], dtype=object)
        return pb_utils.InferenceResponse([pb_utils.Tensor("status", found)])

    def column(self, request: Any, name: str) -> list[Any] | None:
        """An input's values, or None where the request does not have it."""
        found = pb_utils.get_input_tensor_by_name(request, name)
        return found.as_numpy().ravel().tolist() if found else None


def _refusal(words: str, code: Any) -> Any:
    return pb_utils.InferenceResponse([], pb_utils.TritonError(words, code))
