"""Options that several commands have: which repository, which server, what is promised."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "GrpcPort",
    "Host",
    "HttpPort",
    "MaxErrorRatio",
    "MinRps",
    "P99Ms",
    "PayloadsPath",
    "RepositoryPath",
]

RepositoryPath = Annotated[Path, typer.Option(help="The model repository.")]
Host = Annotated[
    str | None, typer.Option(help="A server other than the one that serves the repository.")
]
HttpPort = Annotated[int | None, typer.Option(help="That server's HTTP port: 8000.")]
GrpcPort = Annotated[int | None, typer.Option(help="That server's gRPC port: 8001.")]

PayloadsPath = Annotated[
    Path | None,
    typer.Option(help="Rows to send: .npz, .json, .jsonl, or a directory of files."),
]
P99Ms = Annotated[float | None, typer.Option(help="Promise: p99 within this.")]
MinRps = Annotated[float | None, typer.Option(help="Promise: answers per second.")]
MaxErrorRatio = Annotated[
    float | None, typer.Option(help="Promise: at most this share of requests fails.")
]
