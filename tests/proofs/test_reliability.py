"""What the reliability proof sends, how it names what comes back, and what it reports."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from proofs.reliability import grpc_requests, http_requests
from proofs.reliability.__main__ import COUNTS, main
from proofs.reliability.fuzz import leaks, send_http
from proofs.reliability.grpc_requests import draw_grpc
from proofs.reliability.http_requests import (
    KNOWN_CRASHES,
    HttpRequest,
    Subject,
    draw_http,
    is_known_crash,
)
from proofs.reliability.kills import STAGES, stage_of
from proofs.reliability.load import (
    CUT,
    REFUSED,
    TIMED_OUT,
    WRONG,
    Answered,
    Answers,
    call_grpc,
    open_channel,
    problem_of,
)
from proofs.reliability.page import page
from proofs.reliability.results import Results
from trimaran.system.endpoint import Endpoint
from trimaran.system.ports import Ports, free_ports

SUBJECTS = (
    Subject("texts", {"RECORD": np.array([[b'{"a": 1}']], dtype=object)}),
    Subject(
        "mixed",
        {"state": np.array([[b"OH"]], dtype=object), "minutes": np.ones([1, 3], np.float32)},
    ),
)
DRAWN = 40 * len(http_requests.KINDS)


def document_in(content: bytes) -> Any:
    """The JSON of a request's body, or of its header; `None` where there is none."""
    body = content.partition(b"\r\n\r\n")[2]
    try:
        return json.JSONDecoder().raw_decode(body.decode("latin-1"))[0]
    except (ValueError, RecursionError):
        return None


class TestRequests:
    def test_a_number_is_one_request_and_all_kinds_are_drawn(self) -> None:
        first, again = ([draw_http(n, SUBJECTS) for n in range(DRAWN)] for _ in range(2))
        assert first == again
        assert {request.kind for request in first} == set(http_requests.KINDS)
        assert len({request.content for request in first}) > DRAWN / 2
        calls, once_more = ([draw_grpc(n, SUBJECTS) for n in range(DRAWN)] for _ in range(2))
        assert calls == once_more
        assert {call.kind for call in calls} == set(grpc_requests.KINDS)

    def test_none_is_a_known_crash(self) -> None:
        documents = [document_in(draw_http(n, SUBJECTS).content) for n in range(DRAWN)]
        shapes = [d for d in documents if isinstance(d, dict) and "inputs" in d]
        assert len(shapes) > DRAWN / 4
        assert not [document for document in shapes if is_known_crash(document)]

    def test_known_crashes_are_known(self) -> None:
        named = [n for n in KNOWN_CRASHES if n.startswith("shape")]
        assert len(named) == 3
        for name in named:
            assert is_known_crash(document_in(KNOWN_CRASHES[name](SUBJECTS[0]))), name

    @pytest.mark.parametrize(
        ("datatype", "shape", "known"),
        [
            ("FP32", [2**62], True),  # no bytes at all in 64 bits, but rows
            ("FP32", [2**29], True),
            ("UINT8", [4, 2**61], True),
            ("FP32", [1, 1], False),
            ("FP32", [2**63, -1], False),  # refused for the sign
            ("FP32", [2**64], False),
            ("FP32", [1.5, True, None], False),
            ("BYTES", [2**62], False),  # the data is looked at
        ],
    )
    def test_a_shape_that_asks_for_too_much(
        self, datatype: str, shape: list[Any], known: bool
    ) -> None:
        document = {"inputs": [{"name": "x", "shape": shape, "datatype": datatype, "data": [1]}]}
        assert is_known_crash(document) is known


