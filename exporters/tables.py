"""How exports are printed: parity in FP32, and agreement with FP32 in lower precisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from rich.table import Table

from trimaran.publishing.publish import Publication

if TYPE_CHECKING:  # torch takes seconds to import, and wrong usage should be reported at once
    from exporters.export import ExportResult
    from exporters.parity import OutputParity
    from exporters.precision.agreement import OutputAgreement
    from exporters.precision.speed import Cost

__all__ = ["agreement_table", "parity_table", "sizes", "tables"]


def tables(results: Sequence[ExportResult]) -> list[Table]:
    """The table of FP32 exports and the one of lower precisions, where there are any."""
    from exporters.parity import ParityReport

    fp32 = [result for result in results if isinstance(result.parity, ParityReport)]
    lower = [result for result in results if not isinstance(result.parity, ParityReport)]
    return [make(some) for make, some in ((parity_table, fp32), (agreement_table, lower)) if some]


def parity_table(results: Sequence[ExportResult]) -> Table:
    """One row per model and output: scale, largest error, what is allowed, batch sizes, outcome.

    The scale is that of a typical row, and `used` the largest share that an error has of what its
    own element is allowed.
    """
    table = Table(title="Parity with PyTorch", title_justify="left")
    headings = ("model", "output", "scale", "largest error", "allowed", "used", "batches")
    for heading in (*headings, "outcome"):
        table.add_column(heading, overflow="fold")
    for result in results:
        for row in cast("Sequence[OutputParity]", result.parity.outputs):
            table.add_row(
                f"{result.model} ({result.capture})",
                f"{row.output} {row.dtype}",
                f"{row.scale:.3g}" if row.scale else "",
                f"{row.largest_error:.3g}",
                f"{row.atol:.2g} + {row.rtol:g}·|x|" if row.atol or row.rtol else "equal",
                f"{row.used:.0%}" if row.passed else "",
                sizes(row.batch_sizes),
                _outcome(result.publication, row.passed, "out of tolerance"),
            )
    return table


def sizes(numbers: Sequence[int]) -> str:
    """Ascending numbers, three or more in a row as a range: `1 to 7, 32`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    ranges = [f"{r[0]} to {r[-1]}" if len(r) > 2 else ", ".join(map(str, r)) for r in runs]
    return ", ".join(ranges)


def agreement_table(results: Sequence[ExportResult]) -> Table:
    """One row per model and output below FP32: agreement, size, speed as a ratio, outcome."""
    table = Table(title="Agreement with FP32", title_justify="left")
    headings = ("model", "output", "agreement", "needed", "size", "times as fast", "outcome")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for result in results:
        table_rows = cast("Sequence[OutputAgreement]", result.parity.outputs)
        for row in table_rows:
            speedup = row.cost.speedup if row.cost else None
            table.add_row(
                f"{result.model} ({result.capture})",
                f"{row.output} {row.dtype}",
                f"{row.agreement:.1%} of {row.rows} by {row.rule}",
                f"{100 * row.required:g} %",
                _size(row.cost),
                str(speedup) if speedup else "",
                _outcome(result.publication, row.passed, "disagrees"),
            )
    return table


def _size(cost: Cost | None) -> str:
    if cost is None:
        return ""
    size = f"{cost.size / 1e6:.2f} MB"
    return f"{size}, {cost.size / cost.fp32_size:.0%}" if cost.fp32_size else size


def _outcome(publication: Publication | None, passed: bool, failure: str) -> str:
    if publication is None:
        return "refused" if passed else f"refused: {failure}"
    return f"version {publication.version}" + (", unchanged" if publication.unchanged else "")
