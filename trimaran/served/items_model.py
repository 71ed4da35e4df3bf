"""Triton's side of naming items: `NUMBERS` INT64 `[top]` to `ITEM` BYTES `[top]`.

Items are the lines of `items.txt`, from 1; 0 stands for none, whose name is empty.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

from trimaran.served.boundary import Failed, attempt
from trimaran.served.failures import counted
from trimaran.served.pulse import beating

__all__ = ["TritonPythonModel"]


@beating
@counted
class TritonPythonModel:
    """One instance of one version."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read `items.txt`."""
        self.name = args["model_name"]
        path = Path(args["model_repository"]) / args["model_version"] / "items.txt"
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        self.names = np.array([b"", *(line.encode() for line in lines)], np.object_)

    def execute(
        self, requests: list[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        """One response per request."""
        answers = [attempt(self.answer, request) for request in requests]
        return [each.response(self.name) if isinstance(each, Failed) else each for each in answers]

    def answer(self, request: pb_utils.InferenceRequest) -> pb_utils.InferenceResponse:
        """The names of each row's items."""
        numbers = pb_utils.get_input_tensor_by_name(request, "NUMBERS").as_numpy()
        return pb_utils.InferenceResponse([pb_utils.Tensor("ITEM", self.names[numbers])])
