"""What a client with a sound token for one model tries against the others, and against Triton."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from tritonclient.grpc.service_pb2 import ModelInferRequest

from tests.gateway.door import RECORD, Door
from tests.gateway.test_scopes import STREAM, UNARY, metadata, raw_calls, request_bytes
from tests.running import wait_for
from trimaran.gateway.streams import MOST_STREAMS

INFER = "/v2/models/churn/infer"
PREDICT = "/models/churn/predict"
OTHER = b"\x0cchurn_record"
GOOD = request_bytes("churn")


def kserve(**changed: object) -> bytes:
    """A request whose one tensor is as usual but for what is changed."""
    tensor = {"name": "state", "shape": [1, 1], "datatype": "BYTES", "data": ["OH"], **changed}
    return json.dumps({"inputs": [tensor]}).encode()


@contextmanager
def connected(door: Door) -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context(cafile=str(door.certificate))
    with (
        socket.create_connection(("localhost", door.port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        yield connection


def sent(door: Door, head: str, body: bytes) -> bytes:
    """The beginning of the answer to a request whose head stands as a client might write it."""
    lines = head.splitlines()
    lines[1:1] = ["host: localhost", f"authorization: Bearer {door.token('infer:churn')}"]
    with connected(door) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        return connection.recv(1 << 16)


@pytest.mark.parametrize("upper", [0x10, 0x20, 0x70])
def test_a_tag_beyond_32_bits_cannot_hide_another_model(door: Door, upper: int) -> None:
    """Triton ignores the upper bits, and asks the model whose name comes last."""
    hidden = GOOD + bytes([0x8A, 0x80, 0x80, 0x80, upper]) + OTHER
    with raw_calls(door) as channel:
        for path in (UNARY, STREAM):
            with pytest.raises(grpc.RpcError) as refused:
                list(
                    channel.unary_stream(path)(
                        hidden, metadata=metadata(door, "infer:churn"), timeout=10
                    )
                )
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert "ModelInferRequest" in refused.value.details()


@pytest.mark.parametrize(
    "body",
    [
        kserve(shape=[2, 1 << 61]),
        kserve(shape=[1 << 63, 1], datatype="UINT8"),
        kserve(shape=[1 << 31, 1]),
        kserve(shape=[-1, -(1 << 40)]),
        kserve(shape=[1 << 64]).replace(b'"shape":', b'"shape":[1,1],"shape"\n :\t'),
        kserve(shape=[1 << 31]).replace(b"shape", rb"sh\u0061pe"),
        b'{"inputs":[' + b'{"shape":[60]},' * 100,
        b'{"inputs":[{"shape":[' + b"1," * 2000,
        b'{"inputs":' + b"[" * 1_000_000,
        b'{"inputs":' + b'{"":' * 1_000_000,
    ],
    ids=[
        *("2^62", "2^63", "2^31", "below zero", "a second", "hidden", "in all", "without an end"),
        *("lists", "objects"),
    ],
)
def test_json_that_ends_triton_never_reaches_it(door: Door, body: bytes) -> None:
    answer = door.ask("POST", INFER, "infer:churn", body=body)
    assert answer.status == 400
    assert answer.json["where"] == "gateway"


@pytest.mark.parametrize("path", [PREDICT, "/v2/models/churn/generate_stream"])
def test_brackets_count_where_they_are_no_text(door: Door, path: str) -> None:
    nested = door.ask("POST", path, "infer:churn", body=b'{"state":' + b"[" * 101)
    assert (nested.status, nested.json["where"]) == (400, "gateway")
    text = {**RECORD, "state": 'OH"\\' + "[{" * 200}
    assert door.ask("POST", path, "infer:churn", record=text).status == 200


def test_a_compressed_body_is_refused_and_no_answer_is_compressed(door: Door) -> None:
    bomb = gzip.compress(b" " * (1 << 24))
    for path in (INFER, PREDICT):
        headers = {"content-encoding": "gzip"}
        answer = door.ask("POST", path, "infer:churn", body=bomb, headers=headers)
        assert answer.status == 415
        assert "send it uncompressed" in answer.json["error"]
    headers = {"accept-encoding": "gzip, deflate"}
    inputs = [
        {
            "name": name,
            "shape": [1, 1],
            "datatype": "BYTES" if isinstance(value, str) else "FP32",
            "data": [value],
        }
        for name, value in RECORD.items()
    ]
    body = json.dumps({"inputs": inputs}).encode()
    answer = door.ask("POST", INFER, "infer:churn", body=body, headers=headers)
    assert "content-encoding" not in answer.headers
    assert answer.headers["x-trimaran-version"] == "1"


def test_no_request_reads_or_writes_shared_memory(door: Door) -> None:
    shared = {"shared_memory_region": "weights", "shared_memory_byte_size": 4}
    answer = door.ask("POST", INFER, "infer:churn", body=kserve(parameters=shared))
    assert (answer.status, answer.json["where"]) == (400, "gateway")
    reading, writing = (ModelInferRequest.FromString(GOOD) for _ in range(2))
    reading.inputs[0].parameters["shared_memory_region"].string_param = "weights"
    output = writing.outputs.add(name="churn_probability")
    output.parameters["shared_memory_region"].string_param = "weights"
    with raw_calls(door) as channel:
        for path in (UNARY, STREAM):
            for request in (reading, writing):
                call = channel.unary_stream(path)(
                    request.SerializeToString(), metadata=metadata(door, "infer:churn"), timeout=10
                )
                with pytest.raises(grpc.RpcError) as refused:
                    list(call)
                assert "shared memory" in refused.value.details()


def test_one_client_cannot_take_the_streams_of_all(door: Door) -> None:
    ended = threading.Event()

    def one_and_no_more() -> Iterator[bytes]:
        yield GOOD
        ended.wait(60)

    with raw_calls(door) as channel:
        ask = channel.stream_stream(STREAM)
        many = [
            ask(one_and_no_more(), metadata=metadata(door, "infer:churn"))
            for _ in range(MOST_STREAMS // 4 + 4)
        ]
        try:
            codes = Counter(first_code(call) for call in many)
            assert codes[None] == MOST_STREAMS // 4
            assert codes[grpc.StatusCode.RESOURCE_EXHAUSTED] == 4
            other = list(door.bearer("infer:churn", subject="another").items())
            assert first_code(ask(iter([GOOD]), metadata=other, timeout=20)) is None
        finally:
            ended.set()


def first_code(call: Any) -> grpc.StatusCode | None:
    """The status of a stream that ends without an answer; None for one that answers."""
    try:
        next(call)
    except grpc.RpcError as error:
        return error.code()
    return None


def test_what_triton_repeats_in_an_error_is_short(door: Door) -> None:
    """A header that is too long ends the connection to Triton, and the calls of others on it."""
    identified, named = (ModelInferRequest.FromString(GOOD) for _ in range(2))
    identified.id = named.inputs[0].name = "\x01" * 30_000
    unknown = ModelInferRequest(model_name="x" * 100_000)
    with raw_calls(door) as channel:
        for path, request, said in (
            (UNARY, identified, "names, parameters and id"),
            (UNARY, named, "names, parameters and id"),
            (STREAM, unknown, "names no model"),
        ):
            call = channel.unary_stream(path)(
                request.SerializeToString(), metadata=metadata(door, "infer:churn"), timeout=10
            )
            with pytest.raises(grpc.RpcError) as refused:
                list(call)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert said in refused.value.details()


@pytest.mark.parametrize(
    "head",
    [
        "POST /models/churn/predict HTTP/1.1\ncontent-length: 60\ntransfer-encoding: chunked",
        "POST /models/churn/predict HTTP/1.1\ncontent-length: 60\ncontent-length: 5",
        "POST /models/churn/predict HTTP/1.1\ntransfer-encoding: xchunked",
        "POST /models/churn/predict HTTP/1.1\ntransfer-encoding: gzip, chunked",
        "POST /models/churn/predict HTTP/1.1\ncontent-length : 60",
        "POST /models/churn/predict HTTP/1.0\ncontent-length: 60",
        f"POST /models/churn/predict?{'a' * 20_000} HTTP/1.1\ncontent-length: 60",
        "CONNECT localhost:80 HTTP/1.1",
        "POST http://localhost/models/churn_record/predict HTTP/1.1\ncontent-length: 60",
        "POST /models/churn/predict#/../../churn_record/predict HTTP/1.1\ncontent-length: 60",
        "POST /inference.GRPCInferenceService/ModelStreamInfer HTTP/1.1\ncontent-length: 60",
    ],
)
def test_a_request_that_can_be_read_in_two_ways_is_refused(door: Door, head: str) -> None:
    smuggled = b"0\r\n\r\nPOST /v2/repository/index HTTP/1.1\r\nhost: localhost\r\n\r\n"
    status = int(sent(door, head, smuggled[:60]).split(None, 2)[1])
    assert 400 <= status < 500 or status == 501


@pytest.mark.parametrize(
    "header",
    [
        ("grpc-timeout", "soon"),
        ("grpc-timeout", "99999999H"),
        ("grpc-encoding", "bogus"),
        ("grpc-previous-rpc-attempts", "x"),
        ("grpc-retry-pushback-ms", "x"),
        ("x-any-bin", "!"),
    ],
)
def test_a_header_cannot_have_triton_reset_a_call(door: Door, header: tuple[str, str]) -> None:
    """A server that resets calls gets no more requests for a while, from nobody."""
    body = b"\0" + len(GOOD).to_bytes(4, "big") + GOOD
    head = (
        f"POST {UNARY} HTTP/1.1",
        "content-type: application/grpc",
        "te: trailers",
        f"content-length: {len(body)}",
        ": ".join(header),
    )
    assert b"x-trimaran-version: 1\r\n" in sent(door, "\n".join(head), body)


@pytest.mark.parametrize("kind", ["application/grpc-web", "application/grpcx", "application/json"])
def test_what_is_no_grpc_has_no_way_to_its_calls(door: Door, kind: str) -> None:
    for path in (UNARY, STREAM, "/inference.GRPCInferenceService/ServerLive"):
        headers = {"content-type": kind}
        assert door.ask("POST", path, "infer:churn", body=b"", headers=headers).status == 404


@pytest.mark.parametrize(
    "head",
    [
        "GET /docs HTTP/1.1\nconnection: upgrade\nupgrade: websocket",
        "CONNECT localhost:80 HTTP/1.1",
    ],
)
def test_a_connection_is_not_passed_on(door: Door, head: str) -> None:
    answer = sent(door, head, b"")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"no connection is upgraded or passed on here" in answer


def test_other_methods_are_named(door: Door) -> None:
    for method, path, allowed in (
        ("GET", PREDICT, "POST"),
        ("TRACE", PREDICT, "POST"),
        ("DELETE", "/v2/models/churn/versions/1/infer", "POST"),
        ("POST", "/models/churn/metadata", "GET"),
        ("PUT", "/openapi.json", "GET"),
    ):
        answer = door.ask(method, path, "infer:churn", "metadata")
        assert (answer.status, answer.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize("identifier", [b'"},{"subject":"root', b"\xff\xfe", "☃\u2028".encode()])
def test_a_request_id_cannot_forge_a_line(door: Door, identifier: bytes) -> None:
    body = b"[]"
    head = b"POST /models/churn/predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n"
    head += f"authorization: Bearer {door.token('infer:churn')}\r\n".encode()
    with connected(door) as connection:
        connection.sendall(head + b"connection: close\r\nx-request-id: " + identifier + b"\r\n\r\n")
        connection.sendall(body)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    said = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert said.keys() == {"error", "where", "request_id"}
    # What is no text in UTF-8 is read as Latin-1.
    texts = [identifier.decode("latin-1"), identifier.decode(errors="replace")]
    assert said["request_id"] in texts
    wait_for(lambda: any(line["request_id"] in texts for line in audit_lines(door)), 20, "the line")


def audit_lines(door: Door) -> list[dict[str, Any]]:
    """Every line of the audit log, each of which is JSON."""
    return [json.loads(line) for line in (door.state / "audit.log").read_bytes().splitlines()]


@pytest.mark.parametrize(
    "body", [b"[null]", b"[]", b"5", b"{", b'{"x":', b"\xff", b'{"a\\u0000":1}']
)
def test_a_body_that_is_no_record_is_the_clients_mistake(door: Door, body: bytes) -> None:
    for path in (PREDICT, INFER):
        answer = door.ask("POST", path, "infer:churn", body=body)
        assert answer.status == 400
        assert answer.json["error"]
