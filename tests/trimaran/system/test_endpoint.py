"""Addresses that users give, and what goes to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimaran.system.endpoint import Endpoint, host_and_port
from trimaran.system.errors import UsageError
from trimaran.system.ports import Ports

GIVEN = "a.b-c"


def test_one_address_is_for_both_protocols_and_its_token_is_never_shown() -> None:
    given = Endpoint.at("https://gateway.example", token=GIVEN)
    assert (given.http, given.grpc) == ("gateway.example:443", "gateway.example:443")
    assert given.headers == {"authorization": f"Bearer {GIVEN}"}
    assert given.url("/v2") == "https://gateway.example:443/v2"
    assert GIVEN not in f"{given!r} {given}"


def test_a_server_of_this_machine_has_a_port_for_each_protocol() -> None:
    plain = Endpoint.of(Ports("127.0.0.1", 1, 2))
    assert (str(plain), plain.grpc, plain.secure) == ("127.0.0.1:1", "127.0.0.1:2", False)
    assert plain.is_local
    assert host_and_port(Endpoint.at("http://[::1]:9").grpc) == ("::1", 9)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://here",
        "here:8443",
        "https://",
        "https://here/path",
        "https://here?query",
        "https://here#fragment",
        "https://here:0",
        "https://here:70000",
        "https://here:port",
        "https://he re",
        "https://[::1",
        "https://user:secret@here",
    ],
)
def test_an_address_is_scheme_host_and_port_alone(url: str) -> None:
    with pytest.raises(UsageError, match=r"^--url ") as error:
        Endpoint.at(url)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("url", ["http://10.0.0.1", "http://here:80", "http://localhost.evil"])
def test_a_token_is_not_sent_to_another_machine_without_tls(url: str) -> None:
    with pytest.raises(UsageError, match="unencrypted"):
        Endpoint.at(url, token=GIVEN)
    assert Endpoint.at("http://127.0.0.1:9", token=GIVEN).has_token


def test_a_token_adds_no_header_of_its_own() -> None:
    with pytest.raises(UsageError, match="characters"):
        Endpoint.at("https://here", token=f"{GIVEN}\r\nx: y")


def test_the_ca_must_be_certificates(tmp_path: Path) -> None:
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    for ca, words in ((text, "holds no certificate"), (tmp_path / "none.pem", "cannot be read")):
        with pytest.raises(UsageError, match=words):
            Endpoint.at("https://here", ca)
    with pytest.raises(UsageError, match="goes with an https address"):
        Endpoint.at("http://here", text)
