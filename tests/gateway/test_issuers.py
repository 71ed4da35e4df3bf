"""Tokens of a real OpenID issuer: client credentials, new keys, and an issuer that is silent."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tritonclient.utils import InferenceServerException

from tests.gateway.certificates import Authority
from tests.gateway.door import Door, call_inputs, configure
from tests.gateway.issuer import Issuer, asked, new_key, trusting
from tests.running import wait_for


@pytest.fixture(scope="module")
def accepting(door: Door, issuer: Issuer, authority: Authority) -> Iterator[Door]:
    """The gateway, which accepts the issuer's tokens."""
    configure(door, trusting(issuer, authority))
    yield door
    configure(door, "")


def test_a_client_asks_with_the_token_that_it_gets_for_its_secret(
    accepting: Door, issuer: Issuer
) -> None:
    token = issuer.token("mobile", "infer:churn")
    answer = asked(accepting, token)
    assert answer.status == 200
    assert answer.json["churn_probability"] > 0.5
    headers = {"authorization": f"Bearer {token}"}
    with accepting.calls() as client:
        found = client.infer("churn", call_inputs(), headers=headers)
        assert found.as_numpy("churn_probability")[0, 0] > 0.5
        with pytest.raises(InferenceServerException) as refused:
            client.infer("churn_record", call_inputs(), headers=headers)
        assert refused.value.status() == "StatusCode.PERMISSION_DENIED"
    reading = issuer.token("reader", "metadata")
    assert asked(accepting, reading).status == 403
    assert asked(accepting, reading, "/models/churn/metadata").status == 200
    assert asked(accepting, token, "/models/churn/metadata").status == 403


def test_a_new_key_is_taken_over_and_a_withdrawn_one_is_refused(
    accepting: Door, issuer: Issuer
) -> None:
    before = issuer.token("mobile", "infer:churn")
    assert asked(accepting, before).status == 200
    old, new, other = new_key("old"), new_key("new", "RS256"), new_key("other")

    def answers(token: str, status: int) -> Callable[[], bool]:
        return lambda: asked(accepting, token).status == status

    issuer.rotate(old, new)
    between = issuer.token("mobile", "infer:churn")
    wait_for(answers(between, 200), 20, "an answer for a token of a new key")
    # The first key is published no more, though its token was accepted before.
    assert asked(accepting, before).status == 401
    issuer.rotate(new, other)
    after = issuer.token("mobile", "infer:churn")
    # Its key was published before it was used, so that it is known.
    assert asked(accepting, after).status == 200


@pytest.mark.long
def test_tokens_pass_while_their_issuer_is_silent(
    accepting: Door, issuer: Issuer, authority: Authority
) -> None:
    token = issuer.token("mobile", "infer:churn")
    since = len(accepting.lines)
    issuer.stop()
    try:
        wait_for(lambda: accepting.said("keys known before stay", since), 20, "a warning")
        assert asked(accepting, token).status == 200
        configure(accepting, trusting(issuer, authority) + '\n[[clients]]\nsubject = "reader"')
        assert asked(accepting, token).status == 200
    finally:
        issuer.start()
    wait_for(lambda: accepting.said("can be had again", since), 20, "an end of the silence")
    assert len(accepting.said("keys known before stay", since)) == 1
