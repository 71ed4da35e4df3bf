"""The parity gate: an exported artifact must compute what the trained module computes.

It is run in its own runtime beside eager PyTorch, on batches of one row, an odd number, and the
largest that will be served; and shown that rows do not influence one another, which is what
batching requests of different clients together relies on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from trimaran.dtypes import DType
from trimaran.tensors import TensorSpec, describe_shape

__all__ = [
    "DEFAULT_TOLERANCES",
    "Arrays",
    "Comparison",
    "OutputParity",
    "ParityReport",
    "Report",
    "batch_sizes",
    "compare",
    "compare_rows",
    "failure",
    "measure_parity",
    "row_count",
    "scale_of",
    "tolerance_for",
]

Arrays = Mapping[str, np.ndarray]
Run = Callable[[Arrays], Arrays]

DEFAULT_TOLERANCES: Mapping[str, tuple[float, float]] = {
    "FP64": (1e-7, 1e-7),
    "FP32": (1e-4, 1e-4),
    "FP16": (1e-2, 1e-2),
}
"""By output type: the share of an element, and the share of the output's scale, that it may be off.
Wide enough for a deep network whose sums another runtime adds in another order
(docs/architectures.md has what that comes to), and below what a wrong operator shows
(docs/gate.md). All other types must be equal."""


@dataclass(frozen=True)
class Comparison:
    """Two arrays of one output: the largest error, and the element that misses its bound most."""

    largest_error: float
    passed: bool
    problem: str = ""


@dataclass(frozen=True)
class OutputParity:
    """One row of the parity table."""

    output: str
    dtype: str
    largest_error: float
    rtol: float
    atol: float
    batch_sizes: tuple[int, ...]
    passed: bool
    problem: str = ""

    def record(self) -> dict[str, Any]:
        """The row as it goes into a manifest."""
        return {**asdict(self), "batch_sizes": list(self.batch_sizes)}


class Report:
    """All outputs of one artifact, each a row that says whether it passed, and if not why."""

    outputs: tuple[Any, ...]

    @property
    def passed(self) -> bool:
        """Whether every output passed."""
        return all(row.passed for row in self.outputs)

    @property
    def problem(self) -> str:
        """The first failure, in words; empty when there is none."""
        return next((f"output {r.output!r}: {r.problem}" for r in self.outputs if r.problem), "")


@dataclass(frozen=True)
class ParityReport(Report):
    """All outputs of one artifact, each within its tolerance or not."""

    outputs: tuple[OutputParity, ...]


def batch_sizes(max_batch_size: int) -> tuple[int, ...]:
    """The row counts to try: one, an odd number, and the most that will be served."""
    return tuple(sorted({1, min(3, max_batch_size), max_batch_size}))


def scale_of(arrays: Iterable[np.ndarray]) -> float:
    """The root mean square of all finite numbers of an output: what "small" is measured by."""
    total, count = 0.0, 0
    for array in arrays:
        numbers = array[np.isfinite(array)].astype(np.float64) if array.dtype.kind == "f" else ()
        total += float(np.sum(np.square(numbers)))
        count += len(numbers)
    return float(np.sqrt(total / count)) if count else 0.0


def tolerance_for(
    dtype: DType, scale: float, chosen: tuple[float, float] | None = None
) -> tuple[float, float]:
    """`(rtol, atol)` of an output: what the model itself says, or its type's at its `scale`."""
    if chosen is not None:
        return chosen
    rtol, share = DEFAULT_TOLERANCES.get(dtype.triton, (0.0, 0.0))
    return rtol, share * scale


def compare(expected: np.ndarray, actual: np.ndarray, rtol: float, atol: float) -> Comparison:
    """Hold `actual` against `expected`, element by element: `|a - e| <= atol + rtol * |e|`.

    NaN equals NaN, and an infinity equals itself, at the same place. Integers that float64 cannot
    tell apart still differ.
    """
    if expected.dtype != actual.dtype:
        return Comparison(np.inf, False, f"is {actual.dtype}, PyTorch gives {expected.dtype}")
    if expected.shape != actual.shape:
        shapes = describe_shape(actual.shape), describe_shape(expected.shape)
        return Comparison(np.inf, False, f"has shape {shapes[0]}, PyTorch gives {shapes[1]}")
    if expected.size == 0:
        return Comparison(0.0, True)
    e, a = expected.astype(np.float64), actual.astype(np.float64)
    with np.errstate(invalid="ignore"):
        equal = (expected == actual) | (np.isnan(e) & np.isnan(a))
        error = np.where(equal, 0.0, np.maximum(np.abs(a - e), np.finfo(np.float64).tiny))
        bound = atol + rtol * np.where(np.isfinite(e), np.abs(e), 0.0)
        excess = np.where(np.isnan(error), np.inf, error) - bound
    largest = float(np.nanmax(np.where(np.isnan(error), np.inf, error)))
    if not (excess > 0).any():
        return Comparison(largest, True)
    worst = np.unravel_index(int(np.argmax(excess)), excess.shape)
    return Comparison(
        largest,
        False,
        f"element {describe_shape([int(i) for i in worst])} is {actual[worst]!s}, PyTorch gives "
        f"{expected[worst]!s} (allowed: {bound[worst]:.3g} apart)",
    )


