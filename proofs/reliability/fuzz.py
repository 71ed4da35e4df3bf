"""Bad requests beside good ones: what they are answered, and whether anybody else notices."""

from __future__ import annotations

import http.client
import re
import socket
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from loadtests.payloads import Row, choose_rows
from proofs.reliability.grpc_requests import draw_grpc
from proofs.reliability.http_requests import KNOWN_CRASHES, HttpRequest, Subject, draw_http
from proofs.reliability.load import (
    CUT,
    REFUSED,
    TIMED_OUT,
    Load,
    call_grpc,
    open_channel,
    problem_of,
    read_good,
)
from proofs.reliability.service import Service, until
from trimaran.repository.repository import Repository
from trimaran.serving.json_rows import row_of
from trimaran.system.endpoint import Endpoint
from trimaran.system.ports import Ports

__all__ = ["MODELS", "describe", "fuzz_grpc", "fuzz_http", "leaks", "send_http", "subjects_of"]

MODELS = (
    "churn",
    "churn_record",
    "churn_feedback",
    "churn_features",
    "churn_onnx",
    "image_classifier",
    "image_preprocess",
    "image_labels",
)
"""What bad requests ask: the ensembles, and each step of them that answers small requests."""

GOOD_MODELS = ("churn", "churn_record", "image_classifier")

_BATCH = 100
_SENDERS = 4
_TIMEOUT_S = 30.0
_PATIENCE_S = 2.0
"""How long to wait where the server may rightly wait for more."""
_MAY_WAIT = ("cut off", "chunks", "methods, paths and headers")
_CALM_S = 60.0
_DEATH_SHOWS_S = 10.0
_ENDED = "ended by itself"
_KNOWN_IN_A_ROW = 3
"""Of five ends in a minute `trimaran serve` ends as well."""
_MOST_ANSWER = 2**16
_MOST_SHOWN = 4000
_GOOD = ("200", "OK")
_SURPRISED = b"failed on this request ("
"""What a model says of a request that raised something that nobody foresaw."""
_INSIDE = re.compile(rb"Traceback|\.py\b|/site-packages/|/proc/")
"""What no answer may say about the server's inside."""


@dataclass(frozen=True)
class _Sent:
    number: int
    kind: str
    model: str
    status: str
    took_s: float
    answer: bytes


def subjects_of(repository: Repository) -> tuple[Subject, ...]:
    """A good row of each model."""
    subjects = []
    for model in MODELS:
        config = repository.config(model)
        row: Row
        if model == "churn_feedback":
            row = row_of(config, {"id": "c-1", "outcome": True}, "an outcome")
        else:
            row = choose_rows(config, count=1, seed=0, repository=repository).rows[0]
        subjects.append(Subject(model, row))
    return tuple(subjects)


def leaks(answer: bytes, root: Path) -> bool:
    """Whether a refusal says where the server's files are, or is longer than a person reads."""
    inside = bytes(root) in answer or _INSIDE.search(answer) is not None
    return inside or len(answer) > _MOST_ANSWER


def send_http(ports: Ports, request: HttpRequest) -> tuple[str, bytes]:
    """The status of an answer, or what came instead, and the answer's body."""
    timeout_s = _PATIENCE_S if request.kind in _MAY_WAIT else _TIMEOUT_S
    try:
        with socket.create_connection((ports.host, ports.http), timeout=timeout_s) as connection:
            connection.sendall(request.content)
            if request.cut:
                connection.shutdown(socket.SHUT_WR)
            method = request.content.partition(b" ")[0].decode("latin-1")
            response = http.client.HTTPResponse(connection, method=method)
            try:
                response.begin()
                return str(response.status), response.read(4 * _MOST_ANSWER)
            finally:
                response.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        problem = problem_of(error)
        if problem == TIMED_OUT and request.kind in _MAY_WAIT:
            return "waits for more", b""
        return problem if problem in (REFUSED, TIMED_OUT) else CUT, b""


def fuzz_http(repository: Repository, first: int, count: int) -> Iterator[dict[str, Any]]:
    """Lines of a hundred requests each; the first one is of the crashes that are known."""
    subjects = subjects_of(repository)
    if not first:
        yield _known_crashes(repository, subjects[MODELS.index("churn_record")])

    def send(ports: Ports, number: int) -> _Sent:
        request, began = draw_http(number, subjects), time.monotonic()
        status, body = send_http(ports, request)
        took_s = time.monotonic() - began
        return _Sent(number, request.kind, request.model, status, took_s, body)

    yield from _batches(repository, first, count, send)


