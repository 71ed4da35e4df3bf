"""`trimaran optimize`: the fastest export of a model that is right, measured in the real server."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loadtests.bench.compare import require_turns
from loadtests.gates import FAILED, Gates
from loadtests.subject import unusable
from trimaran.cli.options import DEFAULT_REPOSITORY, P99Ms, RepositoryPath
from trimaran.repository.presence import sole_server
from trimaran.repository.repository import Repository
from trimaran.system.console import console
from trimaran.system.durations import seconds_of
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.files import write_text

if TYPE_CHECKING:  # torch takes seconds to import, and wrong usage is refused at once
    from loadtests.optimizing.run import Optimized

__all__ = ["optimize"]


def optimize(
    factory: Annotated[
        str,
        typer.Argument(
            metavar="FACTORY",
            help="package.module:function or path/to/file.py:function; it returns a ModelSpec.",
        ),
    ],
    p99_ms: P99Ms = None,
    throughput: Annotated[
        bool,
        typer.Option("--throughput", help="Only the most rows per second count (the default)."),
    ] = False,
    batch_sizes: Annotated[
        str | None,
        typer.Option(metavar="N,N", help="Rows per request to measure. Default: 1,8,32."),
    ] = None,
    formats: Annotated[
        list[str] | None, typer.Option("--format", help="Only this format; repeatable.")
    ] = None,
    precisions: Annotated[
        list[str] | None, typer.Option("--precision", help="Only this precision; repeatable.")
    ] = None,
    agreement: Annotated[
        float,
        typer.Option(help="Least share of decisions that must equal FP32's, 0 to 1, below FP32."),
    ] = 0.99,
    calibration: Annotated[
        Path | None, typer.Option(help="Rows for int8: an .npz file with one array per input.")
    ] = None,
    turns: Annotated[int, typer.Option(help="How often each export is measured.")] = 10,
    duration: Annotated[str, typer.Option(help="How long each load lasts.")] = "1s",
    seed: Annotated[int, typer.Option(help="Random seed of the rows and send times.")] = 0,
    publish: Annotated[
        bool, typer.Option("--publish", help="Publish the winner under the model's own name.")
    ] = False,
    into: Annotated[
        str | None,
        typer.Option(metavar="ENSEMBLE", help="Make the winner the step of this ensemble."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the model. Default: the name in the ModelSpec.")
    ] = None,
    max_batch_size: Annotated[
        int | None,
        typer.Option(help="Most rows in one batch; at least 1. Default: what the ModelSpec says."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the page here.")
    ] = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
) -> None:
    """Export a model in every format and precision, and find the fastest that is right.

    Each export that agrees with PyTorch is measured in a private server, in turn with the others.
    Nothing is published without --publish or --into. The same command goes on where it was
    interrupted. Exit status: 0 with a winner, 1 if no export keeps --p99-ms, 2 without a result.
    """
    with unusable():
        if p99_ms is not None and throughput:
            raise UsageError("give one of --p99-ms and --throughput")
        Gates(p99_ms=p99_ms)
        require_turns(turns)
        if publish and into:
            raise UsageError("give one of --publish and --into")
        if max_batch_size is not None and max_batch_size < 1:
            raise UsageError(f"--max-batch-size is {max_batch_size}; it must be 1 or more")
        if not 0 < agreement <= 1:
            raise UsageError(f"--agreement is {agreement:g}; it must be above 0, and 1 at most")
        sizes = _sizes(batch_sizes)
        seconds = seconds_of(duration, "--duration", bare=True)
        opened = Repository.create(repository)
        with _resumable(), sole_server(opened):
            from loadtests.optimizing.run import Options, optimize_model, place_winner

            options = Options(
                name=name,
                formats=formats,
                precisions=precisions,
                agreement=agreement,
                calibration=calibration,
                max_batch_size=max_batch_size,
                batch_sizes=sizes,
                p99_ms=p99_ms,
                seconds=seconds,
                turns=turns,
                seed=seed,
                publish=publish,
                into=into,
            )
            optimized = optimize_model(factory, opened, options, _say)
            _show(optimized, output)
            done = place_winner(optimized, opened, options)
        for line in done:
            print(line)
        if optimized.results.choice.nearest is None and not optimized.results.winner:
            raise TrimaranError(optimized.results.verdict)
    if optimized.results.winner is None:
        missed = TrimaranError(f"{optimized.results.verdict}; nothing is published")
        missed.exit_status = FAILED
        raise missed


def _sizes(text: str | None) -> tuple[int, ...] | None:
    """The numbers of a list such as `1,8,32`, each once. Raises `UsageError`."""
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if not word.isdecimal() or not int(word):
            raise UsageError(
                f"--batch-sizes has {word!r}; give numbers of at least 1, such as 1,8,32"
            )
    return tuple(sorted({int(word) for word in words}))


@contextmanager
def _resumable() -> Iterator[None]:
    """An interrupt ends with a sentence: what was finished is kept."""
    try:
        yield
    except KeyboardInterrupt:
        raise TrimaranError(
            "interrupted; finished steps are kept, and the same command goes on from there"
        ) from None


def _say(words: str) -> None:
    console(stderr=True).print(words, markup=False, highlight=False, soft_wrap=True)


def _show(optimized: Optimized, output: Path | None) -> None:
    """Print the tables, and write the page."""
    from loadtests.optimizing.page import optimizing_page
    from loadtests.optimizing.results import export_table, speed_table

    results, screen = optimized.results, console()

    def say(words: str) -> None:
        screen.print(words, markup=False, highlight=False, soft_wrap=True)

    screen.print(export_table(results))
    for names, reason in results.refusals.items():
        say(f"refused: {names}: {reason}")
    if any(standing.points for standing in results.standings):
        screen.print(speed_table(results))
    if results.winner:
        say(results.verdict)
    page = optimizing_page(results, shlex.join(["trimaran", *sys.argv[1:]]), optimized.about)
    for path in (optimized.folder / "page.html", *([output] if output else [])):
        write_text(path, page)
        say(f"written to {path}")
