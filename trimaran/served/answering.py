"""What the models that read records share: one array operation for all requests of a batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence, Sized
from pathlib import Path
from typing import TypeVar

import numpy as np
import triton_python_backend_utils as pb_utils

from trimaran.served.boundary import Failed, attempt
from trimaran.served.records import Field, RecordError, RecordReader, Table
from trimaran.served.transform import Transform

__all__ = ["Outputs", "answer_each", "load", "refuse_parameters"]

Rows = TypeVar("Rows", bound=Sized)
Outputs = Sequence[tuple[str, np.ndarray]]


def load(args: Mapping[str, str]) -> tuple[Path, Transform, RecordReader]:
    """The directory of the version that Triton loads, its transform, and a reader for it."""
    directory = Path(args["model_repository"]) / args["model_version"]
    transform = Transform.read(directory / "transform.json")
    fields = [Field(**field) for field in transform.data.fields]
    return directory, transform, RecordReader(fields, transform.data.identifier)


def refuse_parameters(reader: RecordReader, request: pb_utils.InferenceRequest) -> None:
    """Raise `RecordError` for a request parameter: a misspelt field arrives as one."""
    try:
        parameters = request.parameters()
        names = json.loads(parameters) if parameters and parameters != "{}" else ()
    except (ValueError, RecursionError):  # not UTF-8, or NaN, which Triton cannot write as JSON
        raise RecordError(
            f"there is a field that cannot be read, and none that is expected; "
            f"fields: {', '.join(reader.names)}"
        ) from None
    reader.refuse_unknown(names)


def answer_each(
    requests: Sequence[pb_utils.InferenceRequest],
    take: Callable[[pb_utils.InferenceRequest], Rows],
    read: Callable[[Sequence[Rows]], Table],
    score: Callable[[Table], Outputs],
    refused: Callable[[], None],
    echo: str | None = None,
    answered: Callable[[pb_utils.InferenceRequest, Rows, Outputs], None] | None = None,
    step: str = "",
) -> list[pb_utils.InferenceResponse]:
    """Responses to requests, scored together; one that raises anything fails alone.

    `take` gets the rows out of a request, `read` makes one table of several requests' rows, and
    `score` gives the output tensors of a table by name, a row for each of its rows. `refused` is
    called for each request that fails, `answered` with each other one, its rows and its outputs.
    The input named `echo`, where a request has it, is returned unchanged. `step` is the name of a
    model that is a step of ensembles.
    """

    def score_all(several: Sequence[Rows]) -> Outputs:
        return score(read(several))

    def respond(
        answer: tuple[pb_utils.InferenceRequest, Rows, Outputs],
    ) -> pb_utils.InferenceResponse:
        request, rows, outputs = answer
        response = _response(request, outputs, echo)
        if answered:
            answered(request, rows, outputs)
        return response

    def answer(
        request: pb_utils.InferenceRequest, rows: Rows | Failed, outputs: Outputs | Failed
    ) -> pb_utils.InferenceResponse:
        found: pb_utils.InferenceResponse | Failed
        if isinstance(rows, Failed):
            found = rows
        elif isinstance(outputs, Failed):
            found = outputs
        else:
            found = attempt(respond, (request, rows, outputs))
        if isinstance(found, Failed):
            refused()
            return found.response(step)
        return found

    taken = [attempt(take, request) for request in requests]
    usable = [rows for rows in taken if not isinstance(rows, Failed)]
    together = attempt(score_all, usable) if usable else []
    responses = []
    start = 0
    for request, rows in zip(requests, taken, strict=True):
        mine: Outputs | Failed
        if isinstance(rows, Failed):
            mine = []
        elif isinstance(together, Failed):
            mine = attempt(score_all, [rows]) if len(usable) > 1 else together
        else:
            mine = [(name, values[start : start + len(rows)]) for name, values in together]
            start += len(rows)
        responses.append(answer(request, rows, mine))
    return responses


def _response(
    request: pb_utils.InferenceRequest, outputs: Outputs, echo: str | None
) -> pb_utils.InferenceResponse:
    tensors = [pb_utils.Tensor(name, values) for name, values in outputs]
    if echo:
        echoed = pb_utils.get_input_tensor_by_name(request, echo)
        if echoed:
            tensors.append(pb_utils.Tensor(echo, echoed.as_numpy()))
    return pb_utils.InferenceResponse(tensors)
