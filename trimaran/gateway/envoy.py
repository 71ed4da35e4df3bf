"""A running Envoy: judged before it starts, told of changes, and asked what it took over."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from betterproto2 import Message
from envoy_data_plane.envoy.service.discovery.v3 import DiscoveryResponse

from trimaran.gateway.messages import JWT, json_text
from trimaran.system.errors import TrimaranError
from trimaran.system.files import write_text
from trimaran.system.processes import STDOUT, Child

__all__ = ["Envoy", "judge", "running"]

_OWNER_ONLY = 0o600
_START_S = 30.0
_TAKEN_S = 15.0
_DRAIN_S = 10.0
_END_S = 5.0
_POLL_S = 0.05
_JUDGE_S = 60.0
_VERSIONS = {
    "clusters": "cluster_manager.cds.version_text",
    "tokens": f"extension_config_discovery.http_filter.{JWT}.version_text",
    "routes": "http.gateway.rds.routes.version_text",
    "listeners": "listener_manager.lds.version_text",
}
"""Envoy's name for the version of each file that it took over last."""


def judge(program: Path, whole: Message, folder: Path) -> None:
    """Have Envoy check a whole configuration. Raises `TrimaranError` with its reason."""
    path = folder / "judged.json"
    write_text(path, json_text(whole), _OWNER_ONLY)
    try:
        result = subprocess.run(
            [str(program), "--mode", "validate", "-l", "error", "-c", str(path)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_JUDGE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TrimaranError(f"{program} cannot be run: {error}") from None
    finally:
        path.unlink(missing_ok=True)
    if result.returncode != 0:
        said = (result.stderr or result.stdout).strip().splitlines() or ["nothing"]
        raise TrimaranError(f"Envoy refuses the configuration: {said[-1].strip()}")


class Envoy:
    """A running Envoy, its files, and its admin interface at a Unix socket."""

    def __init__(self, process: Child, admin: Path, place: Callable[[str], Path]) -> None:
        self.process = process
        self._admin = admin
        self._place = place

    def ask(self, method: str, path: str) -> str:
        """What the admin interface answers. Raises `TrimaranError` where it does not."""
        connection = _UnixConnection(self._admin)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise TrimaranError(f"Envoy does not answer {path}: {error}") from None
        finally:
            connection.close()

    def tell(self, files: Mapping[str, DiscoveryResponse]) -> None:
        """Replace the files that changed, one after another, each once Envoy took it over.

        Raises `TrimaranError` where it does not.
        """
        for name, content in files.items():
            if write_changed(self._place(name), content) and name in _VERSIONS:
                self.wait_until_taken(name, content)

    def wait_until_taken(self, name: str, content: DiscoveryResponse) -> None:
        """Wait until Envoy took over a file. Raises `TrimaranError` where it does not."""
        deadline = time.monotonic() + _TAKEN_S
        while self._taken(name) != content.version_info:
            if self.process.has_ended():
                raise TrimaranError("Envoy ended")
            if time.monotonic() > deadline:
                raise TrimaranError(f"Envoy did not take over its new {name}; its log says why")
            time.sleep(_POLL_S)

    def _taken(self, name: str) -> str:
        stat = _VERSIONS[name]
        answer = self.ask("GET", f"/stats?format=json&type=TextReadouts&filter={re.escape(stat)}")
        try:
            return next(
                (str(each["value"]) for each in json.loads(answer)["stats"] if "value" in each), ""
            )
        except (ValueError, KeyError, TypeError):
            return ""

    def is_ready(self) -> bool:
        """Whether Envoy listens."""
        try:
            return self.ask("GET", "/ready").strip() == "LIVE"
        except TrimaranError:
            return False

    def drain(self) -> None:
        """Take no new connections, and wait until what runs is answered, at most for a while."""
        try:
            self.ask("POST", "/drain_listeners?graceful&skip_exit")
            deadline = time.monotonic() + _DRAIN_S
            while time.monotonic() < deadline and self._active():
                time.sleep(_POLL_S)
        except TrimaranError:
            return

    def _active(self) -> int:
        answer = self.ask("GET", "/stats?filter=^http.gateway.downstream_rq_active$")
        return int(answer.rpartition(":")[2] or 0)


def write_changed(path: Path, content: Message) -> bool:
    """Replace a file whose content is another; whether it was."""
    text = json_text(content)
    try:
        if path.read_text(encoding="utf-8") == text:
            return False
    except OSError:
        pass
    write_text(path, text, _OWNER_ONLY)
    return True


@contextmanager
def running(
    program: Path,
    bootstrap: Message,
    files: Mapping[str, DiscoveryResponse],
    admin: Path,
    place: Callable[[str], Path],
    log: Path,
) -> Iterator[Envoy]:
    """Run an Envoy during the block, which begins when it listens. Raises `TrimaranError`."""
    for name, content in files.items():
        write_changed(place(name), content)
    started = place("bootstrap")
    write_changed(started, bootstrap)
    command = [str(program), "-c", str(started), "-l", "warn", "--disable-hot-restart"]
    command += ["--concurrency", str(max(1, len(os.sched_getaffinity(0)) // 2))]
    command += [
        "--file-flush-interval-msec",
        "250",
        "--drain-time-s",
        "30",
        "--drain-strategy",
        "immediate",
    ]
    with log.open("wb") as output:
        process = Child(command, stdout=output, stderr=STDOUT)
    envoy = Envoy(process, admin, place)
    try:
        deadline = time.monotonic() + _START_S
        while not envoy.is_ready():
            if process.has_ended() or time.monotonic() > deadline:
                said = _why(log.read_text(errors="replace"))
                raise TrimaranError(f"Envoy did not start: {said}; its log is {log}")
            time.sleep(_POLL_S)
        for name, content in files.items():
            if name in _VERSIONS:
                envoy.wait_until_taken(name, content)
        yield envoy
        envoy.drain()
    finally:
        process.end(within_s=_END_S)


def _why(text: str) -> str:
    """The first line of a log that says why Envoy ended, or the last line; without its source."""
    lines = text.strip().splitlines() or ["nothing"]
    line = next((each for each in lines if "[critical]" in each), lines[-1])
    return re.sub(r"^(\[[^]]*\] ?)+", "", line).strip()


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=5.0)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
