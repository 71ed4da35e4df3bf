"""Several servers behind one address, one of which is killed."""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.gateway.door import RECORD, Door
from tests.running import Served, start_serving, wait_for
from trimaran.repository.repository import Repository

PREDICT = "/models/churn/predict"


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


def ask_many(door: Door, requests: int) -> Counter[int]:
    headers = door.bearer("infer:churn")
    return Counter(
        door.ask("POST", PREDICT, record=RECORD, headers=headers).status for _ in range(requests)
    )


@pytest.mark.long
@pytest.mark.parametrize("total", [100_000])
def test_a_server_that_is_killed_fails_no_request_and_is_taken_back(
    before_three: Door, three: list[Served], total: int
) -> None:
    clients = 8
    victim = three[1]
    name = f"s{victim.ports.http}"
    pid = server_pid(victim)
    with ThreadPoolExecutor(clients) as executor:
        asked = [executor.submit(ask_many, before_three, total // clients) for _ in range(clients)]
        wait_for(lambda: answered_by(before_three, victim), 30, "an answer of the victim")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: before_three.said(f"server {name} gets no requests"), 30, "its exclusion")
        wait_for(lambda: before_three.said(f"server {name} is ready again"), 120, "its return")
        found = sum((each.result() for each in asked), Counter[int]())
    assert server_pid(victim) != pid
    assert found == {200: total}
    since = len(audit_lines(before_three))
    ask_many(before_three, 300)
    wait_for(lambda: answered_by(before_three, victim, since), 30, "an answer after its return")


def server_pid(server: Served) -> int:
    """The process of its `tritonserver`."""
    from trimaran.repository.presence import find_server

    found = find_server(server.repository)
    assert found is not None
    return found.server_pid


def audit_lines(door: Door) -> list[str]:
    return (door.state / "audit.log").read_text().splitlines()


def answered_by(door: Door, server: Served, since: int = 0) -> bool:
    return any(
        f'"server":"127.0.0.1:{server.ports.http}"' in line for line in audit_lines(door)[since:]
    )
