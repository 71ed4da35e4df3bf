"""Options that several commands have: which repository, which server, which SLOs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trimaran.system.logging import LogFormat

__all__ = [
    "DEFAULT_REPOSITORY",
    "AsJson",
    "GrpcPort",
    "Host",
    "HttpPort",
    "LogFormatName",
    "MaxErrorRatio",
    "MinRps",
    "P99Ms",
    "PayloadsPath",
    "ReportDirectory",
    "RepositoryPath",
    "Tritonserver",
]

DEFAULT_REPOSITORY = Path("model_repository")

RepositoryPath = Annotated[
    Path, typer.Option(metavar="DIR", envvar="TRIMARAN_REPOSITORY", help="The model repository.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LogFormatName = Annotated[LogFormat, typer.Option("--log-format", help="How events are logged.")]
Tritonserver = Annotated[
    Path | None,
    typer.Option(metavar="PROGRAM", help="The tritonserver to run, instead of the one found."),
]

Host = Annotated[
    str | None, typer.Option(help="A server other than the one that serves the repository.")
]
HttpPort = Annotated[int | None, typer.Option(help="That server's HTTP port: 8000.")]
GrpcPort = Annotated[int | None, typer.Option(help="That server's gRPC port: 8001.")]

PayloadsPath = Annotated[
    Path | None,
    typer.Option(help="Rows to send: .npz, .json, .jsonl, or a directory of files."),
]
ReportDirectory = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Write JSON, CSV and a page there.")
]
P99Ms = Annotated[float | None, typer.Option(help="SLO: p99 latency of at most so many ms.")]
MinRps = Annotated[float | None, typer.Option(help="SLO: at least so many answers per second.")]
MaxErrorRatio = Annotated[
    float | None, typer.Option(help="SLO: at most this share of requests fails.")
]
