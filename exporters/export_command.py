"""`trimaran export`: the command and its table."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from exporters.tables import tables
from trimaran.repository.repository import Repository, check_model_name
from trimaran.system.console import console
from trimaran.system.errors import ParityError, TrimaranError, UsageError
from trimaran.system.factory import call_factory

if TYPE_CHECKING:  # torch takes seconds to import, and wrong usage should be told at once
    from exporters.export import ExportResult
    from exporters.spec import ModelSpec

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
        typer.Option("--format", help="onnx, torchscript or tensorrt; give it once per format."),
    ],
    precisions: Annotated[
        list[str] | None,
        typer.Option(
            "--precision", help="fp32 (unless told otherwise), fp16, bf16 or int8; once for each."
        ),
    ] = None,
    int8: Annotated[
        str, typer.Option("--int8", help="How int8 finds ranges: static or dynamic.")
    ] = "static",
    calibration: Annotated[
        Path | None,
        typer.Option(help="Rows for static int8: an .npz file, one array per input."),
    ] = None,
    agreement: Annotated[
        float, typer.Option(help="The share of decisions below FP32 that must be FP32's.")
    ] = 0.99,
    accelerator: Annotated[
        str | None, typer.Option(help="tensorrt: let the ONNX backend build engines on a GPU.")
    ] = None,
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
    from exporters.formats.accelerator import ACCELERATORS
    from exporters.precision.int8 import METHODS
    from exporters.precision.precision import PRECISIONS
    from exporters.spec import ModelSpec

    precisions = precisions or ["fp32"]
    _require_known("format", formats, FORMATS)
    _require_known("precision", precisions, PRECISIONS)
    _require_known("int8 method", [int8], METHODS)
    _require_known("accelerator", [accelerator] if accelerator else [], ACCELERATORS)
    if not 0 < agreement <= 1:
        raise UsageError(f"--agreement is {agreement:g}; it must be above 0, and 1 at most")
    if calibration and ("int8" not in precisions or int8 != "static"):
        raise UsageError("--calibration is for --precision int8 with --int8 static only")
    if accelerator and "onnx" not in formats:
        raise UsageError(f"--accelerator {accelerator} is for --format onnx only")
    for format in formats:
        FORMATS[format]().require()
    spec = call_factory(factory)
    if not isinstance(spec, ModelSpec):
        raise UsageError(f"{factory} returned {type(spec).__name__}, not an exporters.ModelSpec")
    if name is not None:
        spec.name = check_model_name(name)
    export_formats(
        spec,
        formats,
        Repository.create(repository),
        max_batch_size,
        factory,
        precisions=precisions,
        int8=int8,
        calibration=calibration,
        required=agreement,
        accelerator=accelerator,
    )


def _require_known(what: str, chosen: Iterable[str], known: Iterable[str]) -> None:
    for item in chosen:
        if item not in known:
            raise UsageError(f"there is no {what} {item!r}; choose from {', '.join(known)}")


def export_formats(
    spec: ModelSpec,
    formats: Sequence[str],
    repository: Repository,
    max_batch_size: int,
    source: str,
    *,
    precisions: Sequence[str] = ("fp32",),
    int8: str = "static",
    calibration: Path | None = None,
    required: float = 0.99,
    accelerator: str | None = None,
) -> None:
    """Export each format in each precision with a progress bar, then print how each was judged.

    One export's failure does not keep another from being published; the last failure is raised.
    """
    from exporters.export import Options, export_model, largest_served_batch
    from exporters.original import run_original
    from exporters.precision.int8 import read_rows
    from exporters.precision.reference import reference_for

    results: list[ExportResult] = []
    failures: list[TrimaranError] = []
    errors = console(stderr=True)
    wanted = list(dict.fromkeys(itertools.product(formats, precisions)))
    columns = SpinnerColumn(), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=errors) as progress:
        total = 1 + _STAGES * len(wanted)
        task = progress.add_task(f"{spec.name}: in PyTorch", total=total)

        def advance(stage: str) -> None:
            progress.update(task, description=stage, advance=1)

        rows = largest_served_batch(repository, spec.name, formats, max_batch_size, precisions)
        original = run_original(spec, rows)
        given = read_rows(calibration, original.interface.inputs) if calibration else None
        with reference_for(original) as shared:
            for format, precision in wanted:
                chosen = Options(precision, int8, given, required, accelerator)
                try:
                    results.append(
                        export_model(
                            original,
                            format,
                            repository,
                            source,
                            advance,
                            options=chosen,
                            reference=shared,
                        )
                    )
                except TrimaranError as error:
                    failures.append(error)
        progress.update(task, description=spec.name, completed=total)
    for table in tables(results):
        console().print(table)
    for note in (f"note: {r.model}: {note}" for r in results for note in r.parity.notes):
        console().print(note, markup=False, highlight=False, soft_wrap=True)
    failures += [
        ParityError(f"{r.model} was not published: {r.parity.problem}")
        for r in results
        if not r.parity.passed
    ]
    for failure in failures[:-1]:
        errors.print(f"error: {failure}", markup=False, highlight=False, soft_wrap=True)
    if failures:
        raise failures[-1]
