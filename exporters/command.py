"""`trimaran export`: the command and its table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from trimaran.console import console
from trimaran.errors import ParityError, TrimaranError, UsageError
from trimaran.factory import call_factory
from trimaran.names import check_model_name
from trimaran.publish import Publication
from trimaran.repository import Repository

if TYPE_CHECKING:  # torch takes seconds to import, and wrong usage should be told at once
    from exporters.export import ExportResult
    from exporters.spec import ModelSpec

__all__ = ["export", "export_formats", "parity_table"]

_STAGES = 2


def export(
    factory: Annotated[
        str,
        typer.Argument(
            metavar="FACTORY",
            help="package.module:function or path/to/file.py:function; it returns a ModelSpec.",
        ),
    ],
    formats: Annotated[
        list[str], typer.Option("--format", help="onnx or torchscript; give it once per format.")
    ],
    name: Annotated[str | None, typer.Option(help="The model's name, instead of its own.")] = None,
    max_batch_size: Annotated[int, typer.Option(help="Most rows in one batch, 1 or more.")] = 32,
    repository: Annotated[Path, typer.Option(help="The model repository.")] = Path(
        "model_repository"
    ),
) -> None:
    """Turn a trained PyTorch model into verified versions in the repository."""
    if max_batch_size < 1:
        raise UsageError(f"--max-batch-size is {max_batch_size}; it must be 1 or more")

    from exporters.export import FORMATS
    from exporters.spec import ModelSpec

    unknown = [item for item in formats if item not in FORMATS]
    if unknown:
        raise UsageError(f"there is no format {unknown[0]!r}; choose from {', '.join(FORMATS)}")
    spec = call_factory(factory)
    if not isinstance(spec, ModelSpec):
        raise UsageError(f"{factory} returned {type(spec).__name__}, not an exporters.ModelSpec")
    if name is not None:
        spec.name = check_model_name(name)
    export_formats(spec, formats, Repository.create(repository), max_batch_size, factory)


def export_formats(
    spec: ModelSpec, formats: list[str], repository: Repository, max_batch_size: int, source: str
) -> None:
    """Export each format with a progress bar, then print the parity table.

    One format's failure does not keep another from being published; the last failure is raised.
    """
    from exporters.export import export_model, largest_served_batch
    from exporters.original import run_original

    results: list[ExportResult] = []
    failures: list[TrimaranError] = []
    errors = console(stderr=True)
    wanted = list(dict.fromkeys(formats))
    columns = SpinnerColumn(), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=errors) as progress:
        task = progress.add_task(f"{spec.name}: in PyTorch", total=1 + _STAGES * len(wanted))

        def advance(stage: str) -> None:
            progress.update(task, description=stage, advance=1)

        rows = largest_served_batch(repository, spec.name, wanted, max_batch_size)
        original = run_original(spec, rows)
        for format in wanted:
            try:
                results.append(export_model(original, format, repository, source, advance))
            except TrimaranError as error:
                failures.append(error)
        progress.update(task, description=spec.name, completed=1 + _STAGES * len(wanted))
    if results:
        console().print(parity_table(results))
    failures += [
        ParityError(f"{r.model} was not published: {r.parity.problem}")
        for r in results
        if not r.parity.passed
    ]
    for failure in failures[:-1]:
        errors.print(f"error: {failure}", markup=False, highlight=False, soft_wrap=True)
    if failures:
        raise failures[-1]


def parity_table(results: Sequence[ExportResult]) -> Table:
    """One row per model and output: largest error, tolerance, batch sizes, outcome."""
    table = Table(title="Parity with PyTorch", title_justify="left")
    for heading in ("model", "output", "largest error", "tolerance", "batch sizes", "outcome"):
        table.add_column(heading, overflow="fold")
    for result in results:
        for row in result.parity.outputs:
            table.add_row(
                f"{result.model} ({result.capture})",
                f"{row.output} {row.dtype}",
                f"{row.largest_error:.3g}",
                f"{row.atol:g} + {row.rtol:g}·|x|" if row.atol or row.rtol else "equal",
                ", ".join(map(str, row.batch_sizes)),
                _outcome(result.publication, row.passed),
            )
    return table


def _outcome(publication: Publication | None, passed: bool) -> str:
    if publication is None:
        return "refused" if passed else "refused: out of tolerance"
    return f"version {publication.version}" + (", unchanged" if publication.unchanged else "")
