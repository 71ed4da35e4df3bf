"""`trimaran status`: models, versions, what is live, parity, size."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from trimaran.checks.raising import checked_config
from trimaran.publishing.releases import read_release
from trimaran.repository.config import is_ensemble
from trimaran.repository.live import live_versions
from trimaran.repository.presence import find_server
from trimaran.repository.repository import Repository, Version
from trimaran.system.console import console
from trimaran.system.errors import TrimaranError

__all__ = ["status"]


@dataclass(frozen=True)
class _Line:
    model: str
    version: int | None
    live: bool
    format: str
    parity: float | None
    """The largest error of any output against PyTorch."""
    size: int
    """Bytes."""
    created_at: str
    detail: str


def status(
    repository: Annotated[Path, typer.Option(help="The model repository.")] = Path(
        "model_repository"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show every model's versions and which of them are live."""
    opened = Repository.open(repository)
    lines = [line for name in opened.names() for line in _lines(opened, name)]
    server = find_server(opened)
    if as_json:
        record = {
            "repository": str(opened.root),
            "server": asdict(server) if server else None,
            "models": [asdict(line) for line in lines],
        }
        print(json.dumps(record, indent=2))
        return
    screen = console()
    screen.print(_table(lines))
    where = (
        f"served by process {server.pid} on HTTP port {server.ports.http}, gRPC port "
        f"{server.ports.grpc}"
        if server
        else "not served now"
    )
    screen.print(f"{opened.root}: {where}", highlight=False, soft_wrap=True)


def _lines(repository: Repository, name: str) -> list[_Line]:
    try:
        ensemble = is_ensemble(checked_config(repository, name))
        live = live_versions(repository.live(name))
    except TrimaranError as error:
        return [_Line(name, None, False, "", None, 0, "", f"broken: {error}")]
    versions = repository.versions(name)
    if not versions:
        kind = "ensemble" if ensemble else ""
        return [_Line(name, None, False, kind, None, 0, "", "no version yet")]
    return [_line(repository, name, v, v.number in live, ensemble) for v in versions]


def _line(repository: Repository, name: str, version: Version, live: bool, ensemble: bool) -> _Line:
    manifest = version.manifest
    if manifest is None or version.problem:
        return _Line(name, version.number, live, "", None, 0, "", f"unusable: {version.problem}")
    detail = manifest.source.get("factory") or manifest.source.get("file", "")
    if ensemble:
        try:
            pins = read_release(repository, name, version.number).pins
            detail = ", ".join(f"{model} {number}" for model, number in pins.items())
        except TrimaranError as error:
            detail = f"unusable: {error}"
    errors = [row["largest_error"] for row in manifest.parity]
    return _Line(
        name,
        version.number,
        live,
        manifest.format,
        max(errors) if errors else None,
        manifest.size,
        manifest.created_at,
        detail,
    )


def _table(lines: list[_Line]) -> Table:
    table = Table()
    for heading in ("model", "version", "live", "format", "parity", "size", "made", "detail"):
        justify = "right" if heading in ("version", "parity", "size") else "left"
        table.add_column(heading, justify=justify, overflow="fold")  # type: ignore[arg-type]
    previous = ""
    for line in lines:
        table.add_row(
            line.model if line.model != previous else "",
            "" if line.version is None else str(line.version),
            "[green]live[/green]" if line.live else "",
            line.format,
            "" if line.parity is None else f"{line.parity:.2g}",
            _size(line.size),
            line.created_at[:16].replace("T", " "),
            escape(line.detail),
        )
        previous = line.model
    return table


def _size(size: int) -> str:
    if not size:
        return ""
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
