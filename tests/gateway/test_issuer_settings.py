"""What `gateway.toml` says of an issuer: its audience, its claim of scopes, a file of its keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.gateway.certificates import Authority
from tests.gateway.door import RECORD, Door, call_inputs, configure
from tests.gateway.issuer import AUDIENCE, PREDICT, Issuer, asked, new_key, trusting
from tests.running import wait_for

pytestmark = pytest.mark.long


def test_a_token_for_somebody_else_is_refused_unless_gateway_toml_allows_it(
    changed: Door, issuer: Issuer, authority: Authority
) -> None:
    token = issuer.token("mobile", "infer:churn")
    for audience, status in (("trimaran", 403), ("*", 200)):
        configure(changed, trusting(issuer, authority, audience=audience))
        assert asked(changed, token).status == status


def test_scopes_may_be_in_another_claim(
    changed: Door, issuer: Issuer, authority: Authority
) -> None:
    """The issuer's `sub` stands for a claim such as `scp`: its client is named like a scope."""
    token = issuer.token("infer:churn", "metadata")
    configure(changed, trusting(issuer, authority, scope_claim="sub"))
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
