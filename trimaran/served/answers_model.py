"""The last step of an ensemble of named fields: the network's outputs to the model's, and the log.

The inputs are the network's outputs, by their names there, and the record's identifier, if it has
one. `answers.py` has both sides. The parameters `answers_of` and `identifier` are those of
`logged_predictions.py`.
"""

from __future__ import annotations

import json
from pathlib import Path

import triton_python_backend_utils as pb_utils

from trimaran.served.answers import read_answers
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
        """Read the task, and the classes where it has them."""
        self.name = args["model_name"]
        config = json.loads(args["model_config"])
        parameters = {key: each["string_value"] for key, each in config["parameters"].items()}
        directory = Path(args["model_repository"]) / args["model_version"]
        self.answers = read_answers(parameters, directory)
        self.names = [output["name"] for output in config["output"]]
        self.log = StepLog(args)

    def execute(
        self, requests: list[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        """One response to each request; one with a number that has no class fails alone."""
        answers = (attempt(self.answer, request) for request in requests)
        return [each.response(self.name) if isinstance(each, Failed) else each for each in answers]

    def finalize(self) -> None:
        """End the log."""
        self.log.close()

    def answer(self, request: pb_utils.InferenceRequest) -> pb_utils.InferenceResponse:
        """A request's answers."""
        found = [
            pb_utils.get_input_tensor_by_name(request, name).as_numpy()
            for name in self.answers.network
        ]
        outputs = dict(zip(self.names, self.answers.values(found), strict=True))
        self.log.keep(request, outputs)
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor(name, values) for name, values in outputs.items()]
        )
