"""The gate for lower precision: an artifact must decide as its FP32 original does.

Rounding moves every number a little, so equality within float32's tolerance is the wrong question.
The gate asks whether the model still decides the same. An output whose last axis has two
values or more is read as scores of classes, and the class with the highest score must be the same
for 99 % of them; of integers and booleans 99 % of the rows must be equal; any other floating output
must stay within a tolerance that fits the precision. Rows must be independent of one another, as
in FP32.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from exporters.parity import Arrays, Report, Run, compare, failure, row_count
from exporters.precision.precision import Precision
from exporters.precision.speed import Cost
from exporters.tolerance import LEAST_FINITE, finite_share
from trimaran.repository.dtypes import TensorSpec

__all__ = [
    "REQUIRED",
    "AgreementReport",
    "Answered",
    "OutputAgreement",
    "agreeing",
    "dependent_rows",
    "measure_agreement",
    "rule_for",
]

REQUIRED = 0.99
"""The share of decisions that must be those of FP32."""

_LOUDER = 16.0


@dataclass(frozen=True)
class Answered:
    """Batches, `[rows, ...]` by input, and what the FP32 module answers to each, by output."""

    batches: tuple[Arrays, ...]
    answers: tuple[Arrays, ...]

    @property
    def rows(self) -> int:
        """Rows of all batches together."""
        return sum(map(row_count, self.batches))

    def all_of(self, output: str) -> np.ndarray:
        """Every number that FP32 answers under that name, in one axis."""
        return np.concatenate([answer[output].ravel() for answer in self.answers])


@dataclass(frozen=True)
class OutputAgreement:
    """One output's row: `agreement` is the share of `rows` that agree, by `rule`.

    `rule` is `top-1`, `equal` or `tolerance`. `largest_error` is the largest difference from FP32,
    infinite where something is not finite; `rtol` and `atol` are what `tolerance` allowed.
    """

    output: str
    dtype: str
    rule: str
    agreement: float
    required: float
    largest_error: float
    rtol: float
    atol: float
    rows: int
    batch_sizes: tuple[int, ...]
    passed: bool
    problem: str = ""
    cost: Cost | None = None

    def record(self) -> dict[str, Any]:
        """The row as it goes into a manifest."""
        return {**asdict(self), "batch_sizes": list(self.batch_sizes)}


@dataclass(frozen=True)
class AgreementReport(Report):
    """All outputs of one artifact, each agreeing with FP32 or not."""

    outputs: tuple[OutputAgreement, ...]

    def with_cost(self, cost: Cost) -> AgreementReport:
        """The same with the artifact's size and speed compared with FP32."""
        return AgreementReport(tuple(replace(row, cost=cost) for row in self.outputs))


def rule_for(output: TensorSpec) -> str:
    """How an output is compared: `top-1`, `equal` or `tolerance`."""
    if not output.dtype.is_floating:
        return "equal"
    return "top-1" if output.dims and output.dims[-1] not in (0, 1) else "tolerance"


def agreeing(
    rule: str, expected: np.ndarray, actual: np.ndarray, allowed: tuple[float, float]
) -> np.ndarray:
    """Which decisions are FP32's, one boolean each.

    A decision is a row, `[rows, ...]`, for `equal` and `tolerance`, and for `top-1` a place along
    all axes but the last. A tie of FP32's classes may be broken either way; NaN agrees only
    with NaN at the same place. `allowed` is `(rtol, atol)`.
    """
    if rule == "top-1":
        chosen = np.argmax(_without_nan(actual), axis=-1, keepdims=True)
        scores = _without_nan(expected)
        same = np.take_along_axis(scores, chosen, axis=-1)[..., 0] >= scores.max(axis=-1)
        return (same & (np.isnan(actual) == np.isnan(expected)).all(axis=-1)).ravel()
    with np.errstate(invalid="ignore"):
        equal = (expected == actual) | ((expected != expected) & (actual != actual))
        if rule == "tolerance":
            error = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
            equal |= error <= allowed[1] + allowed[0] * np.abs(expected)
    return equal.reshape(len(equal), -1).all(axis=1)


def _without_nan(scores: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(scores), -np.inf, scores)


def measure_agreement(
    outputs: Sequence[TensorSpec],
    precision: Precision,
    tolerances: Mapping[str, tuple[float, float]],
    sizes: Answered,
    task: Answered,
    artifact: Run,
    required: float = REQUIRED,
) -> AgreementReport:
    """Compare the artifact with FP32, then try rows next to much larger ones.

    `sizes` has batches of every size that is served, `task` 256 rows or more of what the model is
    for. `tolerances` replace the precision's own for outputs compared by `tolerance`; `required` is
    the share of decisions that must be FP32's for all others. A runtime's failure is every
    output's, with its reason.
    """
    own = {o.name: _tolerance(precision, task.all_of(o.name)) for o in outputs}
    problems = {
        o.name: "is NaN or infinite in most places in FP32, which shows nothing; give `samples` in "
        "the ModelSpec whose answers are numbers"
        for o in outputs
        if finite_share(task.all_of(o.name)) < LEAST_FINITE
    }
    for name, problem in _shape_problems(outputs, sizes, artifact):
        problems.setdefault(name, problem)
    actual = [] if problems else [artifact(batch) for batch in task.batches]
    if actual:
        for name, problem in dependent_rows(outputs, own, task.batches[0], artifact):
            problems.setdefault(name, problem)
    tried = tuple(sorted({row_count(batch) for batch in sizes.batches}))
    rows = []
    for output in outputs:
        name, rule = output.name, rule_for(output)
        limit = tolerances.get(name, own[name]) if rule == "tolerance" else (0.0, 0.0)
        share, error = _agreement(rule, name, task, actual, limit)
        needed = 1.0 if rule == "tolerance" else required
        problem = problems.get(name, "")
        if not problem and share < needed:
            problem = _disagreement(rule, share, task.rows, needed, limit, error)
        rows.append(
            OutputAgreement(
                output=name,
                dtype=output.dtype.triton,
                rule=rule,
                agreement=share,
                required=needed,
                largest_error=error,
                rtol=limit[0],
                atol=limit[1],
                rows=task.rows,
                batch_sizes=tried,
                passed=not problem,
                problem=problem,
            )
        )
    return AgreementReport(tuple(rows))


