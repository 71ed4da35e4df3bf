"""The parity gate: an exported artifact must compute what the trained module computes.

The artifact is run in its own runtime, and compared with eager PyTorch on the batches of
`exporters.batches`. Its rows must not influence one another, since requests of different clients
are batched together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from exporters.tolerance import column_shares, row_limits, tolerance_for, typical_scale
from trimaran.repository.dtypes import TensorSpec, describe_shape

__all__ = [
    "Arrays",
    "ArtifactRuntimeError",
    "Comparison",
    "OutputParity",
    "ParityReport",
    "Report",
    "UnservableError",
    "compare",
    "compare_rows",
    "failure",
    "measure_parity",
    "row_count",
]

Arrays = Mapping[str, np.ndarray]
Run = Callable[[Arrays], Arrays]


@dataclass(frozen=True)
class Comparison:
    """Two arrays of one output: the largest error, and the element that misses its bound most.

    `used` is the largest share that an element's error has of what it is allowed.
    """

    largest_error: float
    passed: bool
    problem: str = ""
    used: float = 0.0


@dataclass(frozen=True)
class OutputParity:
    """One row of the parity table.

    `scale` is the root mean square of a typical row; `rtol` and `atol` are what an element of such
    a row may be off, and `used` is the largest share that any element has of what it may.
    """

    output: str
    dtype: str
    scale: float
    largest_error: float
    used: float
    rtol: float
    atol: float
    batch_sizes: tuple[int, ...]
    passed: bool
    problem: str = ""

    def record(self) -> dict[str, Any]:
        """The row as it goes into a manifest."""
        return {**asdict(self), "batch_sizes": list(self.batch_sizes)}


class Report:
    """All outputs of one artifact, each a row that says whether it passed, or why not."""

    outputs: tuple[Any, ...]
    notes: tuple[str, ...] = ()

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
    """All outputs of one artifact, each within its tolerance or not.

    `notes` say where it differs on inputs that do not decide.
    """

    outputs: tuple[OutputParity, ...]
    notes: tuple[str, ...] = ()

    def because(self, cause: str) -> ParityReport:
        """The same with a likely cause behind each problem."""
        rows = (replace(r, problem=r.problem + cause) if r.problem else r for r in self.outputs)
        return ParityReport(tuple(rows), self.notes)

    def noting(self, notes: Sequence[str]) -> ParityReport:
        """The same with more notes, the given ones first."""
        return ParityReport(self.outputs, (*notes, *self.notes))


def compare(
    expected: np.ndarray, actual: np.ndarray, rtol: float, atol: float | np.ndarray
) -> Comparison:
    """Compare `actual` with `expected`, element by element: `|a - e| <= atol + rtol * |e|`.

    `atol` may have a value for each row. NaN equals NaN, and an infinity equals itself, at the same
    place; NaN and a number differ. Integers that are equal only as float64 differ.
    """
    if expected.dtype != actual.dtype:
        text = f"is {actual.dtype}, PyTorch gives {expected.dtype}"
        return Comparison(np.inf, False, text, np.inf)
    if expected.shape != actual.shape:
        shapes = describe_shape(actual.shape), describe_shape(expected.shape)
        text = f"has shape {shapes[0]}, PyTorch gives {shapes[1]}"
        return Comparison(np.inf, False, text, np.inf)
    if expected.size == 0:
        return Comparison(0.0, True)
    e, a = expected.astype(np.float64), actual.astype(np.float64)
    with np.errstate(invalid="ignore"):
        equal = (expected == actual) | (np.isnan(e) & np.isnan(a))
        error = np.where(equal, 0.0, np.maximum(np.abs(a - e), np.finfo(np.float64).tiny))
        bound = atol + rtol * np.where(np.isfinite(e), np.abs(e), 0.0)
        error = np.where(np.isnan(error), np.inf, error)
        excess = error - bound
        used = np.where(error == 0, 0.0, error / np.maximum(bound, np.finfo(np.float64).tiny))
    largest, most = float(error.max()), float(used.max())
    if not (excess > 0).any():
        return Comparison(largest, True, used=most)
    worst = np.unravel_index(int(np.argmax(excess)), excess.shape)
    return Comparison(
        largest,
        False,
        f"element {describe_shape([int(i) for i in worst])} is {actual[worst]!s}, PyTorch gives "
        f"{expected[worst]!s} (allowed: {bound[worst]:.3g} apart)",
        most,
    )


def measure_parity(
    outputs: Sequence[TensorSpec],
    tolerances: Mapping[str, tuple[float, float]],
    batches: Sequence[Arrays],
    expected: Sequence[Arrays],
    artifact: Run,
    *,
    labels: Sequence[str] = (),
    ties: Sequence[Collection[int]] = (),
    scales: Mapping[str, float] | None = None,
    shares: Mapping[str, Mapping[int, np.ndarray]] | None = None,
    with_nan: tuple[Arrays, Arrays] | None = None,
) -> ParityReport:
    """Run the artifact on every batch, compare it with PyTorch's results, then try rows alone.

    `batches` and `expected` map tensor names to arrays, `[rows, ...]`, one entry for each batch;
    `labels` says what each batch is. In rows that are among its `ties` only floating outputs are
    compared. `scales` are those of a typical row of each output, and `shares` those of its columns,
    else of all rows. A runtime's failure is reported as every output's failure, with its reason.
    `with_nan` is a batch with NaN in its inputs and PyTorch's answer: a different
    answer to it becomes a note, and refuses nothing.
    """
    if scales is None:
        scales = {s.name: typical_scale([answer[s.name] for answer in expected]) for s in outputs}
    if shares is None:
        shares = {s.name: column_shares([answer[s.name] for answer in expected]) for s in outputs}
    comparisons: dict[str, list[Comparison]] = {spec.name: [] for spec in outputs}
    largest: tuple[Arrays, Arrays] | None = None
    for place, (batch, wanted) in enumerate(zip(batches, expected, strict=True)):
        where = f", on {labels[place]}" if labels else ""
        tied = list(ties[place]) if ties else []
        actual, failure = _attempt(artifact, batch)
        if actual is not None and (largest is None or row_count(batch) > row_count(largest[0])):
            largest = batch, actual
        for spec in outputs:
            name = spec.name
            if actual is None:
                text = f"fails on {row_count(batch)} rows: {failure}"
                found = Comparison(np.inf, False, text, np.inf)
            else:
                one, other = _decided(spec, wanted[name], actual[name], tied)
                limits = row_limits(
                    spec.dtype, one, scales[name], tolerances.get(name), shares[name]
                )
                found = compare(one, other, *limits)
            comparisons[name].append(
                found if found.passed else replace(found, problem=found.problem + where)
            )
    if largest is not None:
        limits_of = {
            s.name: row_limits(
                s.dtype,
                largest[1][s.name],
                scales[s.name],
                tolerances.get(s.name),
                shares[s.name],
            )
            for s in outputs
        }
        for name, comparison in compare_rows(limits_of, *largest, artifact):
            comparisons[name].append(comparison)
    sizes = tuple(sorted({row_count(batch) for batch in batches}))
    rows = tuple(
        _row(s, scales[s.name], tolerances.get(s.name), sizes, comparisons[s.name]) for s in outputs
    )
    return ParityReport(rows, tuple(_nan_notes(outputs, with_nan, artifact)))


def _decided(
    spec: TensorSpec, wanted: np.ndarray, actual: np.ndarray, tied: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Both without the rows in which a decision may be a tie, for outputs that are not floating."""
    if not tied or spec.dtype.is_floating or wanted.shape != actual.shape:
        return wanted, actual
    return np.delete(wanted, tied, axis=0), np.delete(actual, tied, axis=0)


