"""`trimaran serve`: a supervised server in the foreground."""

from __future__ import annotations

import ipaddress
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import typer

from trimaran.checks.raising import checked_config
from trimaran.cli.options import DEFAULT_REPOSITORY, LogFormatName, RepositoryPath, Tritonserver
from trimaran.repository.presence import announce, sole_server
from trimaran.repository.repository import Repository
from trimaran.rollout.selection import Selection, select
from trimaran.serving.control import LOAD_TIMEOUT, Control, load_timeout_s
from trimaran.serving.hangs import HANG_TIMEOUT_S
from trimaran.serving.loading import Load, Loads
from trimaran.serving.metrics import Metrics, serve_metrics
from trimaran.serving.remains import Restarts, end_orphan, record_server
from trimaran.serving.report import print_ready
from trimaran.serving.runtime import Runtime, find_runtime
from trimaran.serving.server import LOG, Server
from trimaran.serving.settling import Settling
from trimaran.serving.supervisor import Supervisor
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.http_server import is_loopback
from trimaran.system.logging import LogFormat, configure_logging, logger
from trimaran.system.ports import Ports, require_free
from trimaran.system.processes import age_s, interrupt_once

__all__ = ["serve"]

PREDICTIONS = "TRIMARAN_PREDICTIONS"
"""The environment variable that says where models log predictions; without it they do not."""

_log = logger("serve")

_LOOK_S = 0.2
_SHORT_LOOK_S = 0.02
"""While the first models load."""
_NOTE_S = 2.0
_END_SHOWS_S = 1.0
"""How long after a failed call the end of a server may show."""
_SCRAPE_TIMEOUT_S = 1.0
_LONGEST_HANG_S = 1_000_000


def serve(
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    model: Annotated[
        list[str] | None,
        typer.Option(help="A model or ensemble to serve; repeatable. Default: all."),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; the embedded server takes loopback only.")
    ] = "127.0.0.1",
    http_port: Annotated[int, typer.Option(help="Port for HTTP.")] = 8000,
    grpc_port: Annotated[int, typer.Option(help="Port for gRPC.")] = 8001,
    metrics_port: Annotated[int, typer.Option(help="Port for Triton's metrics.")] = 8002,
    supervisor_port: Annotated[
        int, typer.Option(help="Port for the supervisor's metrics of stubs and loads.")
    ] = 8003,
    tritonserver: Tritonserver = None,
    quantiles: Annotated[
        bool, typer.Option(help="Add latency quantiles to the metrics; costs some throughput.")
    ] = False,
    cache_mb: Annotated[
        int,
        typer.Option(
            help="Size of the response cache in MB, for models that enable it; 0 for none."
        ),
    ] = 0,
    log_predictions: Annotated[
        bool, typer.Option(help="Log predictions next to the repository, for live accuracy.")
    ] = False,
    shared_memory: Annotated[
        bool, typer.Option(help="Let every client register shared memory, not only trimaran.")
    ] = False,
    load_timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help=f"How long a model may load before the others are reported without it. "
            f"Default: {LOAD_TIMEOUT}, or 300.",
        ),
    ] = None,
    hang_timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="How long a Python stub may work on the same requests before it is killed and "
            "its model healed; 0 for ever.",
        ),
    ] = HANG_TIMEOUT_S,
    log_format: LogFormatName = LogFormat.text,
) -> None:
    """Run tritonserver on a repository until interrupted, and reload models whose stub dies."""
    configure_logging(log_format)
    interrupt_once()
    if load_timeout is not None:
        os.environ[LOAD_TIMEOUT] = f"{load_timeout:g}"
    load_timeout_s()  # a wrong one is refused before anything starts
    if cache_mb < 0:
        raise UsageError(f"--cache-mb is {cache_mb}; give 0 for no cache, or a number of MB")
    if not 0 <= hang_timeout <= _LONGEST_HANG_S:
        raise UsageError(
            f"--hang-timeout is {hang_timeout:g}; give 0 to let stubs hang, or seconds up to "
            f"{_LONGEST_HANG_S}"
        )
    opened = Repository.open(repository)
    ports = Ports(host, http_port, grpc_port, metrics_port, supervisor_port)
    with ExitStack() as stack:
        stack.enter_context(sole_server(opened))
        _require_address(host)
        end_orphan(opened)
        require_free(ports)
        runtime = find_runtime(tritonserver)
        _require_allowed(runtime, host)
        with opened.deployment_lock():
            selection = select(opened, model or ())
        _require_something(opened, selection)
        options = ["--metrics-config=summary_latencies=true"] if quantiles else []
        options += [f"--cache-config=local,size={cache_mb * 2**20}"] if cache_mb else []
        environment = (
            {PREDICTIONS: str(opened.state.resolve() / "predictions")} if log_predictions else {}
        )
        for note in selection.notes:
            _log.warning(note)
        if log_predictions:
            _report_logged(opened, selection)
        service = _Service(
            opened, runtime, ports, options, environment, shared_memory, hang_timeout
        )
        try:
            service.run(selection, model or ())
        except KeyboardInterrupt:
            _log.info("stopped")


