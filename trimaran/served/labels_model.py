"""Triton's side of labelling: `LOGITS` FP32 `[classes]` to `LABEL` and `PROBABILITY`.

The best class of each row, and its probability, are counted by the bins of `reference.json`, and
the answers are logged for the ensemble (`logged_predictions.py`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

from trimaran.served.boundary import Failed, attempt
from trimaran.served.counters import Counters
from trimaran.served.failures import counted
from trimaran.served.pulse import beating
from trimaran.served.ranking import rank
from trimaran.served.step_log import StepLog

__all__ = ["TritonPythonModel"]


@beating
@counted
class TritonPythonModel:
    """One instance of one version; the class names are in that version's `labels.txt`."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the labels and what to count.

        Raises `TritonModelException` if there is not one label for each class.
        """
        self.name = args["model_name"]
        config = json.loads(args["model_config"])
        directory = Path(args["model_repository"]) / args["model_version"]
        lines = (
            (directory / "labels.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
        )
        classes = int(config["input"][0]["dims"][0])
        if len(lines) != classes:
            raise pb_utils.TritonModelException(
                f"labels.txt has {len(lines)} lines, the model has {classes} classes"
            )
        self.labels = np.array([line.encode() for line in lines], dtype=np.object_)
        self.top = int(config["output"][0]["dims"][0])
        self.counters = Counters(args, directory)
        (label,) = self.counters.reference.of_kind("label")
        self.codes = label.codes(lines)
        self.log = StepLog(args)

    def execute(
        self, requests: list[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        """Rank all rows of all requests at once; each alone, where that fails."""
        together = attempt(self.rank_all, requests)
        if not isinstance(together, Failed):
            return together
        alone = [attempt(self.rank_all, [request]) for request in requests]
        return [each.response(self.name) if isinstance(each, Failed) else each[0] for each in alone]

    def rank_all(
        self, requests: Sequence[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        """The responses to requests, whose rows are ranked and counted together."""
        logits = [
            pb_utils.get_input_tensor_by_name(request, "LOGITS").as_numpy() for request in requests
        ]
        classes, probabilities = rank(np.concatenate(logits), self.top)
        self.counters.add(
            np.empty((len(classes), 0)),
            self.codes[classes[np.newaxis, :, 0]],
            [probabilities[:, 0]],
        )
        ends = np.cumsum([len(rows) for rows in logits])[:-1]
        parts = zip(np.split(classes, ends), np.split(probabilities, ends), strict=True)
        return [
            self.respond(request, self.labels[best], probability.astype(np.float32))
            for request, (best, probability) in zip(requests, parts, strict=True)
        ]

    def respond(
        self, request: pb_utils.InferenceRequest, labels: np.ndarray, probabilities: np.ndarray
    ) -> pb_utils.InferenceResponse:
        """The response to a request, logged."""
        outputs = {"LABEL": labels, "PROBABILITY": probabilities}
        self.log.keep(request, outputs)
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor(name, values) for name, values in outputs.items()]
        )

    def finalize(self) -> None:
        """Report the last counts while Triton still takes reports."""
        self.counters.close()
        self.log.close()