def _nan_notes(
    outputs: Sequence[TensorSpec], with_nan: tuple[Arrays, Arrays] | None, artifact: Run
) -> Iterator[str]:
    if with_nan is None:
        return
    actual, failed = _attempt(artifact, with_nan[0])
    if actual is None:
        yield f"inputs with NaN fail ({failed}), and PyTorch answers them"
        return
    for spec in outputs:
        wanted, got = with_nan[1][spec.name], actual[spec.name]
        if wanted.shape != got.shape or wanted.dtype != got.dtype:
            continue
        if spec.dtype.is_floating:
            differs = bool((np.isnan(wanted) != np.isnan(got)).any())
        else:
            differs = bool((wanted != got).any())
        if differs:
            yield (
                f"with NaN in its inputs, output {spec.name!r} is another than PyTorch's (its "
                "runtime does not treat NaN alike); refuse NaN before it reaches the model"
            )


def compare_rows(
    limits: Mapping[str, tuple[float, np.ndarray]], batch: Arrays, together: Arrays, run: Run
) -> Iterator[tuple[str, Comparison]]:
    """Compare rows of a batch, whose outputs are `together`, with the same rows alone.

    `limits` are `rtol` and an `atol` for each row.
    """
    rows = row_count(batch)
    for index in sorted({0, rows // 2, rows - 1}) if rows > 1 else ():
        alone, failure = _attempt(run, {n: a[index : index + 1] for n, a in batch.items()})
        for name, (rtol, atol) in limits.items():
            if alone is None:
                yield name, Comparison(np.inf, False, f"fails on one row: {failure}", np.inf)
                continue
            own = atol[index : index + 1]
            found = compare(alone[name], together[name][index : index + 1], rtol, own)
            text = (
                f"row {index} depends on the rows next to it: alone and in a batch of {rows} its "
                f"values are up to {found.largest_error:.3g} apart (allowed: {own.max():.3g} + "
                f"{rtol:g}·|x|), so requests may not be batched together"
            )
            yield name, found if found.passed else replace(found, problem=text)


def _attempt(run: Run, batch: Arrays) -> tuple[Arrays | None, str]:
    try:
        return run(batch), ""
    except Exception as error:  # each runtime raises its own types; all of them mean failure here
        return None, failure(error)


_NOISE = re.compile(
    r"\[ONNXRuntimeError\] : \d+ : \w+ : |Non-zero status code returned while "
    r"|Status Message: (?:/\S+\.(?:cc|h):\d+ )?(?:onnxruntime::\S+\([^)]*\) )?"
)
"""ONNX Runtime's error codes, and places in its own sources."""


class ArtifactRuntimeError(Exception):
    """The message of an artifact's own runtime."""


class UnservableError(ArtifactRuntimeError):
    """An answer that no server can carry, whatever the inputs: the reason and the remedy."""


def failure(error: Exception) -> str:
    """Why a runtime could not run an artifact, in one line.

    TorchScript puts the reason last, after its place in the archive's code; ONNX Runtime adds
    places in its own sources.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if any(line.startswith("Traceback of TorchScript") for line in lines):
        lines = lines[-1:]
    return _NOISE.sub("", " ".join(" ".join(lines).split()))[:400].rstrip(" .;:")


def _row(
    spec: TensorSpec,
    scale: float,
    chosen: tuple[float, float] | None,
    sizes: tuple[int, ...],
    comparisons: Sequence[Comparison],
) -> OutputParity:
    failed = next((c for c in comparisons if not c.passed), None)
    rtol, atol = tolerance_for(spec.dtype, scale, chosen)
    return OutputParity(
        output=spec.name,
        dtype=spec.dtype.triton,
        scale=scale,
        largest_error=max(c.largest_error for c in comparisons),
        used=max(c.used for c in comparisons),
        rtol=rtol,
        atol=atol,
        batch_sizes=sizes,
        passed=failed is None,
        problem=failed.problem if failed else "",
    )


def row_count(batch: Arrays) -> int:
    """How many rows a batch has."""
    return int(next(iter(batch.values())).shape[0])
