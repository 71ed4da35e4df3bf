"""Triton's side of a step: a function of the user's own, called for the rows of requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as pb_utils

from trimaran.served.boundary import Failed, attempt
from trimaran.served.failures import counted
from trimaran.served.pulse import beating
from trimaran.served.step_calls import call_step, load_step

__all__ = ["TritonPythonModel"]


@beating
@counted
class TritonPythonModel:
    """One instance of one version; `step.json` names the function."""

    def initialize(self, args: dict[str, str]) -> None:
        """Import the function from this version's own code."""
        self.name = args["model_name"]
        directory = Path(args["model_repository"]) / args["model_version"]
        self.declared, self.function = load_step(directory)

    def execute(
        self, requests: list[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        """Call a function of batches once for equal shapes, and for each request if that fails."""
        given = [self.inputs_of(request) for request in requests]
        if self.declared.batched and len(given) > 1 and _alike(given):
            together = attempt(self.answer_all, given)
            if not isinstance(together, Failed):
                return together
        alone = [attempt(self.answer_all, [arrays]) for arrays in given]
        return [each.response(self.name) if isinstance(each, Failed) else each[0] for each in alone]

    def inputs_of(self, request: pb_utils.InferenceRequest) -> dict[str, npt.NDArray[Any]]:
        """The request's arrays by name; optional ones that it lacks are left out."""
        found = {
            tensor.name: pb_utils.get_input_tensor_by_name(request, tensor.name)
            for tensor in self.declared.inputs
        }
        return {name: tensor.as_numpy() for name, tensor in found.items() if tensor is not None}

    def answer_all(
        self, given: Sequence[Mapping[str, npt.NDArray[Any]]]
    ) -> list[pb_utils.InferenceResponse]:
        """The responses to requests of equal shapes, whose rows are joined."""
        joined = {name: np.concatenate([arrays[name] for arrays in given]) for name in given[0]}
        answers = call_step(self.declared, self.function, joined)
        ends = np.cumsum([len(next(iter(arrays.values()))) for arrays in given])[:-1]
        parts = {name: np.split(array, ends) for name, array in answers.items()}
        return [
            pb_utils.InferenceResponse(
                [pb_utils.Tensor(name, rows[place]) for name, rows in parts.items()]
            )
            for place in range(len(given))
        ]


def _alike(given: Sequence[Mapping[str, npt.NDArray[Any]]]) -> bool:
    shapes = [{name: array.shape[1:] for name, array in arrays.items()} for arrays in given]
    return all(each == shapes[0] for each in shapes[1:])
