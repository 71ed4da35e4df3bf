"""Prometheus and Alertmanager as child processes, with the committed configuration.

The configuration gets the addresses of this machine's servers. A webhook receives Alertmanager's
alerts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import urllib3
import yaml

from trimaran.gateway.presence import RunningGateway
from trimaran.system.console import printable
from trimaran.system.errors import TrimaranError
from trimaran.system.http_server import Reply, Request, serving
from trimaran.system.ports import Ports
from trimaran.system.processes import STDOUT, Child

__all__ = [
    "CONFIGURATION",
    "Program",
    "alert_line",
    "alertmanager_config",
    "gateway_target",
    "prometheus_config",
    "receiving",
    "running",
    "target_files",
]

_START_S = 30.0
_STOP_S = 10.0
_POLL_S = 0.05

CONFIGURATION = Path(__file__).parent / "prometheus"
"""`prometheus.yml`, `alertmanager.yml` and `rules/`."""


def prometheus_config(targets: Path, alertmanager: str | None, interval_s: float | None) -> str:
    """`prometheus.yml` with the rules' path, and targets from the files `<job>.json` of a folder.

    `alertmanager` is its `host:port`, or None without one. `interval_s` replaces the time between
    scrapes, and between evaluations of the rules.
    """
    config: dict[str, Any] = yaml.safe_load((CONFIGURATION / "prometheus.yml").read_text())
    config["rule_files"] = [str(CONFIGURATION / pattern) for pattern in config["rule_files"]]
    if interval_s is not None:
        milliseconds = f"{round(interval_s * 1000)}ms"
        for key in ("scrape_interval", "scrape_timeout", "evaluation_interval"):
            config["global"][key] = milliseconds
    if alertmanager:
        config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
    else:
        del config["alerting"]
    for job in config["scrape_configs"]:
        del job["static_configs"]
        job["file_sd_configs"] = [{"files": [str(targets / f"{job['job_name']}.json")]}]
    return yaml.safe_dump(config, sort_keys=False)


def alertmanager_config(webhook: str) -> str:
    """`alertmanager.yml` with the webhook's URL."""
    config: dict[str, Any] = yaml.safe_load((CONFIGURATION / "alertmanager.yml").read_text())
    for receiver in config["receivers"]:
        for webhook_config in receiver["webhook_configs"]:
            webhook_config["url"] = webhook
    return yaml.safe_dump(config, sort_keys=False)


def target_files(servers: Iterable[Ports]) -> Mapping[str, str]:
    """The content of each job's target file, for servers on these ports."""
    found = list(servers)
    return {
        "triton.json": _targets((ports.host, ports.metrics) for ports in found),
        "supervisor.json": _targets((ports.host, ports.supervisor) for ports in found),
    }


def gateway_target(gateway: RunningGateway | None) -> Mapping[str, str]:
    """The same of the gateway's job."""
    found = [(gateway.metrics_host, gateway.metrics_port)] if gateway else []
    return {"gateway.json": _targets(found)}


def _targets(places: Iterable[tuple[str, int]]) -> str:
    targets = [f"{host}:{port}" for host, port in places]
    return json.dumps([{"targets": targets}] if targets else []) + "\n"


class Program:
    """A running program that answers at `url`."""

    def __init__(self, name: str, process: Child, url: str, log: Path) -> None:
        self.name = name
        self.process = process
        self.url = url
        self.log = log

    def require_running(self) -> None:
        """Raise `TrimaranError` with the last line of its log if it has ended."""
        if not self.process.has_ended():
            return
        lines = self.log.read_text(errors="replace").strip().splitlines()
        errors = [line for line in lines if "level=error" in line or "error: " in line]
        words = (errors or lines or ["it logged nothing"])[-1]
        raise TrimaranError(
            f"{self.name} ended with status {self.process.status}: {words}; its log is {self.log}"
        )


@contextmanager
def running(name: str, command: Sequence[str], url: str, log: Path) -> Iterator[Program]:
    """Run a program during the block, which begins when `url/-/ready` answers.

    The program ends with this process, even if this process is killed. Raises `TrimaranError` if it
    ends before it is ready, or is not ready in time.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = Child(command, stdout=output, stderr=STDOUT)
    program = Program(name, process, url, log)
    try:
        _wait_until_ready(program)
        yield program
    finally:
        process.end(within_s=_STOP_S)


def _wait_until_ready(program: Program) -> None:
    deadline = time.monotonic() + _START_S
    while not _is_ready(program.url):
        program.require_running()
        if time.monotonic() > deadline:
            raise TrimaranError(
                f"{program.name} was not ready after {_START_S:.0f} s; its log is {program.log}"
            )
        time.sleep(_POLL_S)


def _is_ready(url: str) -> bool:
    try:
        response = urllib3.request("GET", f"{url}/-/ready", timeout=1.0, retries=False)
    except urllib3.exceptions.HTTPError:
        return False
    return response.status == 200


def alert_line(alert: dict[str, Any]) -> str:
    """A line for an alert from Alertmanager's webhook, without control characters."""
    labels, notes = alert.get("labels", {}), alert.get("annotations", {})
    name = labels.get("alertname", "an alert without a name")
    summary = notes.get("summary", "")
    if alert.get("status") == "resolved":
        return printable(f"over: {name}: {summary}")
    remedy = f"; {notes['remedy']}" if "remedy" in notes else ""
    return printable(f"{labels.get('severity', 'alert')}: {name}: {summary}{remedy}")


@contextmanager
def receiving(host: str, port: int, say: Callable[[str], None]) -> Iterator[None]:
    """Listen during the block, and say each alert that begins or ends."""

    def answer(request: Request) -> Reply:
        if request.method != "POST":
            return Reply(HTTPStatus.METHOD_NOT_ALLOWED)
        try:
            lines = [alert_line(alert) for alert in json.loads(request.body)["alerts"]]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return Reply(HTTPStatus.BAD_REQUEST, b"not an Alertmanager webhook\n")
        for line in lines:
            say(line)
        return Reply()

    with serving(host, port, answer):
        yield
