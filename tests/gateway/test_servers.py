"""Several servers behind one address, one of which is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from loadtests.generator.engine import closed_loop
from loadtests.generator.http1 import Http1, http_request
from loadtests.generator.traffic import Tls, Traffic
from tests.gateway.door import RECORD, Door
from tests.running import Served, start_serving, wait_for
from trimaran.gateway.health import Health, State
from trimaran.gateway.offered import Offered
from trimaran.gateway.settings import ServerAddress
from trimaran.gateway.trying import Trying
from trimaran.repository.presence import find_server
from trimaran.repository.repository import Repository
from trimaran.system.errors import TrimaranError
from trimaran.system.ports import free_ports

PREDICT = "/models/churn/predict"
REQUESTS = 100_000


@pytest.fixture(scope="module")
def three(churn_trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Served]]:
    """Three servers, each of a repository of its own."""
    servers = []
    for name in ("a", "b", "c"):
        root = tmp_path_factory.mktemp(name) / "model_repository"
        shutil.copytree(churn_trained / "model_repository", root)
        servers.append(start_serving(Repository.open(root), "--model", "churn"))
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def before_three(three: list[Served], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A gateway in front of them."""
    door = Door(
        three[0].repository,
        tmp_path_factory.mktemp("gateway") / "gateway.toml",
        "[limits]\nrequests_per_second = 1000000\n" + "".join(map(listed, three)),
    )
    door.until_said("Press Ctrl-C to stop", 60)
    yield door
    door.stop()


def listed(server: Served) -> str:
    ports = server.ports
    return (
        f'[[servers]]\nname = "s{ports.http}"\nhttp = "127.0.0.1:{ports.http}"\n'
        f'grpc = "127.0.0.1:{ports.grpc}"\n'
    )


@pytest.mark.long
def test_a_server_that_is_killed_fails_no_request_and_is_taken_back(
    before_three: Door, three: list[Served]
) -> None:
    victim = three[1]
    name = f"s{victim.ports.http}"
    pid = server_pid(victim)
    with ThreadPoolExecutor(1) as executor:
        asking = executor.submit(ask_many, before_three)
        wait_for(lambda: answered_by(before_three, victim), 30, "an answer of the victim")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: before_three.said(f"server {name} gets no requests"), 30, "its exclusion")
        wait_for(lambda: before_three.said(f"server {name} is ready again"), 120, "its return")
        since = len(audit_lines(before_three))
        good, failed = asking.result()
    assert server_pid(victim) != pid
    assert failed == 0
    assert good >= REQUESTS
    assert answered_by(before_three, victim, since)


def ask_many(door: Door) -> tuple[int, int]:
    """Requests that were answered well, and others, of sixteen clients that ask all the time."""
    headers = door.bearer("infer:churn")
    body = json.dumps(dict(RECORD)).encode()
    request = http_request(door.address, PREDICT, body, headers)
    context = ssl.create_default_context(cafile=str(door.certificate))
    tls = Tls(context, "localhost", "http/1.1")
    traffic = Traffic(("127.0.0.1", door.port), Http1, [request], tls)
    good = failed = 0
    while good + failed < REQUESTS:
        outcome = closed_loop(traffic, connections=16, seconds=5.0)
        good += int(outcome.good.sum())
        failed += int((~outcome.good).sum())
    return good, failed


def server_pid(server: Served) -> int:
    """The process of its `tritonserver`."""
    found = find_server(server.repository)
    assert found is not None
    return found.server_pid


def audit_lines(door: Door) -> list[str]:
    return (door.state / "audit.log").read_text().split("\n")[:-1]


def answered_by(door: Door, server: Served, since: int = 0) -> bool:
    return any(
        f'"server":"127.0.0.1:{server.ports.http}"' in line for line in audit_lines(door)[since:]
    )


def test_what_cannot_be_followed_at_once_is_followed_later(tmp_path: Path) -> None:
    ports = free_ports()
    absent = ServerAddress("absent", (ports.host, ports.http), (ports.host, ports.grpc))
    servers: dict[ServerAddress, list[Offered]] = {}
    failures = iter((TrimaranError("Envoy ended"), OSError("the disk is full")))
    told: list[Mapping[str, State]] = []

    def changed(_: Mapping[str, State], states: Mapping[str, State]) -> None:
        told.append(states)
        if failure := next(failures, None):
            raise failure

    with Health(lambda: servers, changed, Trying(tmp_path)):
        servers[absent] = []
        wait_for(lambda: len(told) == 3, 30, "a third try")
    assert told[0]["absent"].problem
    assert told[0] == told[1] == told[2]