def fuzz_grpc(repository: Repository, first: int, count: int) -> Iterator[dict[str, Any]]:
    """Lines of a hundred calls each."""
    subjects = subjects_of(repository)

    def send(ports: Ports, number: int) -> _Sent:
        call, began = draw_grpc(number, subjects), time.monotonic()
        with open_channel(Endpoint.of(ports)) as channel:
            status, answer = call_grpc(channel, call.method, call.message, _TIMEOUT_S)
        took_s = time.monotonic() - began
        return _Sent(number, call.kind, call.model, status, took_s, answer)

    yield from _batches(repository, first, count, send)


def _batches(
    repository: Repository, first: int, count: int, send: Callable[[Ports, int], _Sent]
) -> Iterator[dict[str, Any]]:
    goods = [read_good(repository, model) for model in GOOD_MODELS]
    with (
        Service(repository, "--log-predictions") as service,
        Load(service.endpoint, goods) as load,
        ThreadPoolExecutor(_SENDERS) as pool,
    ):
        until(load.is_calm, _CALM_S)
        began = time.monotonic()
        for start in range(first, count, _BATCH):
            numbers = range(start, min(start + _BATCH, count))
            before, offset = service.counters(), service.log_size
            sent = list(pool.map(lambda number: send(service.ports, number), numbers))
            ended = service.said(offset).count(_ENDED)
            if ended or service.process.has_ended() or not service.server_pid:
                _wait_for_server(service, load)
            deaths, ended_at = "trimaran_stub_deaths_total", time.monotonic()
            yield {
                "first": start,
                **_counted(sent, repository.root),
                "crashes": ended,
                "suspects": [each.number for each in sent if each.status == CUT] if ended else [],
                "stubs_died": int(service.counters().get(deaths, 0) - before.get(deaths, 0)),
                **load.answers.since(began, ended_at).summary(),
            }
            began = ended_at


def _wait_for_server(service: Service, load: Load) -> None:
    until(lambda: service.server_pid or service.process.has_ended(), _CALM_S)
    if service.process.has_ended():
        service.process.kill()
        service.start()
    until(load.is_calm, _CALM_S)


def _counted(sent: list[_Sent], root: Path) -> dict[str, Any]:
    by_kind: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for each in sent:
        by_kind[each.kind][each.status] += 1
    slowest = max(sent, key=lambda each: each.took_s)
    return {
        "requests": len(sent),
        "statuses": {kind: dict(statuses) for kind, statuses in by_kind.items()},
        "leaks": [s.number for s in sent if s.status not in _GOOD and leaks(s.answer, root)],
        "surprised": [each.number for each in sent if _SURPRISED in each.answer],
        "hung": [each.number for each in sent if each.status == TIMED_OUT],
        "slowest_bad": [slowest.number, round(slowest.took_s, 2)],
    }


def _known_crashes(repository: Repository, subject: Subject) -> dict[str, Any]:
    """Send each of them, and wait until the server answers again."""
    found = []
    service = Service(repository)
    with service:
        for at, (name, request) in enumerate(KNOWN_CRASHES.items(), 1):
            server, began = service.server_pid, time.monotonic()
            send_http(service.ports, HttpRequest(name, subject.model, request(subject)))
            ended = until(partial(_is_another, service, server), _DEATH_SHOWS_S)
            until(lambda: service.server_pid and service.control.is_live(), _CALM_S)
            back_s = round(time.monotonic() - began, 1) if ended else None
            found.append({"request": name, "ended": ended, "back_s": back_s})
            if at % _KNOWN_IN_A_ROW == 0:
                service.process.end(_TIMEOUT_S)
                service.start()
    return {"requests": 0, "known": found}


def _is_another(service: Service, server: int) -> bool:
    return service.server_pid != server


def describe(number: int, repository: Repository, part: str) -> str:
    """A bad request by its number, for a person who looks for what it did."""
    subjects = subjects_of(repository)
    if part == "http":
        request = draw_http(number, subjects)
        return f"{request.kind}, {request.model}: {request.content[:_MOST_SHOWN]!r}"
    call = draw_grpc(number, subjects)
    return f"{call.kind}, {call.model}, {call.method}: {call.message[:_MOST_SHOWN]!r}"
