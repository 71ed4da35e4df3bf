"""Inputs that the gate has not seen, and how far an artifact is from PyTorch on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
import torch

from exporters.parity import Arrays, Run
from exporters.spec import DynamicAxis, ModelSpec
from exporters.tolerance import DEFAULT_TOLERANCES
from exporters.torch_state import quiet
from proofs.gate.subject import Subject
from trimaran.repository import dtypes

__all__ = ["BOUND", "Answered", "answered", "excess", "fresh_inputs"]

BOUND = 10.0
"""How many times the gate's own tolerance an artifact may be off on inputs that it never saw."""

_SEED = 777
_EACH_SIZE = 2
_LARGE = 3


@dataclass(frozen=True)
class Answered:
    """Inputs and what eager PyTorch answers to them, and the root mean square of each output."""

    batches: Sequence[Arrays]
    expected: Sequence[Arrays]
    scales: Mapping[str, float]


def fresh_inputs(subject: Subject, spec: ModelSpec, most_rows: int) -> Answered:
    """Batches of every size and of every length, and the rows of the largest one by one.

    They are the subject's own, drawn as its example is, with other random numbers.
    """
    rng = np.random.default_rng(_SEED)
    shapes = [(rows, dict(subject.lengths)) for rows in range(1, most_rows + 1)] * _EACH_SIZE
    shapes += [(most_rows, dict(subject.lengths))] * _LARGE
    shapes += list(zip(cycle(range(most_rows, 0, -1)), _all_lengths(spec, rng)))
    batches = [subject.draw(rng, rows, lengths) for rows, lengths in shapes]
    largest = batches[most_rows - 1]
    batches += [{n: a[i : i + 1] for n, a in largest.items()} for i in range(most_rows)]
    names = list(spec.example_inputs)
    return answered(spec, [{name: batch[name] for name in names} for batch in batches])


def answered(spec: ModelSpec, batches: Sequence[Arrays]) -> Answered:
    """The answers of the module itself."""
    module = spec.positional()
    expected = []
    for batch in batches:
        with quiet():
            outputs = module(*(torch.tensor(array) for array in batch.values()))
        expected.append({n: t.numpy() for n, t in zip(spec.output_names, outputs, strict=True)})
    scales = {
        name: float(
            np.sqrt(
                sum(np.sum(np.square(e[name], dtype=np.float64)) for e in expected)
                / sum(e[name].size for e in expected)
            )
        )
        for name in spec.output_names
    }
    return Answered(batches, expected, scales)


def excess(known: Answered, run: Run) -> float:
    """The largest error as a multiple of the gate's own tolerance.

    That is `|a - e| / (rtol * |e| + share * scale)`, with both figures from
    `exporters.tolerance.DEFAULT_TOLERANCES`. Infinite where the artifact fails, answers in another
    shape or type, or gives a number that is not finite where PyTorch gives one that is.
    """
    worst = 0.0
    for batch, wanted in zip(known.batches, known.expected, strict=True):
        try:
            found = run(batch)
        except Exception:  # whatever a runtime raises, a client has no answer
            return np.inf
        for name, e in wanted.items():
            a = found[name]
            if a.shape != e.shape or a.dtype != e.dtype:
                return np.inf
            worst = max(worst, _excess(a, e, known.scales[name]))
    return worst


def _excess(a: np.ndarray, e: np.ndarray, scale: float) -> float:
    rtol, share = DEFAULT_TOLERANCES.get(dtypes.by_numpy(e.dtype).triton, (0.0, 0.0))
    wanted = e.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        off = np.abs(a.astype(np.float64) - wanted) / (rtol * np.abs(wanted) + share * scale)
    off = np.where(a == e, 0.0, np.where(np.isnan(off), np.inf, off))
    return float(off.max(initial=0.0))


def _all_lengths(spec: ModelSpec, rng: np.random.Generator) -> Iterator[dict[str, int]]:
    """Every length of every dynamic axis, in another order for each axis."""
    axes: dict[str, DynamicAxis] = {
        axis.name: axis for by_axis in spec.axes.values() for axis in by_axis.values()
    }
    columns = {
        name: rng.permutation(np.arange(axis.least, axis.most + 1, axis.step))
        for name, axis in axes.items()
    }
    for i in range(max((len(column) for column in columns.values()), default=0)):
        yield {name: int(column[i % len(column)]) for name, column in columns.items()}
