"""Triton's side of a decision: `PROBABILITY` FP32 `[1]` to `LABEL` BYTES `[1]`.

`decision.json` has the `threshold`, and the labels `positive`, at the threshold or above, and
`negative`. Both are logged for the ensemble (`logged_predictions.py`).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

from trimaran.served.boundary import Failed, attempt
from trimaran.served.failures import counted
from trimaran.served.pulse import beating
from trimaran.served.step_log import StepLog

__all__ = ["TritonPythonModel"]


@beating
@counted
class TritonPythonModel:
    """One instance of one version."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read `decision.json`."""
        self.name = args["model_name"]
        path = Path(args["model_repository"]) / args["model_version"] / "decision.json"
        decision = json.loads(path.read_text(encoding="utf-8"))
        self.threshold = np.float32(decision["threshold"])
        names = [decision["negative"].encode(), decision["positive"].encode()]
        self.labels = np.array(names, np.object_)
        self.log = StepLog(args)

    def execute(
        self, requests: list[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        """One response per request."""
        answers = [attempt(self.answer, request) for request in requests]
        return [each.response(self.name) if isinstance(each, Failed) else each for each in answers]

    def finalize(self) -> None:
        """End the log."""
        self.log.close()

    def answer(self, request: pb_utils.InferenceRequest) -> pb_utils.InferenceResponse:
        """The label of each row."""
        probability = pb_utils.get_input_tensor_by_name(request, "PROBABILITY").as_numpy()
        labels = self.labels[(probability >= self.threshold).astype(np.int64)]
        self.log.keep(request, {"PROBABILITY": probability, "LABEL": labels})
        return pb_utils.InferenceResponse([pb_utils.Tensor("LABEL", labels)])
