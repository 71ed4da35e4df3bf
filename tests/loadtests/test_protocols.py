"""Answers that arrive in any pieces, and requests of any size."""

from __future__ import annotations

import numpy as np
import pytest

from loadtests.encoding import GRPC_METHOD, grpc_request
from loadtests.generator.ceiling import generator_ceiling
from loadtests.generator.engine import closed_loop, open_loop
from loadtests.generator.grpc_frames import GrpcCalls, grpc_message
from loadtests.generator.http1 import Http1, http_request
from loadtests.generator.http2 import HttpCalls, http2_request
from loadtests.generator.traffic import Traffic
from tests.running import Served

_PLAIN = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
_CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"7;x=1\r\n0\r\n\r\n..\r\nb\r\nhello world\r\n0\r\n\r\n"
)
_EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("answer", [_PLAIN, _CHUNKED, _EMPTY])
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_an_http_answer_is_whole_with_its_last_byte(answer: bytes, size: int) -> None:
    codec = Http1()
    for _ in range(2):
        pieces = [answer[at : at + size] for at in range(0, len(answer), size)]
        found = [codec.feed(piece)[0] for piece in pieces]
        assert found == [None] * (len(pieces) - 1) + [True]


def test_a_refusal_keeps_the_servers_words() -> None:
    codec = Http1()
    answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 17\r\n\r\n" + b'{"error":"shape"}'
    assert codec.feed(answer) == (False, b"")
    assert codec.refusal == 'status 400 Bad Request: {"error":"shape"}'


def test_a_connection_that_the_server_ends_carries_its_last_answer() -> None:
    """Over HTTP/2 it says so while it answers, and names the last stream that it answers."""
    http1 = Http1()
    assert http1.feed(_PLAIN.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))[0]
    assert http1.closing
    http2 = HttpCalls()
    http2.send(http2_request("https", "h", "/", b"{}", {}))
    goaway = b"\0\0\x08\x07\0\0\0\0\0"
    ok = b"\0\0\x01\x01\x05\0\0\0\x01\x88"
    assert http2.feed(goaway + b"\x7f\xff\xff\xff\0\0\0\0") == (None, b"")
    assert http2.feed(ok)[0]
    assert http2.closing
    refused = HttpCalls()
    refused.send(http2_request("https", "h", "/", b"{}", {}))
    with pytest.raises(ConnectionResetError):
        refused.feed(goaway + bytes(8))


def test_a_request_is_a_post_with_a_body_and_a_get_without() -> None:
    assert http_request("h:1", "/p", None) == b"GET /p HTTP/1.1\r\nHost: h:1\r\n\r\n"
    posted = http_request("h:1", "/p", b"{}", {"X": "y"})
    assert posted.startswith(b"POST /p HTTP/1.1\r\n")
    assert posted.endswith(b"Content-Length: 2\r\nContent-Type: application/json\r\nX: y\r\n\r\n{}")


@pytest.mark.parametrize("size", [10, 3_000_000])
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_generator_knows_its_own_ceiling(protocol: str, size: int) -> None:
    if protocol == "http":
        traffic = Traffic(("", 0), Http1, [http_request("localhost", "/", b"x" * size)])
        ceiling = generator_ceiling(traffic, "http", 0.2)
    else:
        message = grpc_message(b"x" * size)
        traffic = Traffic(("", 0), lambda: GrpcCalls("localhost", "/a/B"), [message])
        ceiling = generator_ceiling(traffic, "grpc", 0.2)
    assert ceiling.rate > 1
    assert ceiling.cpu_s > 0


def test_triton_takes_our_grpc_and_small_and_large_messages(served: Served) -> None:
    """Rows of `linear` up to its batch's maximum; flow control is part of the larger ones."""
    address = (served.ports.host, served.ports.grpc)
    requests = []
    for rows in (1, 32):
        row = {"x": np.zeros((rows, 8), np.float32)}
        message = grpc_request("linear_onnx", "", row).SerializeToString()
        requests.append(grpc_message(message))
    traffic = Traffic(address, lambda: GrpcCalls("localhost", GRPC_METHOD), requests)
    outcome = open_loop(traffic, np.zeros(20), connections=3)
    assert outcome.good.all(), outcome.refusal


def test_a_refused_grpc_call_is_no_success(served: Served) -> None:
    row = {"x": np.zeros((1, 3), np.float32)}
    message = grpc_message(grpc_request("linear_onnx", "", row).SerializeToString())
    address = (served.ports.host, served.ports.grpc)
    traffic = Traffic(address, lambda: GrpcCalls("localhost", GRPC_METHOD), [message])
    outcome = closed_loop(traffic, connections=2, seconds=0.2)
    assert len(outcome.good) > 2
    assert not outcome.good.any()
