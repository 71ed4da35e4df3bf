"""Processes killed under load: stubs, deployments, `tritonserver`, and `trimaran serve` itself.

Each function yields a line for each kill, from the number `first` on.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any

from proofs.reliability.load import REFUSED, TIMED_OUT, Good, Load, read_good
from proofs.reliability.service import TRIMARAN, Service, until
from trimaran.repository.live import live_versions
from trimaran.repository.repository import Repository
from trimaran.serving.settling import CANDIDATE
from trimaran.serving.stub_processes import Stub
from trimaran.system.errors import TrimaranError
from trimaran.system.processes import start_time, still_runs

__all__ = ["STAGES", "kill_deployments", "kill_servers", "kill_stubs", "stage_of"]

MODELS = ("churn", "churn_record", "image_classifier")
"""What the good requests ask."""

_LONGEST_S = 60.0
_SETTLED_S = 15.0
_SERVERS_TIMEOUT_S = 5.0
_OF_SERVE = 4
"""Every fourth kill is of `trimaran serve`, so that no five of tritonserver fall in a minute."""

_COUNTED = {
    "deaths": "trimaran_stub_deaths_total",
    "restarted": "trimaran_server_restarts_total",
}
"""The supervisor's counters by what a line calls them."""

STAGES = (
    "starting",
    "loading the steps",
    "trying the candidate",
    "switching",
    "dropping old versions",
)
"""Where a deployment can be, by what it said last."""

_LONGEST_PAUSES_S = {
    "starting": 1.5,
    "loading the steps": 0.15,
    "trying the candidate": 0.4,
    "switching": 0.04,
    "dropping old versions": 0.1,
}
"""How long after the begin of a stage a kill may come: about as long as the stage is."""

_OF_A_VERSION = ("starting", "trying the candidate", "switching")

_SAID = {
    "loading the steps": "loading the steps",
    "golden requests": "trying the candidate",
    "switching to": "switching",
    "dropping old": "dropping old versions",
}


def _rng(part: str, number: int) -> Random:
    return Random(f"{part} {number}")  # noqa: S311 - repeatable, not secret


def _goods(repository: Repository) -> list[Good]:
    return [read_good(repository, model) for model in MODELS]


def kill_stubs(repository: Repository, first: int, count: int) -> Iterator[dict[str, Any]]:
    """Kill a stub, wait until it is healed, and until no request fails."""
    with Service(repository) as service, Load(service.endpoint, _goods(repository)) as load:
        until(load.is_calm, _LONGEST_S)
        begin, before = service.facts().record(), service.counters()
        for number in range(first, count):
            server, offset, killed = service.server_pid, service.log_size, time.monotonic()
            stub = _killed_stub(service, _rng("stubs", number))
            line: dict[str, Any] = {"number": number, "model": stub.model, "before": begin}
            is_healed = partial(_is_healed, service, stub.model, offset, server)
            line["healed"] = until(is_healed, _LONGEST_S)
            line["heal_s"] = round(time.monotonic() - killed, 3)
            line["calm"] = until(load.is_calm, _LONGEST_S)
            line["after"] = service.facts().record()
            until(service.counters, _LONGEST_S)
            after = service.counters()
            for name, counter in _COUNTED.items():
                line[name] = int(after.get(counter, 0) - before.get(counter, 0))
            before = after
            line.update(load.answers.since(killed).summary())
            yield line


def _killed_stub(service: Service, rng: Random) -> Stub:
    """Kill one of the stubs that answer; one that is ended meanwhile is not the one."""
    while True:
        until(service.stubs, _LONGEST_S)
        # One that a heal has replaced lives on for a while.
        started = sorted(service.stubs(), key=lambda stub: int(start_time(stub.pid) or 0))
        newest = {(stub.model, stub.version, stub.instance): stub for stub in started}
        if not newest:
            continue
        stub = rng.choice(list(newest.values()))
        with suppress(ProcessLookupError):
            os.kill(stub.pid, signal.SIGKILL)
            return stub


def _is_healed(service: Service, model: str, offset: int, server: int) -> bool:
    """Whether a model was healed, or another server took the place of the one that had it."""
    return f"{model}: healed in" in service.said(offset) or service.server_pid not in (0, server)


def stage_of(said: list[str]) -> str:
    """The stage of a deployment that printed these lines."""
    found = STAGES[0]
    for line in said:
        found = next((stage for words, stage in _SAID.items() if words in line), found)
    return found


def kill_deployments(repository: Repository, first: int, count: int) -> Iterator[dict[str, Any]]:
    """Kill `trimaran deploy`, look what is live, and deploy again.

    Every third one is of a model's version, which is tried in a private server; the others are of
    an ensemble's release. A kill after the end counts for nothing, and is repeated.
    """
    with Service(repository) as service, Load(service.endpoint, _goods(repository)) as load:
        until(load.is_calm, _LONGEST_S)
        for number in range(first, count):
            rng = _rng("deployments", number)
            model = "churn_record" if number % 3 == 2 else "churn"
            late = 0
            began = time.monotonic()
            while (stage := _killed_deployment(repository, service, model, rng)) is None:
                late += 1
            killed = time.monotonic()
            line: dict[str, Any] = {"number": number, "model": model, "stage": stage, "late": late}
            line["same_at_once"] = _is_settled(repository, service)
            line["settled"] = until(lambda: _is_settled(repository, service), _SETTLED_S)
            line["settled_s"] = round(time.monotonic() - killed, 2)
            line["next"] = _deployed(repository, _other(repository, model, rng), model) == 0
            line["same_after_next"] = _is_settled(repository, service)
            line["left"] = _left(repository, service)
            line.update(load.answers.since(began).summary())
            yield line


