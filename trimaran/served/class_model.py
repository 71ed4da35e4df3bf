"""The name of a class: `NUMBER` INT64 `[1]` to `CLASS` BYTES `[1]`, by `labels.txt`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

from trimaran.served.answers import LABELS, read_labels
from trimaran.served.boundary import Failed, attempt
from trimaran.served.failures import counted
from trimaran.served.pulse import beating

__all__ = ["TritonPythonModel"]


@beating
@counted
class TritonPythonModel:
    """One instance of one version; the classes are in that version's `labels.txt`."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the classes."""
        directory = Path(args["model_repository"]) / args["model_version"]
        classes = read_labels(directory / LABELS)
        self.classes = np.array([each.encode() for each in classes], dtype=np.object_)

    def execute(
        self, requests: list[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        """One response to each request; one with a number that has no class fails alone."""
        answers = (attempt(self.answer, request) for request in requests)
        return [each.response() if isinstance(each, Failed) else each for each in answers]

    def answer(self, request: pb_utils.InferenceRequest) -> pb_utils.InferenceResponse:
        """A request's classes."""
        numbers = pb_utils.get_input_tensor_by_name(request, "NUMBER").as_numpy()
        return pb_utils.InferenceResponse([pb_utils.Tensor("CLASS", self.classes[numbers])])
