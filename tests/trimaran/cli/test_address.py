"""The options that name a server, and the token that goes there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.envoy import TOKEN, own_file
from trimaran.cli.address import TOKEN_VARIABLE, Address
from trimaran.system.errors import UsageError

NONE = Address(None, None, None, None, None, None)
SECURE = replace(NONE, url="https://here:8443")


@pytest.fixture(autouse=True)
def without_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)


def test_no_option_names_no_server() -> None:
    assert NONE.endpoint() is None
    assert SECURE.without_url().endpoint() is None


def test_any_port_names_one_without_tls_and_it_gets_no_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    found = replace(NONE, grpc_port=9001).endpoint()
    assert found is not None
    assert (str(found), found.grpc, found.token) == ("127.0.0.1:8000", "127.0.0.1:9001", "")


def test_the_token_is_from_the_file_or_else_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "of.the.environment")
    file = own_file(tmp_path / "token", TOKEN)
    for given, wanted in ((None, "of.the.environment"), (file, TOKEN)):
        found = replace(SECURE, token_file=given).endpoint()
        assert found is not None
        assert found.token == wanted


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (replace(SECURE, host="here"), "leave --host out"),
        (replace(SECURE, http_port=1), "leave --http-port out"),
        (replace(NONE, ca=Path("ca.pem")), "--ca goes with --url"),
        (replace(NONE, token_file=Path("token")), "--token-file goes with --url"),
        (replace(SECURE, token_file=Path("/dev/null")), "cannot be read: not a regular file"),
        (replace(SECURE, token_file=Path("none")), "cannot be read: No such file"),
    ],
)
def test_options_that_exclude_each_other_are_refused(address: Address, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        address.endpoint()


def test_a_token_that_others_can_read_or_an_empty_one_is_refused(tmp_path: Path) -> None:
    file = own_file(tmp_path / "token", TOKEN)
    file.chmod(0o640)
    with pytest.raises(UsageError, match=f"mode 640.*chmod 600 {file}"):
        replace(SECURE, token_file=file).endpoint()
    with pytest.raises(UsageError, match="holds no token"):
        replace(SECURE, token_file=own_file(tmp_path / "empty", "")).endpoint()
