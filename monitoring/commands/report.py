"""`trimaran monitor report`: requests, latencies, errors and SLOs of a window of time."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

import typer
from markupsafe import escape

from monitoring.gateway_shown import print_gateway
from monitoring.presence import PrometheusUrl, find_prometheus
from monitoring.present import print_summary, summary_json
from monitoring.prometheus_api import Prometheus
from monitoring.summary import gather
from trimaran.cli.options import DEFAULT_REPOSITORY, AsJson, LogFormatName, RepositoryPath
from trimaran.system.console import console
from trimaran.system.durations import seconds_of
from trimaran.system.errors import TrimaranError
from trimaran.system.files import write_text
from trimaran.system.http_server import Reply, Request, serving
from trimaran.system.logging import LogFormat, configure_logging, logger
from trimaran.system.ports import require_free_ports
from trimaran.system.processes import interrupt_once

__all__ = ["Pages", "dashboard", "report"]

_log = logger("monitor")

_HOST = "127.0.0.1"
_FRESH_S = 5.0
_REFRESH_S = 10
_LOOK_S = 0.2
_STATUS = {"kept": 0, "broken": 1, "no data": 2}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
}


def report(
    window: Annotated[str, typer.Option(help="How far back: 30s, 5m, 2h, 1d.")] = "5m",
    as_json: AsJson = False,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="HTML page with plots.")
    ] = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    prometheus: PrometheusUrl = None,
) -> None:
    """Report requests, latencies and SLOs by model and version.

    Exit status: 0 if every SLO was met, 1 if one was not or Prometheus does not answer, 2 without
    data.
    """
    seconds = seconds_of(window, "--window")
    source = Prometheus(find_prometheus(repository, prometheus))
    summary = gather(source, window)
    if as_json:
        print(summary_json(summary), end="")
    else:
        print_summary(console(), summary)
        print_gateway(console(), summary)
    if output:
        from monitoring.page import page_from  # loads matplotlib

        write_text(output, page_from(source, summary, seconds))
        console(stderr=True).print(f"written to {output}", markup=False, highlight=False)
    raise typer.Exit(_STATUS[summary.outcome])


def dashboard(
    window: Annotated[str, typer.Option(help="How far back: 5m, 1h.")] = "15m",
    dashboard_port: Annotated[int, typer.Option(help="Port for the page.")] = 9096,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    prometheus: PrometheusUrl = None,
    log_format: LogFormatName = LogFormat.text,
) -> None:
    """Serve a page with tables and plots of the last minutes, on loopback, until interrupted."""
    from monitoring.page import page_from

    seconds = seconds_of(window, "--window")
    configure_logging(log_format)
    interrupt_once()
    source = Prometheus(find_prometheus(repository, prometheus))
    require_free_ports(_HOST, {"dashboard": dashboard_port})
    pages = Pages(lambda: page_from(source, gather(source, window), seconds, _REFRESH_S))
    with serving(_HOST, dashboard_port, functools.partial(_answer, pages)):
        _log.info(f"the page is at http://{_HOST}:{dashboard_port}")
        try:
            # Not one long wait: a signal that another thread receives would not end it.
            while True:
                time.sleep(_LOOK_S)
        except KeyboardInterrupt:
            _log.info("stopped")


class Pages:
    """The newest page, made again when it is asked for and has become old."""

    def __init__(self, make: Callable[[], str]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._page = ""
        self._made_s = float("-inf")

    def newest(self) -> str:
        """The page; those who ask at once wait for the same one. Raises `TrimaranError`."""
        with self._lock:
            if time.monotonic() - self._made_s > _FRESH_S:
                self._page = self._make()
                self._made_s = time.monotonic()
            return self._page


def _answer(pages: Pages, request: Request) -> Reply:
    if request.path != "/":
        return Reply(HTTPStatus.NOT_FOUND)
    if request.method != "GET":
        return Reply(HTTPStatus.METHOD_NOT_ALLOWED)
    try:
        status, text = HTTPStatus.OK, pages.newest()
    except TrimaranError as error:
        refresh = f'<meta http-equiv="refresh" content="{_REFRESH_S}">'
        status = HTTPStatus.SERVICE_UNAVAILABLE
        text = f"<!doctype html>{refresh}<title>No data</title><p>{escape(error)}"
    return Reply(status, text.encode(), "text/html; charset=utf-8", _HEADERS)
