"""Thousands of bad requests through the gateway: nothing behind it ends, and nothing is left."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from loadtests.payloads import choose_rows
from proofs.reliability.fuzz import leaks
from proofs.reliability.grpc_requests import draw_grpc
from proofs.reliability.http_requests import KNOWN_CRASHES, HttpRequest, Subject, draw_http
from proofs.reliability.service import Facts
from tests.gateway.door import RECORD, Door
from tests.gateway.test_scopes import metadata, raw_calls
from tests.running import Served, wait_for
from trimaran.repository.presence import find_server
from trimaran.repository.repository import Repository
from trimaran.serving.json_rows import row_of
from trimaran.serving.stub_processes import identify_stub
from trimaran.system.processes import children, resident_bytes

SCOPES = ("infer:*", "metadata")
MAY_WAIT = ("cut off", "chunks", "methods, paths and headers")
"""Where the gateway may rightly wait for more."""
PATIENCE_S = 0.3
CRASHES_EACH = 250
"""How many requests there are for each that is known to end Triton."""
MOST_GROWTH_MB = 24
"""Of a process from one half of the requests to the other: what allocators keep for themselves."""
NOT_IMPLEMENTED = 501
"""Envoy's answer to transfer codings other than chunked."""


@dataclass(frozen=True)
class Held:
    """The processes behind the gateway, and what they and it hold."""

    processes: frozenset[int]
    server: Facts
    descriptors: int
    megabytes: tuple[int, ...]
    """Of the server, of its stubs together, and of the processes of the gateway."""

    @classmethod
    def now(cls, door: Door) -> Held:
        found = find_server(door.repository)
        assert found is not None
        stubs = {each for each in children(found.server_pid) if identify_stub(each) is not None}
        gateway = [door.process.pid, *children(door.process.pid)]
        facts = Facts.of(found.server_pid)
        return cls(
            frozenset({found.server_pid, *stubs, *gateway}),
            facts,
            sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in gateway),
            (
                facts.resident_mb,
                facts.stubs_mb,
                *(resident_bytes(pid) // 2**20 for pid in gateway),
            ),
        )


def subjects_of(repository: Repository) -> tuple[Subject, ...]:
    """A good row of each model that clients may ask."""
    feedback = repository.config("churn_feedback")
    rows = {"churn_feedback": row_of(feedback, {"id": "c-1", "outcome": True}, "an outcome")}
    for model in ("churn", "churn_record"):
        config = repository.config(model)
        rows[model] = choose_rows(config, count=1, seed=0, repository=repository).rows[0]
    return tuple(Subject(model, row) for model, row in rows.items())


def over_http(door: Door, request: HttpRequest, token: str) -> tuple[str, bytes]:
    """The status of the answer, or that there was none, and the answer's body."""
    context = ssl.create_default_context(cafile=str(door.certificate))
    authorized = f"\r\nAuthorization: Bearer {token}\r\n".encode()
    content = request.content.replace(b"\r\n", authorized, 1)
    try:
        with (
            socket.create_connection(("localhost", door.port), timeout=30) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            if request.kind in MAY_WAIT:
                connection.settimeout(PATIENCE_S)
            connection.sendall(content)
            method = content.partition(b" ")[0].decode("latin-1")
            response = http.client.HTTPResponse(connection, method=method)
            response.begin()
            return str(response.status), response.read()
    except TimeoutError:
        return "waits" if request.kind in MAY_WAIT else "no answer", b""
    except (OSError, http.client.HTTPException):
        return "closed", b""


def sender(door: Door) -> Callable[[int], tuple[str, str, bytes]]:
    """What sends the bad request of a number, and gives its kind, status and answer."""
    subjects = subjects_of(door.repository)
    token = door.token(*SCOPES)
    sent_with = metadata(door, *SCOPES)
    channel = raw_calls(door)

    def send(number: int) -> tuple[str, str, bytes]:
        half, is_call = divmod(number, 2)
        if number % CRASHES_EACH == 0:
            name, made = list(KNOWN_CRASHES.items())[number // CRASHES_EACH % len(KNOWN_CRASHES)]
            return name, *over_http(door, HttpRequest(name, "churn", made(subjects[1])), token)
        if not is_call:
            request = draw_http(half, subjects)
            return request.kind, *over_http(door, request, token)
        call = draw_grpc(half, subjects)
        try:
            answer = channel.unary_unary(call.method)(call.message, metadata=sent_with, timeout=30)
            return call.kind, "OK", answer
        except grpc.RpcError as error:
            return call.kind, error.code().name, (error.details() or "").encode()

    return send


def halves_of(door: Door, count: int) -> tuple[Held, Held, Held]:
    """Send the first `count` bad requests; what is held before, after one half, and at the end."""
    send = sender(door)
    held = [Held.now(door)]
    found: Counter[tuple[str, str]] = Counter()
    bad: list[tuple[int, str, str, bytes]] = []
    with ThreadPoolExecutor(4) as pool:
        for numbers in (range(count // 2), range(count // 2, count)):
            for number, (kind, status, answer) in zip(
                numbers, pool.map(send, numbers), strict=True
            ):
                found[kind, status] += 1
                failed = status in ("no answer", "UNAVAILABLE", "DEADLINE_EXCEEDED")
                failed |= status.startswith("5") and int(status) != NOT_IMPLEMENTED
                # A refusal may repeat a long name of the request.
                told = status not in ("200", "OK") and leaks(answer[:1000], door.repository.root)
                if failed or told:
                    bad.append((number, kind, status, answer[:300]))
            held.append(Held.now(door))
    assert not bad, (bad[:20], found)
    before, first, second = held
    assert before.processes == first.processes == second.processes
    assert second.server.zombies == 0
    assert door.ask("POST", "/models/churn/predict", *SCOPES, record=RECORD).status == 200
    return before, first, second


def test_bad_requests_end_nothing(door: Door, churn_served: Served) -> None:
    halves_of(door, 300)
    assert churn_served.process.poll() is None


@pytest.mark.long
def test_ten_thousand_bad_requests_leave_nothing(door: Door, churn_served: Served) -> None:
    before, first, second = halves_of(door, 10_000)
    growth = [late - early for early, late in zip(first.megabytes, second.megabytes, strict=True)]
    assert max(growth) <= MOST_GROWTH_MB, (before, first, second)
    assert second.server.regions <= before.server.regions
    # Those to Triton are kept for half a minute.
    wait_for(
        lambda: Held.now(door).descriptors <= before.descriptors + 8, 60, "the end of connections"
    )