class TestNames:
    @pytest.mark.parametrize(
        ("error", "problem"),
        [
            (ConnectionRefusedError(), REFUSED),
            (ConnectionResetError(), CUT),
            (http.client.RemoteDisconnected(), CUT),
            (TimeoutError(), TIMED_OUT),
            (ValueError("probability is 3"), WRONG),
            (KeyError("x"), "KeyError"),
        ],
    )
    def test_of_a_failure(self, error: Exception, problem: str) -> None:
        assert problem_of(error) == problem

    def test_of_a_server_that_is_not_there(self) -> None:
        nobody = free_ports()
        request = HttpRequest("x", "m", b"GET / HTTP/1.1\r\n\r\n")
        assert send_http(nobody, request)[0] == REFUSED
        with open_channel(Endpoint.of(nobody)) as channel:
            assert call_grpc(channel, "/s/m", b"", 5.0)[0] == REFUSED

    def test_of_a_call_without_an_answer(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ports = Ports(grpc=listener.getsockname()[1])
            with open_channel(Endpoint.of(ports)) as channel, pytest.raises(grpc.RpcError) as ended:
                channel.unary_unary("/s/m")(b"", timeout=0.1, wait_for_ready=True)
        assert problem_of(ended.value) == TIMED_OUT

    def test_of_the_stage_of_a_deployment(self) -> None:
        said = [
            "10:00:00 loading the steps of release 2",
            "10:00:01 sending the golden requests to the candidate",
            "10:00:02 switching to release 2",
            "10:00:03 dropping old versions of churn_features",
        ]
        assert tuple(stage_of(said[:length]) for length in range(5)) == STAGES

    @pytest.mark.parametrize(
        ("answer", "leak"),
        [
            (b'{"error":"row 0: not JSON: line 1 column 2 (char 1)"}', False),
            (b'{"error":"/repository/m/1/model.py"}', True),
            (b"Traceback (most recent call last)", True),
            (b"the file /srv/models is gone", True),
            (b"x" * 100_000, True),
        ],
    )
    def test_of_a_refusal_that_says_too_much(self, answer: bytes, leak: bool) -> None:
        assert leaks(answer, Path("/srv/models")) is leak


def test_answers_count_in_the_interval_in_which_they_ended() -> None:
    answers = Answers(
        [
            Answered(0.0, 1.0, "m", "http"),
            Answered(0.5, 2.0, "m", "grpc", REFUSED),
            Answered(2.6, 0.2, "m", "http", REFUSED),
            Answered(2.7, 0.4, "m", "http"),
            Answered(2.9, 9.0, "m", "http"),
        ]
    )
    found = answers.since(2.0, 5.0).summary()
    assert (found["good"], found["failed"], found["problems"]) == (3, 2, {REFUSED: 2})
    assert found["failing_s"] == pytest.approx(2.3)
    assert found["slowest_s"] == pytest.approx(0.4)


def test_lines_of_other_code_are_left_out(tmp_path: Path) -> None:
    old, new = Results(tmp_path, "old"), Results(tmp_path, "new")
    old.keep("stubs", {"number": 0})
    new.keep("stubs", {"number": 1})
    assert [line["number"] for line in new.read("stubs")] == [1]
    assert new.read("soak") == []


class TestPage:
    def test_a_part_that_did_not_run_says_so(self) -> None:
        assert page({}).count("Not run.") == len(COUNTS)

    def test_fuzzed_requests_are_added_up(self) -> None:
        text = page({"grpc": list(_fuzzed())})
        assert "| bad requests | 200 |" in text
        assert "| ends of `tritonserver` | 1 |" in text
        assert "| of them failed | 9 |" in text
        assert "| of them failed while the server lived | 2 |" in text
        assert "Cut off in a batch with an end: 107." in text
        assert "| shapes | 150 | 50 |" in text

    def test_killed_deployments_show_where_the_kills_fell(self) -> None:
        line = {
            **_counted(failed=0),
            "model": "churn",
            "stage": "switching",
            "late": 1,
            "settled": True,
            "settled_s": 2.5,
            "next": True,
            "same_at_once": False,
            "same_after_next": True,
            "left": [],
        }
        text = page({"deployments": [line, {**line, "next": False, "left": ["churn_canary"]}]})
        assert "| switching | 2 | 2 |" in text
        assert "| next deployment done, and live on disk = served | 1 |" in text
        assert "Left: churn_canary." in text


def _counted(failed: int) -> dict[str, Any]:
    return {
        "good": 100,
        "failed": failed,
        "problems": {REFUSED: failed},
        "took_s": 1.0,
        "p50_s": 0.01,
        "p99_s": 0.1,
        "slowest_s": 0.2,
        "failing_s": 0.0,
    }


def _fuzzed() -> Iterator[dict[str, Any]]:
    shared = {
        "requests": 100,
        "stubs_died": 0,
        "hung": [],
        "surprised": [],
        "leaks": [],
        "slowest_bad": [1, 0.5],
    }
    statuses = {"shapes": {"INVALID_ARGUMENT": 75, "OK": 25}}
    yield {**shared, **_counted(2), "statuses": statuses, "crashes": 0, "suspects": []}
    yield {**shared, **_counted(7), "statuses": statuses, "crashes": 1, "suspects": [107]}


@pytest.mark.parametrize("words", [["none"], ["http", "--count", "0"]])
def test_what_is_not_there_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)


@pytest.mark.long
def test_a_few_of_each_on_a_real_server(tmp_path: Path) -> None:
    output = tmp_path / "page.md"
    parts = ["stubs", "deployments", "servers", "http", "grpc", "soak", "sanitizers"]
    words = [*parts, "--count", "2", "--seconds", "30", "--work", str(tmp_path / "work")]
    assert main([*words, "--output", str(output)]) == 0
    text = output.read_text()
    assert "Not run." not in text
    assert "| deaths that the supervisor counted | 2 |" in text
    assert "| next deployment done, and live on disk = served | 2 |" in text
    for part in ("deployments", "grpc", "soak"):
        results = (tmp_path / "work" / "results" / f"{part}.jsonl").read_text().splitlines()
        assert sum(json.loads(line)["failed"] for line in results) == 0
