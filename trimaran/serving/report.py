"""The report on a started server: the table of ready models, and how to call one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from trimaran.checks.raising import checked_config
from trimaran.repository.config import is_complete, is_ensemble
from trimaran.repository.repository import Repository
from trimaran.serving.control import ModelState
from trimaran.serving.golden import example_row
from trimaran.serving.runtime import OnnxBackend
from trimaran.serving.server import Server
from trimaran.serving.snippets import curl_snippet, python_snippet
from trimaran.system.console import console
from trimaran.system.errors import TrimaranError

__all__ = ["print_ready"]


def print_ready(
    repository: Repository,
    server: Server,
    onnx_backend: OnnxBackend | None,
    promised: set[str],
    problems: Mapping[str, str],
    ready_s: float,
) -> None:
    """Print the table, the addresses and example calls of the first ready model.

    `onnx_backend` is what serves ONNX models, if that is one of ours.
    """
    screen = console()
    index = server.control.index()
    table = Table(title="Models", title_justify="left")
    for heading in ("model", "version", "state", "reason"):
        table.add_column(heading, overflow="fold")
    for name in sorted({*promised, *problems, *(s.name for s in index if s.state == "READY")}):
        _add_rows(
            table, name, [s for s in index if s.name == name], problems.get(name, ""), server.log
        )
    screen.print(table)
    ports = server.ports
    screen.print(
        f"ready in {ready_s:.2f} s: HTTP {ports.host}:{ports.http}, gRPC {ports.host}:{ports.grpc}"
        f", metrics {ports.host}:{ports.metrics}/metrics (process {server.process.pid})",
        highlight=False,
        soft_wrap=True,
    )
    if onnx_backend is not None:
        screen.print(f"ONNX models are served by {onnx_backend.words}", highlight=False)
    _print_snippets(screen, repository, server, {s.name for s in index if s.state == "READY"})


def _add_rows(table: Table, name: str, states: list[ModelState], problem: str, log: Path) -> None:
    states = [state for state in states if state.state or state.reason]
    explained = any(state.reason not in ("unloaded", "") for state in states)
    if (problem and not explained) or not states:
        reason = problem or f"tritonserver did not load it; its log is {log}"
        table.add_row(name, "", "[red]not served[/red]", escape(reason))
    for state in states:
        ready = state.state == "READY"
        if ready or state.reason not in ("unloaded", ""):
            color = "green" if ready else "red"
            table.add_row(
                name, state.version, f"[{color}]{state.state}[/{color}]", escape(state.reason)
            )


def _print_snippets(
    screen: Console, repository: Repository, server: Server, ready: set[str]
) -> None:
    configs = []
    for name in sorted(ready):
        try:
            config = checked_config(repository, name)
        except TrimaranError:
            continue
        if is_complete(config):
            configs.append(config)
    if not configs:
        return
    config = min(configs, key=lambda config: not is_ensemble(config))
    example = example_row(repository, config)
    curl = curl_snippet(config, server.ports, example)
    if curl is not None:
        print(f"\nTo call {config.name} from a shell:\n\n{curl}")
    print(f"\nTo call {config.name} from Python:\n")
    print(python_snippet(config, server.ports, example))
    print("\nPress Ctrl-C to stop.", flush=True)