@dataclass
class _Service:
    """The servers of one repository, one after another."""

    repository: Repository
    runtime: Runtime
    ports: Ports
    options: list[str]
    environment: Mapping[str, str]
    shared_memory: bool
    hang_timeout_s: float
    metrics: Metrics | None = None

    def run(self, selection: Selection, names: Sequence[str]) -> None:
        """Serve until interrupted, and start a server that ended by itself again.

        Raises `TrimaranError` if the first one does not start, or if servers end too often.
        """
        restarts = Restarts()
        while True:
            problem = self._serve(selection)
            if problem is not None:
                self._pause(problem, restarts)
            with self.repository.deployment_lock():
                selection = select(self.repository, names)

    @staticmethod
    def _pause(problem: str, restarts: Restarts) -> None:
        pause_s = restarts.pause_s(time.monotonic())
        if pause_s is None:
            raise TrimaranError(f"{problem}; it ended {len(restarts.ends)} times in a minute")
        _log.error(f"{problem}; starting it again in {pause_s:g} s")
        time.sleep(pause_s)

    def _may_stop(self) -> bool:
        """Whether no deployment is at work."""
        try:
            with self.repository.deployment_lock(wait=False):
                return True
        except BlockingIOError:
            return False

    def _serve(self, selection: Selection) -> str | None:
        """Start, report, and supervise a server until it ends by itself; what happened.

        `None` means that it was ended for what dead stubs have left in it.
        """
        began_s = age_s() if self.metrics else 0.0
        log = self.repository.state / LOG
        loads = Loads(load_timeout_s(), _log)
        with ExitStack() as stack:
            stack.callback(loads.finish)
            try:
                server = Server.start(
                    self.runtime,
                    self.repository,
                    selection.load,
                    self.ports,
                    log,
                    self.options,
                    self.environment,
                    shared_memory=self.shared_memory,
                    load=False,
                )
            except TrimaranError as error:  # such as a port that another program took meanwhile
                if self.metrics is None:
                    raise
                return str(error)
            stack.callback(server.stop)
            record_server(self.repository, server.process.pid)
            if server.note:
                _log.warning(server.note)
            try:
                server.wait_until_started()
            except TrimaranError as error:
                if self.metrics is None:
                    raise
                return str(error)
            note_at = time.monotonic() + _NOTE_S
            stack.enter_context(
                announce(self.repository, server.process.pid, self.ports, server.secret)
            )
            supervisor = self._supervise(stack, server, selection)
            loads.begin(self._loads(server, selection))
            reported = False
            # Not one long wait: a signal that another thread receives would not end it.
            while server.is_running():
                if time.monotonic() >= note_at:
                    server.remains.note()
                    note_at = time.monotonic() + _NOTE_S
                    if (why := _why_anew(server, supervisor)) and self._may_stop():
                        _log.warning(f"{why}; starting it again")
                        return None
                if reported:
                    loads.log_late()
                elif (unready := loads.unready()) is not None:
                    server.remains.note()
                    reported = self._report(server, selection, unready, age_s() - began_s)
                    settling = Settling(self.repository, server.control, _log)
                    settling.start()
                    stack.callback(settling.finish)
                time.sleep(_LOOK_S if reported else _SHORT_LOOK_S)
            return (
                f"tritonserver ended by itself with status {server.process.status}: "
                f"{server.last_error()}; its log is {server.log}"
            )

    def _supervise(self, stack: ExitStack, server: Server, selection: Selection) -> Supervisor:
        """Have the server's stubs watched, and scrapes answered, until `stack` ends."""
        pid = server.process.pid
        # A scrape waits for less than Prometheus does.
        quick = Control(server.endpoint, server.secret, _SCRAPE_TIMEOUT_S)
        if self.metrics is None:
            self.metrics = Metrics(selection.promised, quick, pid, server.log)
        else:
            self.metrics.server_restarted(pid, quick)
        stack.enter_context(serve_metrics(self.metrics, self.ports))
        supervisor = Supervisor(
            pid,
            self.repository,
            server.control,
            self.runtime.stub_backends,
            _log,
            self.metrics,
            self.hang_timeout_s,
        )
        supervisor.start()
        stack.callback(supervisor.finish)
        return supervisor

    def _loads(self, server: Server, selection: Selection) -> Iterator[Load]:
        """What a started server loads, and the releases that it deploys where none is live."""
        for name in selection.load:
            run = partial(server.control.load, name, without_limit=True)
            yield Load(name, run, selection.needs(name))
        for name, release in selection.deploy:
            run = partial(_deploy_pending, self.repository, server, name, release)
            yield Load(name, run, selection.needs(name))

    def _report(
        self, server: Server, selection: Selection, unready: Mapping[str, str], ready_s: float
    ) -> bool:
        """Print what is ready; whether the server still answered."""
        problems = {**unready, **dict(selection.problems)}
        try:
            print_ready(self.repository, server, selection.promised, problems, ready_s)
        except TrimaranError:
            if not server.process.wait(_END_SHOWS_S):
                raise
            return False
        return True