def _other(repository: Repository, model: str, rng: Random) -> int:
    """A release or version other than the live one."""
    live = live_versions(repository.live(model))
    numbers = [version.number for version in repository.versions(model)]
    return rng.choice([number for number in numbers if (number,) != live])


def _command(repository: Repository, number: int, model: str) -> list[str]:
    words = ["deploy", model, f"--release={number}", "--repository", str(repository.root)]
    return [*TRIMARAN, *words]


def _deployed(repository: Repository, number: int, model: str) -> int:
    command = _command(repository, number, model)
    return subprocess.run(command, capture_output=True, timeout=300).returncode


def _killed_deployment(
    repository: Repository, service: Service, model: str, rng: Random
) -> str | None:
    """The stage in which the kill fell, or `None` where the deployment had ended before.

    The moment is drawn within a stage, and the stage is drawn before: most of a deployment's time
    is its start, and the shortest stage has the most to lose.
    """
    command = _command(repository, _other(repository, model, rng), model)
    wanted = rng.choice(STAGES if model == "churn" else _OF_A_VERSION)
    pause_s = rng.uniform(0.0, _LONGEST_PAUSES_S[wanted])
    said: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    ) as process:
        reader = Thread(target=lambda: said.extend(process.stdout or ()), daemon=True)
        reader.start()
        until(lambda: process.poll() is not None or stage_of(said) == wanted, _LONGEST_S)
        time.sleep(pause_s)
        process.kill()
        process.wait()
        reader.join()
    return stage_of(said) if process.returncode == -signal.SIGKILL else None


def _is_settled(repository: Repository, service: Service) -> bool:
    """Whether each live configuration on disk is what is served."""
    try:
        states = service.control.index()
        for model in repository.names():
            live = {*live_versions(repository.live(model))}
            ready = {int(s.version) for s in states if s.name == model and s.state == "READY"}
            if live and live != ready:
                return False
    except TrimaranError:
        return False
    return True


def _left(repository: Repository, service: Service) -> list[str]:
    """What killed deployments left: temporary files, candidates, private servers."""
    left = [str(path.relative_to(repository.root)) for path in repository.root.rglob(".*.pbtxt.*")]
    for model in repository.names():
        with suppress(TrimaranError):
            if service.control.statistics(f"{model}{CANDIDATE}"):
                left.append(f"{model}{CANDIDATE}")
    return [*left, *(f"tritonserver {pid}" for pid in _private_servers(repository, service))]


def _private_servers(repository: Repository, service: Service) -> list[int]:
    """Other tritonservers on this repository; one that was abandoned needs a moment to end."""
    own = service.server_pid

    def others() -> list[int]:
        return [pid for pid in _servers_on(repository.root) if pid != own]

    until(lambda: not others(), _SETTLED_S)
    return others()


def _servers_on(root: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                program = (entry / "cmdline").read_bytes().split(b"\0")[0]
                if program.endswith(b"tritonserver") and (entry / "cwd").readlink() == root:
                    found.append(int(entry.name))
    return found


def kill_servers(repository: Repository, first: int, count: int) -> Iterator[dict[str, Any]]:
    """Kill tritonserver, and every fourth time `trimaran serve`, which is started at once."""
    goods = _goods(repository)
    with (
        Service(repository) as service,
        Load(service.endpoint, goods, timeout_s=_SERVERS_TIMEOUT_S) as load,
    ):
        for number in range(first, count):
            until(load.is_calm, _LONGEST_S)
            server, stubs = service.server_pid, [stub.pid for stub in service.stubs()]
            started = {pid: at for pid in (server, *stubs) if (at := start_time(pid))}
            of_serve = number % _OF_SERVE == _OF_SERVE - 1
            killed = time.monotonic()
            if of_serve:
                os.kill(service.process.pid, signal.SIGKILL)
                service.process.kill()
                service.start()
            else:
                os.kill(server, signal.SIGKILL)
            answered = until(partial(_answers_again, load, killed, len(goods)), _LONGEST_S)
            line: dict[str, Any] = {
                "number": number,
                "process": "trimaran serve" if of_serve else "tritonserver",
                "answered": answered,
                "answered_s": round(time.monotonic() - killed, 2),
            }
            until(load.is_calm, _LONGEST_S)
            until(partial(_are_gone, started), _SETTLED_S)
            line["left"] = [pid for pid, at in started.items() if still_runs(pid, at)]
            line.update(load.answers.since(killed).summary())
            problems = Counter(line["problems"])
            line["refused"], line["timed_out"] = problems[REFUSED], problems[TIMED_OUT]
            yield line


def _are_gone(started: Mapping[int, str]) -> bool:
    return not any(still_runs(pid, at) for pid, at in started.items())


def _answers_again(load: Load, killed: float, goods: int) -> bool:
    """Whether both protocols answered a request that began after the last failure."""
    since = load.answers.since(killed)
    last = max((each.ended for each in since.failures), default=None)
    if last is None:
        return False
    after = [each for each in since.all if each.began > last and not each.problem]
    return {each.protocol for each in after} == {"http", "grpc"} and len(after) >= 2 * goods
