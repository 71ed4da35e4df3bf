"""The servers of one repository, one after another: started, supervised, and started again."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from trimaran.repository.presence import announce
from trimaran.repository.repository import Repository
from trimaran.rollout.selection import Selection, select
from trimaran.serving.control import Control, load_timeout_s
from trimaran.serving.loading import Load, Loads
from trimaran.serving.metrics import Metrics, serve_metrics
from trimaran.serving.readiness import Readiness
from trimaran.serving.remains import Restarts, record_server
from trimaran.serving.report import print_ready
from trimaran.serving.runtime import Runtime
from trimaran.serving.server import LOG, Server
from trimaran.serving.settling import Settling
from trimaran.serving.supervisor import Supervisor
from trimaran.system.errors import TrimaranError
from trimaran.system.logging import logger
from trimaran.system.ports import Ports
from trimaran.system.processes import age_s, until_interrupted_again

__all__ = ["Service"]

_log = logger("serve")

_LOOK_S = 0.2
_SHORT_LOOK_S = 0.02
"""While the first models load."""
_NOTE_S = 2.0
_END_SHOWS_S = 1.0
"""How long after a failed call the end of a server may show."""
_SCRAPE_TIMEOUT_S = 1.0


@dataclass
class Service:
    """The servers of one name on a repository, one after another."""

    repository: Repository
    runtime: Runtime
    ports: Ports
    options: list[str]
    environment: Mapping[str, str]
    shared_memory: bool
    hang_timeout_s: float
    drain_s: float = 0.0
    """For how long a server that is about to end still answers, unready."""
    name: str = ""
    selected_ns: int = 0
    """When the deployment lock was taken to select what is served."""
    metrics: Metrics | None = None

    def select(self, names: Sequence[str]) -> Selection:
        """What to serve now; see `trimaran.rollout.selection`."""
        with self.repository.deployment_lock():
            self.selected_ns = self.repository.last_deployment_ns()
            return select(self.repository, names)

    def run(self, selection: Selection, names: Sequence[str]) -> None:
        """Serve until interrupted, and start a server that ended by itself again.

        Raises `TrimaranError` if the first one does not start, or if servers end too often.
        """
        restarts = Restarts()
        while True:
            problem = self._serve(selection)
            if problem is not None:
                self._pause(problem, restarts)
            selection = self.select(names)

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
        log = self.repository.server_state(self.name) / LOG
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
            record_server(self.repository, server.process.pid, self.name)
            if server.note:
                _log.warning(server.note)
            try:
                server.wait_until_started()
            except TrimaranError as error:
                if self.metrics is None:
                    raise
                return str(error)
            note_at = time.monotonic() + _NOTE_S
            announced = stack.enter_context(ExitStack())
            announced.enter_context(
                announce(
                    self.repository,
                    server.process.pid,
                    self.ports,
                    server.secret,
                    self.name,
                    self.runtime.onnx_backend or "",
                )
            )
            supervisor, readiness = self._supervise(stack, server, selection)
            loads.begin(self._loads(server, selection))
            reported = False
            try:
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
                        settling = Settling(
                            self.repository,
                            server.control,
                            _log,
                            selection.promised,
                            self.selected_ns,
                        )
                        settling.start()
                        stack.callback(settling.finish)
                    time.sleep(_LOOK_S if reported else _SHORT_LOOK_S)
            except KeyboardInterrupt:
                readiness.stop()
                announced.close()
                self._drain(server)
                raise
            return (
                f"tritonserver ended by itself with status {server.process.status}: "
                f"{server.last_error()}; its log is {server.log}"
            )

    def _drain(self, server: Server) -> None:
        """Let the server answer for the drain time, or until a second interrupt."""
        if not self.drain_s:
            return
        _log.info(
            f"stopping: requests are answered for {self.drain_s:g} s more, and /ready is 503; "
            "Ctrl-C ends this at once"
        )
        until = time.monotonic() + self.drain_s
        with until_interrupted_again():
            while server.is_running() and time.monotonic() < until:
                time.sleep(_SHORT_LOOK_S)

    def _supervise(
        self, stack: ExitStack, server: Server, selection: Selection
    ) -> tuple[Supervisor, Readiness]:
        """Have stubs watched, and scrapes and `/ready` answered, until `stack` ends."""
        pid = server.process.pid
        # A scrape waits for less than Prometheus does.
        quick = Control(server.endpoint, server.secret, _SCRAPE_TIMEOUT_S)
        if self.metrics is None:
            self.metrics = Metrics(selection.promised, quick, pid, server.log)
        else:
            self.metrics.server_restarted(pid, quick)
        supervisor = Supervisor(
            pid,
            self.repository,
            server.control,
            self.runtime.stub_backends,
            _log,
            self.metrics,
            self.hang_timeout_s,
        )
        readiness = Readiness(selection.promised, quick, supervisor.ailing)
        stack.enter_context(serve_metrics(self.metrics, self.ports, readiness))
        supervisor.start()
        stack.callback(supervisor.finish)
        return supervisor, readiness

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
            print_ready(
                self.repository,
                server,
                self.runtime.onnx_backend,
                selection.promised,
                problems,
                ready_s,
            )
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


def _deploy_pending(repository: Repository, server: Server, ensemble: str, release: int) -> None:
    """Deploy the newest release of an ensemble that has none live."""
    from trimaran.rollout.deployment import deploy
    from trimaran.rollout.fleet import Fleet
    from trimaran.serving.client import Client

    with Client(server.endpoint) as client:
        deploy(repository, Fleet.of_one(server.control, client), ensemble, release)
    _log.info(f"{ensemble}: no release was live; release {release} is now")
