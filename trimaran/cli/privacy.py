"""`trimaran privacy erase`: removes a person from what is kept next to a repository."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from trimaran.cli.options import DEFAULT_REPOSITORY, AsJson, RepositoryPath, SettingsPath
from trimaran.privacy import erasing
from trimaran.privacy.erasing import Line, Report
from trimaran.repository.repository import Repository
from trimaran.rollout.results.database import database_of
from trimaran.rollout.runs.settings import find_settings
from trimaran.system.console import console, printable
from trimaran.system.errors import UsageError
from trimaran.system.files import read_regular

__all__ = ["erase"]

_SHOWN = 8
"""Ids that a sentence names."""


def erase(
    ids: Annotated[
        list[str] | None,
        typer.Option(
            "--id",
            metavar="ID",
            help="The person's identifier, or a request's id; may be repeated.",
        ),
    ] = None,
    ids_file: Annotated[
        Path | None,
        typer.Option("--ids", metavar="FILE", help="A file with an id a line; - is the input."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be removed, and change nothing.")
    ] = False,
    as_json: AsJson = False,
    runs: Annotated[
        Path, typer.Option(metavar="DIR", help="Trained runs, to name those with the person.")
    ] = Path("runs"),
    predictions: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            envvar="TRIMARAN_PREDICTIONS",
            help="Prediction logs, where they are not next to the repository.",
        ),
    ] = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    settings: SettingsPath = None,
) -> None:
    """Remove a person from the logs and indices that are kept next to a repository.

    A server may go on serving meanwhile. What was removed is recorded without the id.

    Exit status: 0 if nothing of them stays; 1 if something does, which is then named.
    """
    sought = _sought(ids or [], ids_file)
    if predictions is not None and not predictions.is_dir():
        raise UsageError(f"--predictions {predictions}: there is no such folder")
    opened = Repository.open(repository)
    results = database_of(opened, find_settings(Path.cwd(), settings))
    with console(stderr=True).status("reading what is kept"):
        act = erasing.find if dry_run else erasing.erase
        report = act(opened, sought, runs=runs, predictions=predictions, results=results)
    if as_json:
        print(json.dumps(_record(report, dry_run=dry_run), indent=2))
    else:
        _show(report, sought, dry_run=dry_run)
    if not report.is_clean:
        raise typer.Exit(1)


def _sought(ids: list[str], file: Path | None) -> list[str]:
    """The ids to remove, each once. Raises `UsageError`."""
    found = list(ids)
    if file is not None:
        found += _ids_in(file)
    if not found:
        raise UsageError(
            f"{file} has no id; write one a line"
            if file is not None
            else "no id is given; name one with --id, or a file of them with --ids"
        )
    for each in found:
        if not each.strip():
            raise UsageError("an id is empty; give the person's identifier, or a request's id")
        if any(0xD800 <= ord(character) < 0xE000 for character in each):
            raise UsageError(f"the id {each!a} is not UTF-8, which every kept id is")
    return list(dict.fromkeys(found))


def _ids_in(file: Path) -> list[str]:
    if str(file) == "-":
        text = sys.stdin.read()
    else:
        try:
            text = read_regular(file).decode()
        except FileNotFoundError:
            raise UsageError(f"--ids {file}: there is no such file") from None
        except UnicodeDecodeError:
            raise UsageError(f"--ids {file}: it is not UTF-8 text; write an id a line") from None
    lines = (line.strip() for line in text.removeprefix("\ufeff").split("\n"))
    return [line for line in lines if line]


def _show(report: Report, sought: list[str], *, dry_run: bool) -> None:
    screen = console()
    kept = [line for line in report.removed if line.found.total]
    if kept:
        table = Table()
        table.add_column("would be removed from" if dry_run else "removed from", overflow="fold")
        table.add_column("what")
        table.add_column("bytes", justify="right")
        for line in kept:
            size = f"{line.found.bytes:,}" if line.found.bytes else ""
            table.add_row(escape(printable(line.place)), _count(line), size)
        screen.print(table)
    if report.stays:
        table = Table()
        table.add_column("stays in", overflow="fold")
        table.add_column("what to do", overflow="fold")
        for line in report.stays:
            table.add_row(escape(printable(line.place)), escape(line.remedy))
        screen.print(table)
    for sentence in _notes(report, sought):
        print(sentence)


def _notes(report: Report, sought: list[str]) -> Iterator[str]:
    if report.nowhere:
        yield f"nothing is kept about {_named(report.nowhere)}"
    for line in report.removed:
        if line.found.damaged:
            yield (
                f"{line.place}: damaged lines stay, which cannot be read and name none of the "
                f"ids: {line.found.damaged:,}"
            )
        if line.found.hidden:
            yield (
                f"{line.place}: lines stay whose identifiers are masked by a key that is not "
                f"there, so nobody can tell whose they are: {line.found.hidden:,}; put the key "
                "back and run the command again, or remove the files"
            )
    for each in sought:
        if each in report.past:
            yield f"{_quoted(each)} was erased before, at {report.past[each]}"


def _count(line: Line) -> str:
    total = line.found.total
    return f"{total:,} {line.unit}{'' if total == 1 else 's'}"


def _named(ids: Sequence[str]) -> str:
    rest = len(ids) - _SHOWN
    named = ", ".join(map(_quoted, ids[:_SHOWN]))
    return f"{named} and {rest:,} more" if rest > 0 else named


def _quoted(each: str) -> str:
    return f"'{printable(each)}'"


def _record(report: Report, *, dry_run: bool) -> dict[str, Any]:
    def of(line: Line) -> dict[str, Any]:
        return {"place": line.place, "unit": line.unit, "by_id": dict(line.found.counts)}

    return {
        "dry_run": dry_run,
        "removed": [
            {**of(line), "bytes": line.found.bytes} for line in report.removed if line.found.total
        ],
        "stays": [{**of(line), "remedy": line.remedy} for line in report.stays],
        "damaged_lines": sum(line.found.damaged for line in report.removed),
        "hidden_lines": sum(line.found.hidden for line in report.removed),
        "nowhere": list(report.nowhere),
        "erased_before": report.past,
    }