def measure_parity(
    outputs: Sequence[TensorSpec],
    tolerances: Mapping[str, tuple[float, float]],
    batches: Sequence[Arrays],
    expected: Sequence[Arrays],
    artifact: Run,
) -> ParityReport:
    """Run the artifact on every batch, hold it against PyTorch's results, then try rows alone.

    `batches` and `expected` map tensor names to arrays, `[rows, ...]`, one entry for each batch. A
    runtime's failure is reported as every output's failure, with its reason.
    """
    limits = {
        spec.name: tolerance_for(
            spec.dtype, scale_of(e[spec.name] for e in expected), tolerances.get(spec.name)
        )
        for spec in outputs
    }
    comparisons: dict[str, list[Comparison]] = {spec.name: [] for spec in outputs}
    largest: tuple[Arrays, Arrays] | None = None
    for batch, wanted in zip(batches, expected, strict=True):
        actual, failure = _attempt(artifact, batch)
        if actual is not None and (largest is None or row_count(batch) > row_count(largest[0])):
            largest = batch, actual
        for name, (rtol, atol) in limits.items():
            comparisons[name].append(
                compare(wanted[name], actual[name], rtol, atol)
                if actual is not None
                else Comparison(np.inf, False, f"fails on {row_count(batch)} rows: {failure}")
            )
    if largest is not None:
        for name, comparison in compare_rows(limits, *largest, artifact):
            comparisons[name].append(comparison)
    sizes = tuple(sorted({row_count(batch) for batch in batches}))
    return ParityReport(
        tuple(_row(s.name, s.dtype, limits[s.name], sizes, comparisons[s.name]) for s in outputs)
    )


def compare_rows(
    limits: Mapping[str, tuple[float, float]], batch: Arrays, together: Arrays, run: Run
) -> Iterator[tuple[str, Comparison]]:
    """Compare rows of a batch, whose outputs are `together`, with the same rows alone."""
    rows = row_count(batch)
    for index in sorted({0, rows // 2, rows - 1}) if rows > 1 else ():
        alone, failure = _attempt(run, {n: a[index : index + 1] for n, a in batch.items()})
        for name, (rtol, atol) in limits.items():
            if alone is None:
                yield name, Comparison(np.inf, False, f"fails on one row: {failure}")
                continue
            found = compare(alone[name], together[name][index : index + 1], rtol, atol)
            text = (
                f"row {index} depends on the rows beside it: alone and in a batch of {rows} its "
                f"values are up to {found.largest_error:.3g} apart (allowed: {atol:g} + "
                f"{rtol:g}·|x|), so requests may not be batched together"
            )
            yield name, found if found.passed else Comparison(found.largest_error, False, text)


def _attempt(run: Run, batch: Arrays) -> tuple[Arrays | None, str]:
    try:
        return run(batch), ""
    except Exception as error:  # a runtime raises types of its own; all of them mean failure here
        return None, failure(error)


def failure(error: Exception) -> str:
    """Why a runtime could not run an artifact, in one line.

    TorchScript tells where in the archive's code it was, and only last what was wrong.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if any(line.startswith("Traceback of TorchScript") for line in lines):
        lines = lines[-1:]
    return " ".join(" ".join(lines).split())[:400]


def _row(
    name: str,
    dtype: DType,
    limits: tuple[float, float],
    sizes: tuple[int, ...],
    comparisons: Sequence[Comparison],
) -> OutputParity:
    failed = next((c for c in comparisons if not c.passed), None)
    return OutputParity(
        output=name,
        dtype=dtype.triton,
        largest_error=max(c.largest_error for c in comparisons),
        rtol=limits[0],
        atol=limits[1],
        batch_sizes=sizes,
        passed=failed is None,
        problem=failed.problem if failed else "",
    )


def row_count(batch: Arrays) -> int:
    """How many rows a batch has."""
    return int(next(iter(batch.values())).shape[0])
