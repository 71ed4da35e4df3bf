"""`trimaran export`: the command and its table."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from exporters.api import NotAllExportedError
from exporters.api import export as export_model
from exporters.tables import tables
from trimaran.cli.options import DEFAULT_REPOSITORY, RepositoryPath
from trimaran.repository.place import Place
from trimaran.system.console import console
from trimaran.system.errors import TrimaranError

if TYPE_CHECKING:  # torch takes seconds to import, and wrong usage is refused at once
    from exporters.export import ExportResult

__all__ = ["export", "export_formats"]

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
        list[str],
        typer.Option("--format", help="onnx, torchscript or tensorrt; repeatable."),
    ],
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
    name: Annotated[
        str | None, typer.Option(help="Name of the model. Default: the name in the ModelSpec.")
    ] = None,
    max_batch_size: Annotated[int, typer.Option(help="Most rows in one batch; at least 1.")] = 32,
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
        name=name,
        max_batch_size=max_batch_size,
    )


def export_formats(
    factory: str,
    formats: Sequence[str],
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
    stages = 2 + _STAGES * len(set(itertools.product(formats, precisions)))
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
