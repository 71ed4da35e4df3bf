"""Which Prometheus a command asks: the one that is named, or the one on the repository."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monitoring.stack.presence import find_watch
from trimaran.repository.repository import Repository
from trimaran.system.errors import TrimaranError, UsageError

__all__ = ["PrometheusUrl", "find_prometheus"]

PrometheusUrl = Annotated[
    str | None,
    typer.Option(metavar="URL", help="A Prometheus other than that of 'trimaran monitor up'."),
]


def find_prometheus(repository: Path, url: str | None) -> str:
    """Its URL. Raises `TrimaranError` where none is named and none watches the repository."""
    if url is not None:
        if not url.startswith(("http://", "https://")):
            raise UsageError(
                f"--prometheus is {url!r}; expected a URL such as http://127.0.0.1:9090"
            )
        return url
    watching = find_watch(Repository.open(repository))
    if watching is None:
        raise TrimaranError(
            f"nothing watches {repository}; start 'trimaran monitor up', or name a Prometheus with "
            "--prometheus"
        )
    return watching.prometheus
