"""Requests that wait together are answered by one call of the runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

__all__ = ["answer"]

Arrays = Mapping[str, np.ndarray]
Run = Callable[[Arrays], Arrays]


def answer(
    requests: Sequence[Any], input_names: Sequence[str], run: Run, *, batched: bool
) -> list[Any]:
    """One response per request, in order.

    `run` takes and gives arrays by name. Where the model batches, requests of equal shape are
    joined along the first axis; if the joined call fails, each is tried alone, so that a request
    with a bad value fails by itself.
    """
    arrays = [_arrays(request, input_names) for request in requests]
    responses: list[Any] = [None] * len(requests)
    for group in _groups(arrays) if batched else [[index] for index in range(len(arrays))]:
        for index, outcome in zip(group, _run_group([arrays[i] for i in group], run), strict=True):
            responses[index] = _response(requests[index], outcome)
    return responses


def _arrays(request: Any, names: Sequence[str]) -> dict[str, np.ndarray]:
    return {name: pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in names}


def _groups(arrays: Sequence[Arrays]) -> list[list[int]]:
    """Positions of requests that differ in the first axis at most."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for index, request in enumerate(arrays):
        key = tuple(array.shape[1:] for array in request.values())
        groups.setdefault(key, []).append(index)
    return list(groups.values())


def _run_group(group: Sequence[Arrays], run: Run) -> Sequence[Arrays | Exception]:
    if len(group) == 1:
        return [_attempt(group[0], run)]
    joined = {name: np.concatenate([request[name] for request in group]) for name in group[0]}
    outcome = _attempt(joined, run)
    if isinstance(outcome, Exception):
        return [_attempt(request, run) for request in group]
    rows = [next(iter(request.values())).shape[0] for request in group]
    ends = np.cumsum(rows)
    return [
        {name: array[end - count : end] for name, array in outcome.items()}
        for count, end in zip(rows, ends, strict=True)
    ]


def _attempt(arrays: Arrays, run: Run) -> Arrays | Exception:
    try:
        return run(arrays)
    except Exception as error:  # runtimes raise types of their own; the client gets the text
        return error


def _response(request: Any, outcome: Arrays | Exception) -> Any:
    if isinstance(outcome, Exception):
        text = " ".join(str(outcome).split())
        return pb_utils.InferenceResponse(
            error=pb_utils.TritonError(text, pb_utils.TritonError.INVALID_ARG)
        )
    wanted = request.requested_output_names()
    return pb_utils.InferenceResponse(
        [
            pb_utils.Tensor(name, np.ascontiguousarray(array))
            for name, array in outcome.items()
            if name in wanted
        ]
    )
