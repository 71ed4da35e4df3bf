"""Options that several commands have: which repository, and which server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["GrpcPort", "Host", "HttpPort", "RepositoryPath"]

RepositoryPath = Annotated[Path, typer.Option(help="The model repository.")]
Host = Annotated[
    str | None, typer.Option(help="A server other than the one that serves the repository.")
]
HttpPort = Annotated[int | None, typer.Option(help="That server's HTTP port: 8000.")]
GrpcPort = Annotated[int | None, typer.Option(help="That server's gRPC port: 8001.")]