def _why_anew(server: Server, supervisor: Supervisor) -> str:
    """Why a server that runs should be started again, if it should."""
    if server.remains.is_too_much():
        return "tritonserver keeps threads and shared memory of each stub that died, and many did"
    if models := supervisor.stuck():
        return (
            f"tritonserver has tried to load {', '.join(models)} for long, and waits for a stub "
            "that died as it was started"
        )
    return ""


def _require_address(host: str) -> None:
    if host != "localhost":
        try:
            ipaddress.ip_address(host)
        except ValueError as error:
            raise UsageError(f"--host {host!r} is not an address such as 127.0.0.1") from error


def _require_allowed(runtime: Runtime, host: str) -> None:
    if runtime.embedded and not is_loopback(host):
        raise UsageError(
            f"--host {host}: the embedded Triton {runtime.version} listens on loopback only, since "
            "it has known security holes; put a gateway in front, or use NVIDIA's container"
        )


def _report_logged(repository: Repository, selection: Selection) -> None:
    """Say which models' answers are logged."""
    models = {*selection.promised, *(step for each in selection.steps.values() for step in each)}
    logged = {
        config.parameters["answers_of"].string_value or name
        for name, config in ((each, checked_config(repository, each)) for each in models)
        if "log_megabytes" in config.parameters
    }
    if logged:
        _log.info(f"answers are logged of {', '.join(sorted(logged))}")
    else:
        _log.warning(
            "--log-predictions logs nothing yet, since no model here has a step that logs its "
            "answers (docs/monitoring.md)"
        )


def _require_something(repository: Repository, selection: Selection) -> None:
    if not selection.promised:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in selection.problems)
        raise TrimaranError(
            f"{repository.root}: nothing can be served"
            + (f" ({reasons})" if reasons else "; publish a model with 'trimaran export'")
        )


def _deploy_pending(repository: Repository, server: Server, ensemble: str, release: int) -> None:
    """Deploy the newest release of an ensemble that has none live."""
    from trimaran.rollout.deployment import deploy
    from trimaran.serving.client import Client

    with Client(server.endpoint) as client:
        deploy(repository, server.control, client, ensemble, release, lambda step: None)
    _log.info(f"{ensemble}: no release was live; release {release} is now")
