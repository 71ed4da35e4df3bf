"""One `tritonserver` process: started, waited for, and ended with everything it started."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

from trimaran.checks.raising import checked_config
from trimaran.repository.config import is_complete
from trimaran.repository.presence import sole_server
from trimaran.repository.repository import LIVE_CONFIG_NAME, Repository
from trimaran.serving.access import new_secret, restrictions
from trimaran.serving.control import (
    LOAD_TIMEOUT,
    Control,
    LoadTimeoutError,
    last_words,
    lines_of,
    load_timeout_s,
)
from trimaran.serving.embedded_config import EMBEDDED_CONFIG_NAME, prepare
from trimaran.serving.remains import Remains
from trimaran.serving.runtime import Runtime
from trimaran.serving.shared_memory import Regions, free_bytes, plan_regions, stubs_of
from trimaran.system import bounded_log
from trimaran.system.endpoint import Endpoint
from trimaran.system.errors import TrimaranError
from trimaran.system.ports import Ports, free_ports, require_free
from trimaran.system.processes import ALLOCATOR, PIPE, STDOUT, Child

__all__ = ["LOG", "Server", "all_complete", "private_server"]

LOG = "server.log"
"""The log of a server that serves a repository, in that server's state."""


_OTHER_LOADS = 4
"""Loads that may go on beside one of each model, such as those of deployments."""
_EXIT_TIMEOUT_S = 3
"""How long Triton waits for models to unload; a dead stub never does."""
_STOP_TIMEOUT_S = 4.2
_POLL_S = 0.02
_WRITER_TIMEOUT_S = 1.0
_LOG_BYTES = 8 * 2**20


