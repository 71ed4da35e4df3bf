"""Triton's side of finding a user: `USER` BYTES `[1]` to `HISTORY` INT64 `[-1]`.

`BASIS`, BYTES `[1]`, says what the answer is made from: `history` for a user who likes something,
or else `popularity`. All rows of one request have one length, and requests of equal lengths meet in
one batch of the network.

The parameter `unknown` decides on a user who is not in the version: `popularity` answers as for a
user who has chosen nothing, and `refuse` refuses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

from trimaran.served.boundary import Failed, attempt
from trimaran.served.failures import counted
from trimaran.served.histories import MOST_NAME_BYTES, Histories, padded_histories
from trimaran.served.pulse import beating
from trimaran.served.refusal import RefusedError, shown
from trimaran.served.texts import read_text

__all__ = ["TritonPythonModel"]

_POLICIES = ("popularity", "refuse")


@beating
@counted
class TritonPythonModel:
    """One instance of one version, which holds the histories."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the histories, and the parameter `unknown`.

        Raises `TritonModelException` for a parameter that is no policy.
        """
        self.name = args["model_name"]
        policy = _policy(json.loads(args["model_config"])["parameters"])
        self.refuses = policy == "refuse"
        self.histories = Histories.read(Path(args["model_repository"]) / args["model_version"])

    def execute(
        self, requests: list[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        """One response per request; a bad name fails its own request and no other."""
        answers = [attempt(self.answer, request) for request in requests]
        return [each.response(self.name) if isinstance(each, Failed) else each for each in answers]

    def answer(self, request: pb_utils.InferenceRequest) -> pb_utils.InferenceResponse:
        """The histories of a request's users. Raises `RefusedError` for the first bad name."""
        names = pb_utils.get_input_tensor_by_name(request, "USER").as_numpy().reshape(-1)
        found = []
        for place, data in enumerate(names):
            try:
                found.append(self.history(data))
            except RefusedError as error:
                which = f"user {place} of {len(names)}" if len(names) > 1 else "the user"
                raise RefusedError(f"{which} {error}") from error
        basis = [[b"history" if (row > 0).any() else b"popularity"] for row in found]
        return pb_utils.InferenceResponse(
            [
                pb_utils.Tensor("HISTORY", padded_histories(found)),
                pb_utils.Tensor("BASIS", np.array(basis, np.object_)),
            ]
        )

    def history(self, data: bytes) -> np.ndarray:
        """What a user has chosen: items from 1, negative where not liked."""
        name = read_text(data, MOST_NAME_BYTES)
        found = self.histories.of(name)
        if found is None and self.refuses:
            raise RefusedError(f"{shown(name)} is unknown; name one who was in the training")
        return np.zeros(0, np.int32) if found is None else found


def _policy(parameters: Mapping[str, Mapping[str, str]]) -> str:
    written = parameters.get("unknown", {}).get("string_value", _POLICIES[0])
    if written not in _POLICIES:
        raise pb_utils.TritonModelException(
            f"the parameter unknown is {written!r}; write {' or '.join(_POLICIES)}"
        )
    return written
