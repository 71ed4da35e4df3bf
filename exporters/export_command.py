"""`trimaran export`: the command and its tables.

Parity in FP32, and agreement with FP32 in lower precisions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from exporters.api import NotAllExportedError, exports_of
from exporters.api import export as export_model
from trimaran.cli.options import DEFAULT_REPOSITORY, RepositoryPath
from trimaran.publishing.publish import Publication
from trimaran.repository.repository import Place
from trimaran.system.console import console
from trimaran.system.errors import TrimaranError

if TYPE_CHECKING:  # torch takes seconds to import, and wrong usage should be reported at once
    from exporters.export import ExportResult
    from exporters.parity import OutputParity
    from exporters.precision.agreement import OutputAgreement
    from exporters.precision.speed import Cost

__all__ = ["agreement_table", "export", "export_formats", "parity_table", "sizes", "tables"]

_STAGES = 2


def export(
    factory: Annotated[
        str,
        typer.Argument(
            metavar="FACTORY",
            help="package.module:function or path/to/file.py:function, which returns a ModelSpec; "
            "or a trained run, such as runs/customers/latest.",
        ),
    ],
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help="onnx, aoti, torchscript or tensorrt; repeatable. Default: onnx and aoti, "
            "and onnx alone in int8.",
        ),
    ] = None,
    precisions: Annotated[
        list[str] | None,
        typer.Option("--precision", help="fp32, fp16, bf16 or int8; repeatable. Default: fp32."),
    ] = None,
    int8: Annotated[
        str, typer.Option("--int8", help="How int8 finds value ranges: static or dynamic.")
    ] = "static",
    calibration: Annotated[
        Path | None,
        typer.Option(help="Rows for static int8: an .npz file with one array per input."),
    ] = None,
    agreement: Annotated[
        float,
        typer.Option(
            help="Least share of decisions that must equal FP32's, 0 to 1, for other precisions."
        ),
    ] = 0.99,
    accelerator: Annotated[
        str | None,
        typer.Option(help="tensorrt: the ONNX backend builds TensorRT engines on a GPU."),
    ] = None,
    device: Annotated[
        str,
        typer.Option(help="What aoti compiles for: cpu, cuda, or auto for a GPU if there is one."),
    ] = "auto",
    name: Annotated[
        str | None, typer.Option(help="Name of the model. Default: the name in the ModelSpec.")
    ] = None,
    max_batch_size: Annotated[
        int | None,
        typer.Option(help="Most rows in one batch; at least 1. Default: what the ModelSpec says."),
    ] = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
) -> None:
    """Export a trained PyTorch model, verify it, and publish it as a new version.

    Exit status: 0 if every export is published or unchanged, 1 if one is refused.
    """
    export_formats(
        factory,
        formats,
        repository,
        precisions or ["fp32"],
        int8=int8,
        calibration=calibration,
        agreement=agreement,
        accelerator=accelerator,
        device=device,
        name=name,
        max_batch_size=max_batch_size,
    )


def export_formats(
    factory: str,
    formats: Sequence[str] | None,
    repository: Place,
    precisions: Sequence[str] = ("fp32",),
    **options: Any,
) -> None:
    """Export each format in each precision with a progress bar, then print how each compares.

    `options` are those of `exporters.api.export`. One export's failure does not keep another from
    being published; the last failure is raised.
    """
    columns = SpinnerColumn(), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}")
    errors = console(stderr=True)
    progress = Progress(*columns, console=errors)
    stages = 2 + _STAGES * len(exports_of(formats, precisions))
    task = progress.add_task(factory, total=stages)

    def advance(stage: str) -> None:
        progress.start()  # wrong usage is refused without a bar
        progress.update(task, description=stage, advance=1)

    results: Sequence[ExportResult]
    failures: Sequence[TrimaranError] = []
    try:
        results = export_model(
            factory, formats, repository, precisions=precisions, progress=advance, **options
        )
    except NotAllExportedError as error:
        results, failures = error.results, error.failures
    finally:
        if progress.live.is_started:
            progress.stop()
    for table in tables(results):
        console().print(table)
    for note in (f"note: {r.model}: {note}" for r in results for note in r.parity.notes):
        console().print(note, markup=False, highlight=False, soft_wrap=True)
    for failure in failures[:-1]:
        errors.print(f"error: {failure}", markup=False, highlight=False, soft_wrap=True)
    if failures:
        raise failures[-1]


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