def _shape_problems(
    outputs: Sequence[TensorSpec], sizes: Answered, run: Run
) -> Iterator[tuple[str, str]]:
    """Batches that fail, or whose answers are of another type or shape than FP32's."""
    for batch, wanted in zip(sizes.batches, sizes.answers, strict=True):
        try:
            answers = run(batch)
        except Exception as error:  # each runtime raises its own types
            problem = f"fails on {row_count(batch)} rows: {failure(error)}"
            yield from ((output.name, problem) for output in outputs)
            return
        for output in outputs:
            actual, expected = answers[output.name], wanted[output.name]
            if (actual.dtype, actual.shape) != (expected.dtype, expected.shape):
                yield output.name, compare(expected, actual, 0.0, 0.0).problem


def _agreement(
    rule: str,
    output: str,
    task: Answered,
    actual: Sequence[Arrays],
    limit: tuple[float, float],
) -> tuple[float, float]:
    """The share of decisions that agree, and the largest error; nothing agrees without answers."""
    if not actual:
        return 0.0, float("inf")
    pairs = [(e[output], a[output]) for e, a in zip(task.answers, actual, strict=True)]
    agreed = np.concatenate([agreeing(rule, e, a, limit) for e, a in pairs])
    errors = [compare(e, a, np.inf, np.inf).largest_error for e, a in pairs]
    return float(agreed.mean()), max(errors)


def _disagreement(
    rule: str, share: float, rows: int, required: float, limit: tuple[float, float], error: float
) -> str:
    if rule == "tolerance":
        return (
            f"is up to {error:.3g} from FP32 (allowed: {limit[1]:.3g} + {limit[0]:g}·|x|), too "
            f"far in {1 - share:.1%} of {rows} rows"
        )
    same = "the highest class is FP32's" if rule == "top-1" else "the answer is equal to FP32's"
    return f"{same} in {share:.1%} of {rows} rows, and {100 * required:g} % are needed"


def _tolerance(precision: Precision, expected: np.ndarray) -> tuple[float, float]:
    """The precision's share of each element, and of the output's root mean square.

    `(0, 0)` for other types.
    """
    if not np.issubdtype(expected.dtype, np.floating):
        return 0.0, 0.0
    finite = expected[np.isfinite(expected)].astype(np.float64)
    size = float(np.sqrt(np.mean(finite**2))) if finite.size else 0.0
    return precision.tolerance, precision.tolerance * size


def dependent_rows(
    outputs: Sequence[TensorSpec],
    limits: Mapping[str, tuple[float, float]],
    batch: Arrays,
    run: Run,
) -> Iterator[tuple[str, str]]:
    """Outputs, with the reason, whose rows answer differently next to large neighbours than alone.

    Where one scale serves a batch, as in dynamic quantisation, a row of large numbers takes the
    precision of the others. So rows are run alone, and next to rows sixteen times as large.
    `limits` are `(rtol, atol)` of floating outputs. A decision at a threshold may flip by one
    rounding, so booleans and integers are watched only where there is nothing else to watch.
    """
    rows = len(next(iter(batch.values())))
    watched = [output for output in outputs if output.dtype.is_floating] or outputs
    for index in sorted({0, rows // 2, rows - 1}) if rows > 1 else ():
        alone = run({name: array[index : index + 1] for name, array in batch.items()})
        louder_batch = run({name: _louder(array, index) for name, array in batch.items()})
        for output in watched:
            rtol, atol = limits.get(output.name, (0.0, 0.0))
            one, other = alone[output.name], louder_batch[output.name][index : index + 1]
            found = compare(one, other, rtol, atol)
            if not found.passed:
                yield (
                    output.name,
                    f"row {index} depends on the rows next to it: alone and next to larger ones "
                    f"its values are up to {found.largest_error:.3g} apart (allowed: {atol:.3g} + "
                    f"{rtol:g}·|x|), so requests may not be batched together",
                )


def _louder(array: np.ndarray, index: int) -> np.ndarray:
    """The batch with every row but `index` multiplied, where its numbers can be."""
    if not np.issubdtype(array.dtype, np.floating):
        return array
    louder = (array * _LOUDER).astype(array.dtype)
    louder[index] = array[index]
    return louder
