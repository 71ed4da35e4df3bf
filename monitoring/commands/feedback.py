"""`trimaran feedback`: outcomes from a file to the served model that judges predictions by them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.progress import Progress

from monitoring.outcomes_file import Columns, OutcomeRow, read_outcomes
from trimaran.checks.raising import checked_config
from trimaran.cli.options import GrpcPort, Host, HttpPort, RepositoryPath
from trimaran.repository.presence import ports_of
from trimaran.repository.repository import Repository
from trimaran.serving.client import Client
from trimaran.system.console import console
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.files import replacing

__all__ = ["feedback"]

_ROWS_AT_ONCE = 512
_PARAMETER = "predictions_of"
_MEANINGS = {
    "counted": "counted for the release that predicted",
    "known": "told before, and not counted again",
    "contradicts": "told otherwise before: the first one stays",
    "unknown": "no such id in the log of predictions, at least not before the outcome's time",
}


def feedback(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="The model that predicted, or its feedback model."),
    ],
    csv_file: Annotated[
        Path, typer.Option("--csv", metavar="FILE", help="A row for each outcome.")
    ],
    id_column: Annotated[
        str | None,
        typer.Option("--id", metavar="COLUMN", help="Its ids: id, request_id, or the model's own."),
    ] = None,
    outcome: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="What was true. Default: outcome.")
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="When it was known. Default: time, if there is one."),
    ] = None,
    positive: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The outcome that is true; others are not.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A CSV file of what became of each row.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
    repository: RepositoryPath = Path("model_repository"),
    host: Host = None,
    http_port: HttpPort = None,
    grpc_port: GrpcPort = None,
) -> None:
    """Tell outcomes to a served feedback model, which joins them to logged predictions.

    Exit status: 0 if each outcome is counted, now or before; 1 if one is not.
    """
    opened = Repository.open(repository)
    judge, names = _judge(opened, model)
    if not csv_file.is_file():
        raise UsageError(f"there is no file {csv_file}")
    told = read_outcomes(csv_file, Columns(id_column, outcome, time, positive), names)
    with Client(ports_of(opened, host, http_port, grpc_port)) as client:
        statuses = _tell(client, judge, told)
    if out:
        _write(out, told, statuses)
    counts = {status: statuses.count(status) for status in _MEANINGS}
    if json_output:
        print(json.dumps(counts, indent=2))
    else:
        for status, count in counts.items():
            if count:
                print(f"{count:,} {status}: {_MEANINGS[status]}{_examples(told, statuses, status)}")
    if counts["unknown"] or counts["contradicts"]:
        raise typer.Exit(1)


def _judge(repository: Repository, named: str) -> tuple[str, list[str]]:
    """The feedback model that `named` means, and the usual names of a column of its ids."""
    judges = {}
    for name in repository.names():
        if repository.has_config(name):
            parameters = checked_config(repository, name).parameters
            if _PARAMETER in parameters:
                judges[name] = parameters[_PARAMETER].string_value
    for name, judged in judges.items():
        if named in (name, judged, name.removesuffix("_feedback")):
            own = [each.name for each in checked_config(repository, judged).input if each.optional]
            return name, ["id", "request_id", *own]
    raise TrimaranError(
        f"no model in {repository.root} takes outcomes of {named!r}; "
        + (f"those that do judge {', '.join(judges.values())}" if judges else "publish one first")
    )


def _tell(client: Client, judge: str, told: Sequence[OutcomeRow]) -> list[str]:
    """A status for each row. Raises `TrimaranError`; what was told before that is counted."""
    statuses: list[str] = []
    timed = any(row.time for row in told)
    with Progress(console=console(stderr=True), transient=True) as bar:
        task = bar.add_task("telling outcomes", total=len(told))
        try:
            for rows in _pieces(told):
                inputs = {
                    "id": _texts([row.id for row in rows]),
                    "outcome": np.array([[row.outcome] for row in rows]),
                    **({"time": _texts([row.time for row in rows])} if timed else {}),
                }
                answer = client.infer(judge, inputs)
                statuses += [each.decode() for each in answer.outputs["status"].ravel()]
                bar.update(task, completed=len(statuses))
        except (TrimaranError, KeyboardInterrupt) as error:
            words = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)
            raise TrimaranError(
                f"{words}; {len(statuses):,} of {len(told):,} outcomes were told before: tell all "
                "again, none is counted twice"
            ) from None
    return statuses


def _pieces(told: Sequence[OutcomeRow]) -> Iterator[Sequence[OutcomeRow]]:
    for start in range(0, len(told), _ROWS_AT_ONCE):
        yield told[start : start + _ROWS_AT_ONCE]


def _texts(values: Sequence[str]) -> np.ndarray:
    return np.array([[value.encode()] for value in values], dtype=object)


def _examples(told: Sequence[OutcomeRow], statuses: Sequence[str], status: str) -> str:
    if status in ("counted", "known"):
        return ""
    first = next(row for row, found in zip(told, statuses, strict=True) if found == status)
    return f" (first on line {first.line}: {first.id})"


def _write(path: Path, told: Sequence[OutcomeRow], statuses: Sequence[str]) -> None:
    with replacing(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["line", "id", "outcome", "status"])
        for row, status in zip(told, statuses, strict=True):
            writer.writerow([row.line, row.id, row.outcome, status])
