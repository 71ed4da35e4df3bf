"""`trimaran status`: models, versions, what is live, parity, size."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from trimaran.cli.options import DEFAULT_REPOSITORY, AsJson, RepositoryPath
from trimaran.publishing.api import VersionStatus
from trimaran.publishing.api import status as status_of
from trimaran.repository.presence import Presence
from trimaran.system.console import console

__all__ = ["status"]


def status(repository: RepositoryPath = DEFAULT_REPOSITORY, as_json: AsJson = False) -> None:
    """Show every model's versions and which of them are live."""
    found = status_of(repository)
    if as_json:
        print(json.dumps(found.record(), indent=2))
        return
    screen = console()
    screen.print(_table(found.models))
    for where in map(_served_by, found.servers) if found.servers else ["not served now"]:
        screen.print(f"{found.repository}: {where}", highlight=False, soft_wrap=True)


def _served_by(server: Presence) -> str:
    who = f"{server.name} (process {server.pid})" if server.name else f"process {server.pid}"
    onnx = f", ONNX models by its {server.onnx_backend} backend" if server.onnx_backend else ""
    return f"served by {who} on HTTP port {server.ports.http}, gRPC port {server.ports.grpc}{onnx}"


def _table(lines: Sequence[VersionStatus]) -> Table:
    table = Table()
    for heading in ("model", "version", "live", "format", "parity", "size", "made", "detail"):
        justify = "right" if heading in ("version", "parity", "size") else "left"
        table.add_column(heading, justify=justify, overflow="fold")  # type: ignore[arg-type]
    previous = ""
    for line in lines:
        table.add_row(
            escape(line.model) if line.model != previous else "",
            "" if line.version is None else str(line.version),
            "[green]live[/green]" if line.live else "",
            escape(line.format),
            "" if line.parity is None else f"{line.parity:.2g}",
            _size(line.size),
            escape(line.created_at[:16].replace("T", " ")),
            escape(line.detail),
        )
        previous = line.model
    return table


def _size(size: int) -> str:
    if not size:
        return ""
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
