"""What the models that read records share: one array operation for all requests of a batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence, Sized
from pathlib import Path
from typing import TypeVar

import numpy as np
import triton_python_backend_utils as pb_utils

from trimaran.served.records import Field, RecordError, RecordReader, Table
from trimaran.served.transform import Transform

__all__ = ["Outputs", "answer_each", "load", "refuse_parameters"]

Argument = TypeVar("Argument")
Result = TypeVar("Result")
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
    parameters = request.parameters()
    if parameters and parameters != "{}":
        reader.refuse_unknown(json.loads(parameters))


def answer_each(
    requests: Sequence[pb_utils.InferenceRequest],
    take: Callable[[pb_utils.InferenceRequest], Rows],
    read: Callable[[Sequence[Rows]], Table],
    score: Callable[[Table], Outputs],
    refused: Callable[[], None],
    echo: str | None = None,
    answered: Callable[[pb_utils.InferenceRequest, Rows, Outputs], None] | None = None,
) -> list[pb_utils.InferenceResponse]:
    """Responses to requests, scored together; one that cannot be read fails alone.

    `take` gets the rows out of a request, `read` makes one table of several requests' rows, and
    `score` gives the output tensors of a table by name, a row for each of its rows. `take` and
    `read` raise `RecordError`; `refused` is called for each request that fails, `answered` with
    each other one, its rows and its outputs. The input named `echo`, where a request has it, is
    returned unchanged.
    """

    def respond(
        request: pb_utils.InferenceRequest, rows: Rows, outputs: Outputs
    ) -> pb_utils.InferenceResponse:
        if answered:
            answered(request, rows, outputs)
        return _response(request, outputs, echo)

    def alone(
        request: pb_utils.InferenceRequest, rows: Rows | RecordError
    ) -> pb_utils.InferenceResponse:
        if isinstance(rows, RecordError):
            return _refusal(rows, refused)
        table = _or_error(read, [rows])
        if isinstance(table, RecordError):
            return _refusal(table, refused)
        return respond(request, rows, score(table))

    taken = [_or_error(take, request) for request in requests]
    usable = [rows for rows in taken if not isinstance(rows, RecordError)]
    together = _or_error(read, usable)
    if isinstance(together, RecordError):
        return [alone(request, rows) for request, rows in zip(requests, taken, strict=True)]
    outputs = score(together) if usable else []
    responses = []
    start = 0
    for request, rows in zip(requests, taken, strict=True):
        if isinstance(rows, RecordError):
            responses.append(_refusal(rows, refused))
            continue
        end = start + len(rows)
        mine = [(name, values[start:end]) for name, values in outputs]
        responses.append(respond(request, rows, mine))
        start = end
    return responses


def _or_error(function: Callable[[Argument], Result], argument: Argument) -> Result | RecordError:
    try:
        return function(argument)
    except RecordError as error:
        return error


def _refusal(error: RecordError, refused: Callable[[], None]) -> pb_utils.InferenceResponse:
    refused()
    return pb_utils.InferenceResponse([], pb_utils.TritonError(str(error)))


def _response(
    request: pb_utils.InferenceRequest, outputs: Outputs, echo: str | None
) -> pb_utils.InferenceResponse:
    tensors = [pb_utils.Tensor(name, values) for name, values in outputs]
    if echo:
        echoed = pb_utils.get_input_tensor_by_name(request, echo)
        if echoed:
            tensors.append(pb_utils.Tensor(echo, echoed.as_numpy()))
    return pb_utils.InferenceResponse(tensors)
