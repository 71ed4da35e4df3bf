"""Requests that wait together are answered by one call of the runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

__all__ = ["Arrays", "answer", "decoded"]

Arrays = Mapping[str, np.ndarray]
Run = Callable[[Arrays], Arrays]


def answer(
    requests: Sequence[pb_utils.InferenceRequest],
    input_names: Sequence[str],
    run: Run,
    *,
    batched: bool,
) -> list[pb_utils.InferenceResponse]:
    """One response per request, in order.

    `run` takes and gives arrays by name; an optional input that a request leaves out is left out.
    Where the model batches, requests of equal shape are joined along the first axis; if the joined
    call fails, each is tried alone, so that a request with a bad value fails by itself.
    """
    arrays = [_arrays(request, input_names) for request in requests]
    outcomes: list[Arrays | Exception] = [{}] * len(requests)
    for group in _groups(arrays) if batched else ():
        for index, outcome in zip(group, _run_group([arrays[i] for i in group], run), strict=True):
            outcomes[index] = outcome
    if not batched:
        outcomes = [_attempt(request, run) for request in arrays]
    return [_response(*pair) for pair in zip(requests, outcomes, strict=True)]


def decoded(name: str, array: np.ndarray) -> np.ndarray:
    """An array of `bytes` (dtype object) as one of `str`, in the same shape.

    The runtimes' Python interfaces take text in this form. Raises `ValueError` naming the input
    where a value is not UTF-8.
    """
    try:
        values = [value.decode() for value in array.reshape(-1)]
    except UnicodeDecodeError as error:
        raise ValueError(f"input '{name}' holds a value that is not UTF-8 text") from error
    result = np.empty(len(values), dtype=object)
    result[:] = values
    return result.reshape(array.shape)


def _arrays(request: pb_utils.InferenceRequest, names: Sequence[str]) -> dict[str, np.ndarray]:
    tensors = {name: pb_utils.get_input_tensor_by_name(request, name) for name in names}
    return {name: tensor.as_numpy() for name, tensor in tensors.items() if tensor is not None}


def _groups(arrays: Sequence[Arrays]) -> list[list[int]]:
    """Positions of requests that differ in the first axis at most."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for index, request in enumerate(arrays):
        key = tuple((name, array.shape[1:]) for name, array in request.items())
        groups.setdefault(key, []).append(index)
    return list(groups.values())


def _run_group(group: Sequence[Arrays], run: Run) -> Sequence[Arrays | Exception]:
    rows = [next(iter(request.values())).shape[0] for request in group]
    if len(group) == 1:
        return [_attempt(group[0], run, rows[0])]
    joined = {name: np.concatenate([request[name] for request in group]) for name in group[0]}
    outcome = _attempt(joined, run, sum(rows))
    if isinstance(outcome, Exception):
        return [_attempt(request, run, n) for request, n in zip(group, rows, strict=True)]
    return [
        {name: array[end - count : end] for name, array in outcome.items()}
        for count, end in zip(rows, np.cumsum(rows), strict=True)
    ]


def _attempt(arrays: Arrays, run: Run, rows: int | None = None) -> Arrays | Exception:
    """The outputs of `run`, each with `rows` rows, or the error."""
    try:
        outputs = run(arrays)
        for name, array in outputs.items() if rows is not None else ():
            if array.shape[:1] != (rows,):
                raise ValueError(
                    f"failed to split the output tensor '{name}' in responses: expected batch "
                    f"size of {rows} in model output, got shape {list(array.shape)}"
                )
        return outputs
    except Exception as error:  # runtimes raise types of their own; the client gets the text
        return error


def _response(
    request: pb_utils.InferenceRequest, outcome: Arrays | Exception
) -> pb_utils.InferenceResponse:
    if isinstance(outcome, Exception):
        text = " ".join(str(outcome).split())
        return pb_utils.InferenceResponse(
            error=pb_utils.TritonError(text, pb_utils.TritonError.INTERNAL)
        )
    wanted = sorted(request.requested_output_names())
    return pb_utils.InferenceResponse(
        [pb_utils.Tensor(name, np.ascontiguousarray(outcome[name])) for name in wanted]
    )
