"""`trimaran monitor up`: Prometheus on the server of a repository, until interrupted."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from monitoring.presence import announce_watch, sole_watch
from monitoring.programs import ALERTMANAGER, find_program
from monitoring.stack import (
    Program,
    alertmanager_config,
    gateway_target,
    prometheus_config,
    receiving,
    running,
    target_files,
)
from trimaran.cli.options import DEFAULT_REPOSITORY, LogFormatName, RepositoryPath
from trimaran.gateway.presence import RunningGateway, find_gateway
from trimaran.repository.presence import find_servers
from trimaran.repository.repository import Repository
from trimaran.system.durations import seconds_of
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.files import write_text
from trimaran.system.logging import LogFormat, configure_logging, logger
from trimaran.system.ports import Ports, require_free_ports
from trimaran.system.processes import interrupt_once

__all__ = ["up"]

_log = logger("monitor")

_HOST = "127.0.0.1"
_LOOK_S = 0.2
_LEAST_INTERVAL_S = 0.2


def up(
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    prometheus_port: Annotated[int, typer.Option(help="Port for Triton's metrics.")] = 9090,
    alertmanager_port: Annotated[int, typer.Option(help="Port for Alertmanager.")] = 9093,
    webhook_port: Annotated[int, typer.Option(help="Port that receives alerts.")] = 9095,
    interval: Annotated[
        str | None, typer.Option(help="How often Prometheus scrapes. Default: 5s, as configured.")
    ] = None,
    retention: Annotated[str, typer.Option(help="How long to keep data.")] = "15d",
    log_format: LogFormatName = LogFormat.text,
) -> None:
    """Run Prometheus and Alertmanager on a repository's server, and log alerts.

    Data is kept in .trimaran, next to the repository, and is available again after a restart.
    """
    interval_s = None if interval is None else seconds_of(interval, "--interval", bare=True)
    if interval_s is not None and interval_s < _LEAST_INTERVAL_S:
        raise UsageError(f"--interval is {interval}; give at least {_LEAST_INTERVAL_S:g} s")
    seconds_of(retention, "--retention")
    configure_logging(log_format)
    interrupt_once()
    opened = Repository.open(repository)
    folder = opened.state / "prometheus"
    ports = {
        "prometheus": prometheus_port,
        "alertmanager": alertmanager_port,
        "webhook": webhook_port,
    }
    with ExitStack() as stack:
        stack.enter_context(sole_watch(opened))
        require_free_ports(_HOST, ports)
        try:
            programs = _start(stack, opened, folder, ports, interval_s, retention)
            _watch(opened, folder, programs)
        except KeyboardInterrupt:
            _log.info("stopped")


def _start(
    stack: ExitStack,
    repository: Repository,
    folder: Path,
    ports: Mapping[str, int],
    interval_s: float | None,
    retention: str,
) -> list[Program]:
    """Alertmanager, where it is installed, then Prometheus; both answer."""
    prometheus = find_program("prometheus")
    alertmanager = _start_alertmanager(stack, folder, ports)
    targets = folder / "targets"
    for name, text in target_files([]).items():
        if not (targets / name).exists():  # Prometheus does not notice a folder that comes later
            write_text(targets / name, text)
    _write(targets, gateway_target(None))
    config = folder / "prometheus.yml"
    address = f"{_HOST}:{ports['alertmanager']}" if alertmanager else None
    write_text(config, prometheus_config(targets, address, interval_s))
    address = f"{_HOST}:{ports['prometheus']}"
    command = [
        str(prometheus),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--storage.tsdb.retention.time={retention}",
        f"--web.listen-address={address}",
    ]
    log = folder / "prometheus.log"
    program = stack.enter_context(running("prometheus", command, f"http://{address}", log))
    alerts_at = alertmanager.url if alertmanager else None
    stack.enter_context(announce_watch(repository, program.url, alerts_at))
    _log.info(
        f"Prometheus is at {program.url}" + (f", Alertmanager at {alerts_at}" if alerts_at else "")
    )
    return [program, *([alertmanager] if alertmanager else [])]


def _start_alertmanager(stack: ExitStack, folder: Path, ports: Mapping[str, int]) -> Program | None:
    try:
        alertmanager = find_program(*ALERTMANAGER)
    except TrimaranError as error:
        _log.warning(f"alerts are only shown by Prometheus, and not logged here: {error}")
        return None
    stack.enter_context(receiving(_HOST, ports["webhook"], _log.warning))
    config = folder / "alertmanager.yml"
    write_text(config, alertmanager_config(f"http://{_HOST}:{ports['webhook']}/"))
    address = f"{_HOST}:{ports['alertmanager']}"
    command = [
        str(alertmanager),
        f"--config.file={config}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]
    log = folder / "alertmanager.log"
    return stack.enter_context(running("alertmanager", command, f"http://{address}", log))


def _watch(repository: Repository, folder: Path, programs: Sequence[Program]) -> None:
    """Point the targets at the current or last servers and gateway, forever."""
    known: dict[str, Ports] = {}
    gateway: RunningGateway | None = None
    if not find_servers(repository):
        _log.info(
            f"no server runs on {repository.root} yet; it is found when 'trimaran serve' starts"
        )
    while True:
        for found in find_servers(repository):
            if found.ports != known.get(found.name):
                known[found.name] = ports = found.ports
                _write(folder / "targets", target_files(known.values()))
                _log.info(f"watching Triton at {ports.host}:{ports.metrics} and its supervisor")
        newer = _gateway_after(gateway, find_gateway(repository))
        if newer != gateway:
            gateway = newer
            _write(folder / "targets", gateway_target(gateway))
            _log.info(
                f"watching the gateway at {gateway.metrics_host}:{gateway.metrics_port}"
                if gateway
                else "the gateway was stopped, and is no longer watched"
            )
        for program in programs:
            program.require_running()
        time.sleep(_LOOK_S)


def _gateway_after(
    known: RunningGateway | None, found: RunningGateway | None
) -> RunningGateway | None:
    """The gateway to scrape: also one that was watched and is gone, until it is stopped."""
    return found if found is None or found.runs else known


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        write_text(folder / name, text)