class Server:
    """A running `tritonserver` on one repository; `note` is a hint for its user.

    `secret` opens the APIs that change it.
    """

    def __init__(
        self,
        process: Child,
        writer: Child,
        ports: Ports,
        log: Path,
        secret: str,
        note: str = "",
    ) -> None:
        self.process = process
        self._writer = writer
        self.note = note
        self.ports = ports
        self.log = log
        self.secret = secret
        self.endpoint = Endpoint.of(ports)
        self.control = Control(self.endpoint, secret, log=log)
        self.remains = Remains(process.pid)

    @classmethod
    def start(
        cls,
        runtime: Runtime,
        repository: Repository,
        models: Sequence[str],
        ports: Ports,
        log: Path,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        *,
        shared_memory: bool = False,
        load: bool = True,
    ) -> Server:
        """Start a server that loads `models`; it is not ready yet. Raises `TrimaranError`.

        Without `load` it answers at once, and is prepared for their load later. `options` are
        further options of tritonserver, `environment` is added to this process' own. With
        `shared_memory` every client may register shared memory.

        The server ends with this process, even if this process is killed.
        """
        require_free(ports)
        load_timeout_s()  # a wrong setting is refused before anything starts
        log.parent.mkdir(parents=True, exist_ok=True)
        if runtime.embedded:
            prepare(repository, repository.names())
        regions = _regions(runtime, repository, models)
        command = [str(runtime.executable), *_arguments(runtime, repository, ports, regions)]
        if load:
            command += [f"--load-model={model}" for model in models]
        else:
            command.append(f"--model-load-thread-count={len(models) + _OTHER_LOADS}")
        secret = new_secret()
        command += restrictions(secret, shared_memory=shared_memory)
        command += options
        try:
            with log.open("wb") as output:
                writer = _log_writer(log, output)
            with ExitStack() as stack:
                stack.callback(writer.kill)
                process = Child(
                    command,
                    stdout=writer.stdin,
                    stderr=STDOUT,
                    directory=repository.root,
                    environment={
                        **ALLOCATOR,
                        **os.environ,
                        **runtime.environment,
                        **(environment or {}),
                    },
                )
                stack.pop_all()
            if writer.stdin is not None:
                writer.stdin.close()
        except OSError as error:
            raise TrimaranError(f"{runtime.executable} cannot be started: {error}") from error
        return cls(process, writer, ports, log, secret, regions.note)

    def wait_until_started(self) -> None:
        """Wait until every load was tried. Raises `TrimaranError` if the server ends or hangs."""
        timeout_s = load_timeout_s()
        deadline = time.monotonic() + timeout_s
        while not self.control.is_live():
            if not self.is_running():
                raise TrimaranError(
                    f"tritonserver ended with status {self.process.status}: "
                    f"{self.last_error()}; its log is {self.log}"
                )
            if time.monotonic() > deadline:
                raise LoadTimeoutError(
                    f"tritonserver did not load its models within {timeout_s:g} s; raise "
                    f"{LOAD_TIMEOUT} if they need longer{last_words(self.log)}"
                )
            time.sleep(_POLL_S)

    def last_error(self) -> str:
        """The last line that the server logged as an error, or its last line."""
        if not self.is_running():
            self._writer.wait(_WRITER_TIMEOUT_S)
        lines = lines_of(self.log)
        errors = [line for line in lines if line.startswith(("E", "error", "Error"))]
        return (errors or lines or ["it logged nothing"])[-1]

    def is_running(self) -> bool:
        """Whether the process lives."""
        return not self.process.has_ended()

    def stop(self) -> None:
        """End the server and every process it started, within five seconds.

        Requests that it has taken are answered. Triton ends stubs only after that, and looks once a
        second whether they have ended; nothing is lost where it is killed once they have.
        """
        self.remains.note()
        had_stubs = self.remains.has_living()
        self.process.send(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        while not self.process.wait(_POLL_S) and time.monotonic() < deadline:
            if had_stubs and not self.remains.has_living():
                break
        self.kill()

    def kill(self) -> None:
        """End the server and every process it started at once, whatever it is doing."""
        self.remains.note()
        self.process.kill()
        self.remains.remove()
        self._writer.wait(_WRITER_TIMEOUT_S)
        self._writer.kill()


@contextmanager
def private_server(
    runtime: Runtime, repository: Repository, models: Sequence[str] = (), *, alongside: bool = False
) -> Iterator[Server]:
    """A server on free loopback ports, killed at the end of the block: nobody else asks it.

    Raises `TrimaranError` if the repository is served already; `alongside` allows the other server
    allowed. A model that does not load in time ends the block with the end of the server's log.
    """
    sole = nullcontext() if alongside else sole_server(repository)
    log = repository.state / f"private{'-alongside' * alongside}.log"
    with sole:
        server = Server.start(runtime, repository, models, free_ports(), log)
        try:
            server.wait_until_started()
            yield server
        finally:
            server.kill()


def _regions(runtime: Runtime, repository: Repository, models: Sequence[str]) -> Regions:
    """The stubs' shared memory, for `models`, or for all models that may be loaded later."""
    configs = []
    for name in models or filter(repository.versions, repository.names()):
        with suppress(TrimaranError):  # an unreadable one is reported where it is loaded
            configs.append(repository.live(name) or checked_config(repository, name))
    stubs = stubs_of(configs, runtime.stub_backends)
    return plan_regions(free_bytes(), stubs, certain=bool(models))


def _arguments(
    runtime: Runtime, repository: Repository, ports: Ports, regions: Regions
) -> list[str]:
    arguments = [
        "--model-repository=.",
        "--model-control-mode=explicit",
        f"--model-config-name={EMBEDDED_CONFIG_NAME if runtime.embedded else LIVE_CONFIG_NAME}",
        "--exit-on-error=false",
        f"--exit-timeout-secs={_EXIT_TIMEOUT_S}",
        *runtime.arguments,
    ]
    # Completing a configuration costs each Python model another process and a second.
    if all_complete(repository):
        arguments.append("--disable-auto-complete-config")
    for name in ("http", "grpc", "metrics"):
        arguments += [f"--{name}-address={ports.host}", f"--{name}-port={getattr(ports, name)}"]
    for backend in runtime.stub_backends:
        arguments += [
            f"--backend-config={backend},shm-default-byte-size={regions.initial}",
            f"--backend-config={backend},shm-growth-byte-size={regions.growth}",
        ]
    return arguments


def all_complete(repository: Repository) -> bool:
    """Whether no configuration leaves anything for Triton to complete from the model."""
    for name in repository.names():
        try:
            config = checked_config(repository, name)
        except TrimaranError:
            return False
        if not is_complete(config):
            return False
    return True


def _log_writer(log: Path, output: BinaryIO) -> Child:
    """The process that writes the log, and drops its oldest part where it grows too long."""
    log.with_name(f"{log.name}.1").unlink(missing_ok=True)
    script, path = bounded_log.__file__, str(log.resolve())
    command = [sys.executable, "-I", "-S", script, path, str(_LOG_BYTES)]
    return Child(command, stdin=PIPE, stdout=output, ends_with_parent=False)
