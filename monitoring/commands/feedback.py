"""`trimaran feedback`: true outcomes from a file, joined to predictions by a served model."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.progress import Progress

from monitoring.outcomes_file import Columns, OutcomeRow, read_outcomes
from trimaran.checks.raising import checked_config
from trimaran.cli.address import Address
from trimaran.cli.options import (
    DEFAULT_REPOSITORY,
    AsJson,
    CaFile,
    GrpcPort,
    Host,
    HttpPort,
    RepositoryPath,
    TokenFile,
    Url,
)
from trimaran.repository.config import inputs_of
from trimaran.repository.presence import running_server
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
    "known": "recorded before, and not counted again",
    "contradicts": "recorded with the other outcome before; the first one stays",
    "unknown": "no such id in the prediction log, or only after the outcome's time",
}


def feedback(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="The model that predicted, or its feedback model."),
    ],
    source: Annotated[
        Path,
        typer.Option("--input", metavar="FILE", help="A CSV file with a row for each outcome."),
    ],
    id_column: Annotated[
        str | None,
        typer.Option(
            "--id",
            metavar="COLUMN",
            help="Column of the ids. Default: id, request_id, or the model's own.",
        ),
    ] = None,
    outcome: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Column of the true outcome. Default: outcome."),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column of the time when it became known. Default: time, if there is one.",
        ),
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Value of the outcome that counts as true; all others count as false.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="CSV file with the status of each row.")
    ] = None,
    as_json: AsJson = False,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    host: Host = None,
    http_port: HttpPort = None,
    grpc_port: GrpcPort = None,
    url: Url = None,
    ca: CaFile = None,
    token_file: TokenFile = None,
) -> None:
    """Record the true outcomes (ground truth) of logged predictions.

    A served feedback model joins each outcome to its prediction.

    Exit status: 0 if every outcome is counted, now or earlier; 1 if one is not.
    """
    joiner, names, dtype = _joiner(Repository.open(repository), model)
    if not source.is_file():
        raise UsageError(f"there is no file {source}")
    rows = read_outcomes(source, Columns(id_column, outcome, time, positive), names, dtype)
    given = Address(host, http_port, grpc_port, url, ca, token_file).endpoint()
    with Client(running_server(repository, given).endpoint) as client:
        statuses = _record(client, joiner, rows, dtype)
    if output:
        _write(output, rows, statuses)
    counts = {status: statuses.count(status) for status in _MEANINGS}
    if as_json:
        print(json.dumps(counts, indent=2))
    else:
        for status, count in counts.items():
            if count:
                print(f"{count:,} {status}: {_MEANINGS[status]}{_examples(rows, statuses, status)}")
    if counts["unknown"] or counts["contradicts"]:
        raise typer.Exit(1)


def _joiner(repository: Repository, named: str) -> tuple[str, list[str], str]:
    """The feedback model of `named`, or itself.

    Also the usual names of a column of its ids, and the datatype of its outcomes.
    """
    joiners = {}
    for name in repository.names():
        if repository.has_config(name):
            parameters = checked_config(repository, name).parameters
            if _PARAMETER in parameters:
                joiners[name] = parameters[_PARAMETER].string_value.split(",")
    for name, predictors in joiners.items():
        if named in (name, *predictors, name.removesuffix("_feedback")):
            own = [
                each.name
                for each in checked_config(repository, predictors[0]).input
                if each.optional
            ]
            taken = {each.name: each for each in inputs_of(checked_config(repository, name))}
            return name, ["id", "request_id", *own], taken["outcome"].dtype.triton
    known = [each for predictors in joiners.values() for each in predictors]
    raise TrimaranError(
        f"no model in {repository.root} takes outcomes of {named!r}; "
        + (f"choose from {', '.join(known)}" if known else "publish one first")
    )


def _record(client: Client, joiner: str, rows: Sequence[OutcomeRow], dtype: str) -> list[str]:
    """A status for each row. Raises `TrimaranError`; outcomes recorded before the error count."""
    statuses: list[str] = []
    timed = any(row.time for row in rows)
    with Progress(console=console(stderr=True), transient=True) as bar:
        task = bar.add_task("recording outcomes", total=len(rows))
        try:
            for piece in _pieces(rows):
                inputs = {
                    "id": _texts([row.id for row in piece]),
                    "outcome": _OUTCOMES[dtype]([row.outcome for row in piece]),
                    **({"time": _texts([row.time for row in piece])} if timed else {}),
                }
                answer = client.infer(joiner, inputs)
                statuses += [each.decode() for each in answer.outputs["status"].ravel()]
                bar.update(task, completed=len(statuses))
        except (TrimaranError, KeyboardInterrupt) as error:
            words = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)
            raise TrimaranError(
                f"{words}; {len(statuses):,} of {len(rows):,} outcomes were recorded: run the "
                "command again, none is counted twice"
            ) from None
    return statuses


def _pieces(rows: Sequence[OutcomeRow]) -> Iterator[Sequence[OutcomeRow]]:
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        yield rows[start : start + _ROWS_AT_ONCE]


def _texts(values: Sequence[str]) -> np.ndarray:
    return np.array([[value.encode()] for value in values], dtype=object)


_OUTCOMES: Mapping[str, Callable[[Sequence[Any]], np.ndarray]] = {
    "BOOL": lambda values: np.array(values, np.bool_)[:, np.newaxis],
    "BYTES": _texts,
    "FP32": lambda values: np.array(values, np.float32)[:, np.newaxis],
}
"""Outcomes as a tensor, by its datatype."""


def _examples(rows: Sequence[OutcomeRow], statuses: Sequence[str], status: str) -> str:
    if status in ("counted", "known"):
        return ""
    first = next(row for row, found in zip(rows, statuses, strict=True) if found == status)
    return f" (first on line {first.line}: {first.id})"


def _write(path: Path, rows: Sequence[OutcomeRow], statuses: Sequence[str]) -> None:
    with replacing(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["line", "id", "outcome", "status"])
        for row, status in zip(rows, statuses, strict=True):
            writer.writerow([row.line, row.id, row.outcome, status])
