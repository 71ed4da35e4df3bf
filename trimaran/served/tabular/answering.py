"""What the models that read records share: one array operation for all requests of a batch.

Self-contained beside `records.py` and `transform.py`, which are copied with it into a version.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import triton_python_backend_utils as pb_utils
from records import Field, RecordError, RecordReader, Table
from transform import Transform

__all__ = ["Outputs", "answer_each", "load", "refuse_parameters"]

Rows = TypeVar("Rows")
Outputs = Sequence[tuple[str, np.ndarray]]


def load(args: Mapping[str, str]) -> tuple[Path, Transform, RecordReader]:
    """The directory of the version that Triton loads, its transform, and a reader for it."""
    directory = Path(args["model_repository"]) / args["model_version"]
    transform = Transform.read(directory / "transform.json")
    fields = [Field(**field) for field in transform.data.fields]
    return directory, transform, RecordReader(fields, transform.data.identifier)


def refuse_parameters(reader: RecordReader, request: Any) -> None:
    """Raise `RecordError` for a request parameter: a misspelt field arrives as one."""
    parameters = request.parameters()
    if parameters and parameters != "{}":
        reader.refuse_unknown(json.loads(parameters))


def answer_each(
    requests: Sequence[Any],
    take: Callable[[Any], Rows],
    read: Callable[[Sequence[Rows]], Table],
    score: Callable[[Table], Outputs],
    refused: Callable[[], None],
    echo: str | None = None,
    answered: Callable[[Any, Rows, Outputs], None] | None = None,
) -> list[Any]:
    """Responses to requests, scored together; one that cannot be read fails alone.

    `take` gets the rows out of a request, `read` makes one table of several requests' rows, and
    `score` gives the output tensors of a table by name, a row for each of its rows. `take` and
    `read` raise `RecordError`; `refused` is called for each request that fails, `answered` with
    each other one, its rows and its outputs. The input named `echo`, where a request has it, goes
    back as it came.
    """

    def respond(request: Any, rows: Rows, outputs: Outputs) -> Any:
        if answered:
            answered(request, rows, outputs)
        return _response(request, outputs, echo)

    taken = [_or_error(take, request) for request in requests]
    usable = [rows for rows in taken if not isinstance(rows, RecordError)]
    together = _or_error(read, usable)
    if isinstance(together, RecordError):
        tables = [
            rows if isinstance(rows, RecordError) else _or_error(read, [rows]) for rows in taken
        ]
        return [
            _refusal(table, refused)
            if isinstance(table, RecordError)
            else respond(request, rows, score(table))
            for request, rows, table in zip(requests, taken, tables, strict=True)
        ]
    outputs = score(together) if usable else []
    responses = []
    start = 0
    for request, rows in zip(requests, taken, strict=True):
        if isinstance(rows, RecordError):
            responses.append(_refusal(rows, refused))
            continue
        end = start + len(rows)  # type: ignore[arg-type]
        mine = [(name, values[start:end]) for name, values in outputs]
        responses.append(respond(request, rows, mine))
        start = end
    return responses


def _or_error(function: Callable[[Any], Any], argument: Any) -> Any:
    try:
        return function(argument)
    except RecordError as error:
        return error


def _refusal(error: RecordError, refused: Callable[[], None]) -> Any:
    refused()
    return pb_utils.InferenceResponse([], pb_utils.TritonError(str(error)))


def _response(request: Any, outputs: Outputs, echo: str | None) -> Any:
    tensors = [pb_utils.Tensor(name, values) for name, values in outputs]
    echoed = echo and pb_utils.get_input_tensor_by_name(request, echo)
    if echoed:
        tensors.append(pb_utils.Tensor(echo, echoed.as_numpy()))
    return pb_utils.InferenceResponse(tensors)
