"""`trimaran explore`: a look at a table before a model is trained on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from trimaran.cli.options import (
    PositiveValue,
    Query,
    SchemaPath,
    Sheet,
    TargetColumn,
    TaskName,
    TimeColumn,
)
from trimaran.system.console import console
from trimaran.system.errors import UsageError
from trimaran.system.files import write_text

if TYPE_CHECKING:  # pandas and matplotlib take a second to import
    from trimaran.training.tabular.data.sources import Dataset
    from trimaran.training.tabular.exploring.page import Overview

__all__ = ["explore", "overview_table"]

_SHOWN_FIELDS = 3


def explore(
    data: Annotated[
        str, typer.Argument(metavar="TABLE", help="A file or a database, mlc_churn or wa_churn.")
    ] = "mlc_churn",
    target: TargetColumn = None,
    task: TaskName = None,
    positive: PositiveValue = None,
    time: TimeColumn = None,
    query: Query = None,
    sheet: Sheet = None,
    schema: SchemaPath = None,
    output: Annotated[Path, typer.Option(metavar="FILE", help="HTML page to write.")] = Path(
        "explore.html"
    ),
) -> None:
    """Show what a table holds, its errors, and which fields predict the outcome."""
    if output.is_dir():
        page = output / "explore.html"
        raise UsageError(f"--output {output} is a directory; name a file, such as {page}")

    from trimaran.training.tabular.data.sources import load
    from trimaran.training.tabular.exploring.page import explore as page_of
    from trimaran.training.tabular.exploring.page import overview

    how = {"target": target, "task": task, "positive": positive, "query": query, "sheet": sheet}
    how["time"] = time
    dataset = load(data, schema, **how)
    summary = overview(dataset)
    columns = SpinnerColumn(), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=console(stderr=True), transient=True) as progress:
        drawing = progress.add_task("drawing", total=len(dataset.schema.fields))
        html = page_of(dataset, summary, lambda field: progress.update(drawing, advance=1))
    write_text(output, html)
    screen = console()
    screen.print(overview_table(dataset, summary))
    for finding in summary.findings:
        line = f"{finding.severity}: {finding}"
        screen.print(line, markup=False, highlight=False, soft_wrap=True)
    screen.print(f"wrote {output}", markup=False, highlight=False, soft_wrap=True)


def overview_table(dataset: Dataset, summary: Overview) -> Table:
    """One row per number that describes the table."""
    schema = dataset.schema
    table = Table(title=escape(dataset.source), title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    errors = sum(finding.severity == "error" for finding in summary.findings)
    strongest = [
        f"{name} ({strength:.3f})"
        for name, strength in summary.strengths[:_SHOWN_FIELDS]
        if strength is not None
    ]
    share = f" ({summary.target_share:.1%})" if summary.target_known else ""
    rows = [
        ("rows", f"{summary.rows}"),
        (
            "fields",
            f"{len(schema.numbers)} numbers, {len(schema.categories)} categories"
            + (f", {len(schema.dates)} dates" if schema.dates else "")
            + (f", {len(schema.texts)} texts" if schema.texts else ""),
        ),
        ("missing values", f"{summary.missing} of {summary.cells}"),
        (summary.question, f"{summary.positives}{share}"),
        ("strongest fields", ", ".join(strongest) or "none"),
        ("errors", f"{errors}"),
        ("warnings", f"{len(summary.findings) - errors}"),
        *(("note", note) for note in dataset.notes),
    ]
    for name, value in rows:
        table.add_row(escape(name), escape(value))
    return table
