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

__all__ = ["answer_each", "load", "refuse_parameters"]

Rows = TypeVar("Rows")


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
    score: Callable[[Table], Sequence[tuple[str, np.ndarray]]],
    refused: Callable[[], None],
    echo: str | None = None,
) -> list[Any]:
    """Responses to requests, scored together; one that cannot be read fails alone.

    `take` gets the rows out of a request, `read` makes one table of several requests' rows, and
    `score` gives the output tensors of a table by name, a row for each of its rows. `take` and
    `read` raise `RecordError`; `refused` is called for each request that fails. The input named
    `echo`, where a request has it, goes back as it came.
    """
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
            else _response(request, score(table), echo)
            for request, table in zip(requests, tables, strict=True)
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
        responses.append(_response(request, mine, echo))
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


def _response(request: Any, outputs: Sequence[tuple[str, np.ndarray]], echo: str | None) -> Any:
    tensors = [pb_utils.Tensor(name, values) for name, values in outputs]
    echoed = echo and pb_utils.get_input_tensor_by_name(request, echo)
    if echoed:
        tensors.append(pb_utils.Tensor(echo, echoed.as_numpy()))
    return pb_utils.InferenceResponse(tensors)
