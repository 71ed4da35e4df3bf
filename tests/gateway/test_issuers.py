"""Tokens of a real OpenID issuer: client credentials, new keys, and an issuer that is silent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tritonclient.utils import InferenceServerException

from tests.gateway.certificates import Authority
from tests.gateway.door import RECORD, Door, Reply, call_inputs, configure
from tests.gateway.issuer import AUDIENCE, Issuer, new_key
from tests.running import wait_for

PREDICT = "/models/churn/predict"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def issuer(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    found = Issuer(tmp_path_factory.mktemp("issuer"), authority, ["infer:churn", "metadata"])
    yield found
    found.stop()


@pytest.fixture
def trusting(changed: Door, issuer: Issuer, authority: Authority) -> Door:
    """The gateway, which accepts the issuer's tokens."""
    configure(changed, trusted(issuer, authority))
    return changed


def trusted(issuer: Issuer, authority: Authority, **others: str) -> str:
    settings = {"issuer": issuer.name, "audience": AUDIENCE, "ca": str(authority.file), **others}
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    return "\n".join(["[[issuers]]", *lines, "keys_s = 1"])


def asked(door: Door, token: str, path: str = PREDICT) -> Reply:
    method, record = ("POST", RECORD) if path == PREDICT else ("GET", None)
    headers = {"authorization": f"Bearer {token}"}
    return door.ask(method, path, record=record, headers=headers)


def test_a_client_asks_with_the_token_that_it_gets_for_its_secret(
    trusting: Door, issuer: Issuer
) -> None:
    token = issuer.token("mobile", "infer:churn")
    answer = asked(trusting, token)
    assert answer.status == 200
    assert answer.json["churn_probability"] > 0.5
    headers = {"authorization": f"Bearer {token}"}
    with trusting.calls() as client:
        found = client.infer("churn", call_inputs(), headers=headers)
        assert found.as_numpy("churn_probability")[0, 0] > 0.5
        with pytest.raises(InferenceServerException) as refused:
            client.infer("churn_record", call_inputs(), headers=headers)
        assert refused.value.status() == "StatusCode.PERMISSION_DENIED"
    reading = issuer.token("reader", "metadata")
    assert asked(trusting, reading).status == 403
    assert asked(trusting, reading, "/models/churn/metadata").status == 200
    assert asked(trusting, token, "/models/churn/metadata").status == 403


def test_a_new_key_is_taken_over_and_a_withdrawn_one_is_refused(
    trusting: Door, issuer: Issuer
) -> None:
    before = issuer.token("mobile", "infer:churn")
    assert asked(trusting, before).status == 200
    old, new, other = new_key("old"), new_key("new", "RS256"), new_key("other")

    def answers(token: str, status: int) -> Callable[[], bool]:
        return lambda: asked(trusting, token).status == status

    issuer.rotate(old, new)
    between = issuer.token("mobile", "infer:churn")
    wait_for(answers(between, 200), 20, "an answer for a token of a new key")
    # The first key is published no more, though its token was accepted before.
    assert asked(trusting, before).status == 401
    issuer.rotate(new, other)
    after = issuer.token("mobile", "infer:churn")
    # Its key was published before it was used, so that it is known.
    assert asked(trusting, after).status == 200


def test_tokens_pass_while_their_issuer_is_silent(
    trusting: Door, issuer: Issuer, authority: Authority
) -> None:
    token = issuer.token("mobile", "infer:churn")
    since = len(trusting.lines)
    issuer.stop()
    try:
        wait_for(lambda: trusting.said("keys known before stay", since), 20, "a warning")
        assert asked(trusting, token).status == 200
        configure(trusting, trusted(issuer, authority) + '\n[[clients]]\nsubject = "reader"')
        assert asked(trusting, token).status == 200
    finally:
        issuer.start()
    wait_for(lambda: trusting.said("can be had again", since), 20, "an end of the silence")
    assert len(trusting.said("keys known before stay", since)) == 1


def test_a_token_for_somebody_else_is_refused_unless_gateway_toml_allows_it(
    changed: Door, issuer: Issuer, authority: Authority
) -> None:
    token = issuer.token("mobile", "infer:churn")
    for audience, status in (("trimaran", 403), ("*", 200)):
        configure(changed, trusted(issuer, authority, audience=audience))
        assert asked(changed, token).status == status


def test_scopes_may_be_in_another_claim(
    changed: Door, issuer: Issuer, authority: Authority
) -> None:
    """The issuer's `sub` stands for a claim such as `scp`: its client is named like a scope."""
    token = issuer.token("infer:churn", "metadata")
    configure(changed, trusted(issuer, authority, scope_claim="sub"))
    assert asked(changed, token).status == 200
    assert asked(changed, token, "/models/churn/metadata").status == 403
    with changed.calls() as client:
        client.infer("churn", call_inputs(), headers={"authorization": f"Bearer {token}"})
    # This machine's own tokens have theirs where they had them.
    assert changed.ask("POST", PREDICT, "infer:churn", record=RECORD).status == 200
    assert changed.ask("POST", PREDICT, "metadata", record=RECORD).status == 403


def test_keys_may_be_in_a_file(changed: Door, issuer: Issuer, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(issuer.keys())
    named = {"issuer": issuer.name, "audience": AUDIENCE, "jwks": str(file)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in named.items()]
    configure(changed, "\n".join(["[[issuers]]", *lines]))
    assert asked(changed, issuer.token("mobile", "infer:churn")).status == 200
    issuer.rotate(new_key("another"))
    token = issuer.token("mobile", "infer:churn")
    assert asked(changed, token).status == 401
    file.write_bytes(issuer.keys())
    wait_for(lambda: asked(changed, token).status == 200, 20, "an answer for a token of a new key")
