"""Options that several commands have: which repository, which server, which SLOs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trimaran.system.errors import UsageError
from trimaran.system.logging import LogFormat

__all__ = [
    "DEFAULT_REPOSITORY",
    "AsJson",
    "CaFile",
    "GrpcPort",
    "Host",
    "HttpPort",
    "LogFormatName",
    "MaxErrorRatio",
    "MinRps",
    "P99Ms",
    "PayloadsPath",
    "Person",
    "PositiveValue",
    "Query",
    "ReportDirectory",
    "RepositoryPath",
    "RunId",
    "SchemaPath",
    "SettingsPath",
    "Sheet",
    "TargetColumn",
    "TaskName",
    "TimeColumn",
    "TokenFile",
    "Tritonserver",
    "Url",
    "share_of",
]

DEFAULT_REPOSITORY = Path("model_repository")

_ALL = 100
"""Percent."""

RepositoryPath = Annotated[
    Path, typer.Option(metavar="DIR", envvar="TRIMARAN_REPOSITORY", help="The model repository.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LogFormatName = Annotated[LogFormat, typer.Option("--log-format", help="Format of logged events.")]
Tritonserver = Annotated[
    Path | None,
    typer.Option(metavar="PROGRAM", help="The tritonserver to run, instead of the one found."),
]

Host = Annotated[
    str | None, typer.Option(help="Host of a server other than the one that serves the repository.")
]
HttpPort = Annotated[int | None, typer.Option(help="HTTP port of that server. Default: 8000.")]
GrpcPort = Annotated[int | None, typer.Option(help="gRPC port of that server. Default: 8001.")]
Url = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="Or its one address for both protocols, such as https://HOST:8443."
    ),
]
CaFile = Annotated[
    Path | None,
    typer.Option(
        "--ca", metavar="FILE", help="CA certificate for --url. Default: those of the system."
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="File with the token for --url. Default: $TRIMARAN_TOKEN."),
]

PayloadsPath = Annotated[
    Path | None,
    typer.Option(help="Rows to send: .npz, .json, .jsonl, or a folder of files."),
]
ReportDirectory = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder for the report: JSON, CSV and an HTML page."),
]
P99Ms = Annotated[float | None, typer.Option(help="SLO: the highest p99 latency, in ms.")]
MinRps = Annotated[float | None, typer.Option(help="SLO: the lowest rate of answers per second.")]
MaxErrorRatio = Annotated[
    float | None, typer.Option(help="SLO: the highest share of failed requests, 0 to 1.")
]

TargetColumn = Annotated[
    str | None, typer.Option(help="The column to predict, where the table has no schema.")
]
TaskName = Annotated[
    str | None,
    typer.Option(help="binary, multiclass or regression. Default: by the target's values."),
]
TimeColumn = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Split by the dates of this column: train on the oldest rows, test on the newest.",
    ),
]
PositiveValue = Annotated[
    str | None,
    typer.Option(help="The target's value to predict. Default: yes, or else the rarer one."),
]
Query = Annotated[str | None, typer.Option(metavar="SQL", help="What to read from a database.")]
Sheet = Annotated[
    str | None, typer.Option(metavar="NAME", help="Sheet of an .xlsx file. Default: the first.")
]
SchemaPath = Annotated[
    Path | None,
    typer.Option(
        help="TOML file that describes the columns. Default: that of the table's name, which "
        "is written if there is none."
    ),
]

RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run, as NAME/N, such as churn/3.")]
Person = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", envvar="TRIMARAN_USER", help="Who does this. Default: the system's user."
    ),
]
SettingsPath = Annotated[
    Path | None,
    typer.Option(
        "--settings",
        metavar="FILE",
        help="What runs train, and who may decide. Default: rollout.toml in the project's folder, "
        "if there is one.",
    ),
]


def share_of(option: str, percent: float, like: float, *, whole: bool = False) -> float:
    """A percent that was given, as a share. Raises `UsageError` for one that is none.

    `like` is an example, and `whole` says whether it may be 100.
    """
    if 0 < percent < _ALL or (whole and percent == _ALL):
        return percent / _ALL
    most = "of at most" if whole else "below"
    raise UsageError(
        f"{option} is {percent:g}; name a percent above 0 and {most} 100, such as {like:g}"
    )
