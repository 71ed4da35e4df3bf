"""Which requests the ports of trimaran answer."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
import urllib3

from trimaran.system.http_server import MOST_BYTES, Reply, Request, is_foreign, length_of, serving
from trimaran.system.ports import free_ports

HOST = "127.0.0.1"


@pytest.mark.parametrize(
    ("listens_on", "host", "origin", "foreign"),
    [
        (HOST, "127.0.0.1:8003", None, False),
        (HOST, "LocalHost:9000", None, False),
        (HOST, "[::1]", None, False),
        (HOST, "localhost:1", "http://localhost:1", False),
        (HOST, "localhost:1", "http://localhost:2", True),
        (HOST, "localhost:1", "https://localhost:1", True),
        (HOST, "localhost", "null", True),
        (HOST, "evil.example:8003", None, True),
        (HOST, "localhost.evil.example", None, True),
        (HOST, "evil.example@localhost.evil", None, True),
        (HOST, "10.0.0.1:8003", None, True),
        (HOST, "[", None, True),
        (HOST, "", None, True),
        ("0.0.0.0", "10.0.0.1:8003", None, False),  # noqa: S104 - what is listened to is the case
        ("0.0.0.0", socket.gethostname(), None, False),  # noqa: S104
        ("0.0.0.0", "evil.example", None, True),  # noqa: S104
        ("0.0.0.0", "10.0.0.1", "http://evil.example", True),  # noqa: S104
    ],
)
def test_another_site_s_request_is_foreign(
    listens_on: str, host: str, origin: str | None, foreign: bool
) -> None:
    assert is_foreign(listens_on, [host], [origin] if origin else []) is foreign
    assert is_foreign(listens_on, [], [])
    assert is_foreign(listens_on, [host, "evil.example"], [])


@pytest.mark.parametrize(
    ("lengths", "length"),
    [
        ([], 0),
        (["12"], 12),
        (["12", "12"], 12),
        (["12", "13"], None),
        (["-1"], None),
        (["+1"], None),
        (["1_0"], None),
        (["\u0661"], None),
        ([""], None),
        (["9" * 5000], None),
    ],
)
def test_a_length_is_a_plain_number(lengths: list[str], length: int | None) -> None:
    assert length_of(lengths) == length


@pytest.fixture(scope="module")
def echo() -> Iterator[int]:
    """A port that answers with the body of a request."""

    def answer(request: Request) -> Reply:
        return Reply(body=request.body)

    port = free_ports().http
    with serving(HOST, port, answer):
        yield port


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Content-Length": "-1"}, 400),
        ({"Content-Length": str(MOST_BYTES + 1)}, 413),
        ({"Transfer-Encoding": "chunked"}, 400),
    ],
)
def test_a_request_is_refused_before_it_is_answered(
    echo: int, headers: dict[str, str], status: int
) -> None:
    answer = urllib3.request("POST", f"http://{HOST}:{echo}/", body=b"text", headers=headers)
    assert answer.status == status
    assert (answer.data == b"text") == (status == 200)
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]
