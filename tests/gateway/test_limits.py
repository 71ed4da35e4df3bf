"""Limits of clients and models, sizes, slowness, and changes while the gateway runs."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from joserfc import jwt
from tritonclient.utils import InferenceServerException

from tests.gateway.door import RECORD, Door, call_inputs, configure
from tests.running import wait_for

PREDICT = "/models/churn/predict"


def test_a_client_that_asks_too_often_is_told_when_to_ask_again(changed: Door) -> None:
    configure(
        changed,
        '[[clients]]\nsubject = "slow"\nrequests_per_second = 2\n[models.churn_record]\n'
        "requests_per_second = 3",
    )

    def statuses(subject: str, path: str = PREDICT) -> Counter[int]:
        headers = changed.bearer("infer:*", subject=subject)
        found: Counter[int] = Counter()
        for _ in range(20):
            answer = changed.ask("POST", path, record=RECORD, headers=headers)
            found[answer.status] += 1
            if answer.status == 429:
                assert answer.headers["retry-after"] == "1"
                assert "ask again later" in answer.json["error"]
        return found

    began = time.monotonic()
    slow = statuses("slow")
    seconds = time.monotonic() - began
    assert 2 <= slow[200] <= 2 * (seconds + 2)
    assert slow[429] == 20 - slow[200] > 0
    # Another client has its own count, and so has a client at another model.
    assert statuses("quick") == {200: 20}
    record = {"RECORD": json.dumps(dict(RECORD))}
    wait_for(
        lambda: (
            changed.ask(
                "POST",
                "/models/churn_record/predict",
                record=record,
                headers=changed.bearer("infer:*", subject="other"),
            ).status
            == 200
        ),
        10,
        "an answer of churn_record",
    )
    # Tokens that name nobody are counted together.
    claims = {
        "iss": "trimaran",
        "aud": "trimaran",
        "scope": "infer:*",
        "exp": int(time.time()) + 60,
    }
    token = jwt.encode({"alg": "ES256", "kid": changed.key._key.kid}, claims, changed.key._key)
    nobody = {"authorization": f"Bearer {token}"}
    path = "/models/churn_record/predict"
    answers = [changed.ask("POST", path, record=record, headers=nobody) for _ in range(20)]
    assert 429 in {answer.status for answer in answers}
    with changed.calls() as client:
        headers = changed.bearer("infer:churn", subject="slow")
        refusals = []
        for _ in range(10):
            try:
                client.infer("churn", call_inputs(), headers=headers)
            except InferenceServerException as error:
                refusals.append(error.status())
    # The count is the same over gRPC and plain REST.
    assert refusals.count("StatusCode.RESOURCE_EXHAUSTED") >= 5


def test_a_client_may_have_so_many_requests_at_once(changed: Door) -> None:
    configure(changed, '[[clients]]\nsubject = "wide"\nconcurrent_requests = 1')

    def status(subject: str) -> tuple[int, str]:
        answer = changed.ask(
            "POST", PREDICT, record=RECORD, headers=changed.bearer("infer:churn", subject=subject)
        )
        return answer.status, answer.headers.get("retry-after", "")

    with ThreadPoolExecutor(16) as executor:
        wide = Counter(executor.map(status, ["wide"] * 200))
        other = Counter(executor.map(status, ["other"] * 50))

    def called(_: int) -> str | None:
        try:
            client.infer(
                "churn", call_inputs(), headers=changed.bearer("infer:churn", subject="wide")
            )
        except InferenceServerException as error:
            return error.status()
        return None

    with ThreadPoolExecutor(16) as executor, changed.calls() as client:
        calls = set(executor.map(called, range(100)))
    assert set(wide) == {(200, ""), (429, "1")}
    assert calls == {None, "StatusCode.RESOURCE_EXHAUSTED"}
    assert set(other) == {(200, "")}


def test_what_clients_of_gateway_toml_may_do(changed: Door) -> None:
    configure(changed, '[[clients]]\nsubject = "mobile"\nscopes = ["infer:churn"]')
    for scopes in (["nothing"], ["metadata"]):
        headers = changed.bearer(*scopes, subject="mobile")
        assert changed.ask("POST", PREDICT, record=RECORD, headers=headers).status == 200
        with changed.calls() as client:
            client.infer("churn", call_inputs(), headers=headers)
    headers = changed.bearer("nothing", subject="mobil")
    assert changed.ask("POST", PREDICT, record=RECORD, headers=headers).status == 403


def test_a_change_that_cannot_be_is_said_and_changes_nothing(changed: Door) -> None:
    since = len(changed.lines)
    changed.write('default_model = "chrun"')
    wait_for(lambda: changed.said("what was valid before stays", since), 30, "a refused change")
    assert "no model 'chrun' is served; did you mean 'churn'?" in changed.said("chrun", since)[0]
    assert changed.ask("POST", PREDICT, "infer:churn", record=RECORD).status == 200
    configure(changed, 'default_model = "churn"')
    assert changed.ask("POST", "/predict", "infer:churn", record=RECORD).status == 200
    assert changed.ask("GET", "/metadata", "metadata").json["name"] == "churn"


@pytest.mark.long
def test_a_change_that_fails_for_a_while_is_at_work_once_it_can_be(changed: Door) -> None:
    """Envoy's judgement of it cannot be written, as on a full disk, and then it can."""
    in_the_way = changed.state / "judged.json"
    in_the_way.mkdir()
    since = len(changed.lines)
    changed.write('default_model = "churn"')
    wait_for(lambda: changed.said("Is a directory; what was valid", since), 30, "a failed change")
    in_the_way.rmdir()
    wait_for(lambda: changed.said("is at work", since), 60, "the same change, tried again")
    assert len(changed.said("what was valid before stays", since)) == 1
    assert changed.ask("POST", "/predict", "infer:churn", record=RECORD).status == 200


def test_changes_drop_no_request(changed: Door) -> None:
    with ThreadPoolExecutor(3) as executor:
        asked = [executor.submit(many, changed) for _ in range(3)]
        for number in range(3):
            limits = f"[[clients]]\nsubject = 'c{number}'\nconcurrent_requests = {number + 1}"
            configure(changed, limits)
    found = sum((each.result() for each in asked), Counter[int]())
    assert set(found) == {200}


def many(door: Door) -> Counter[int]:
    found: Counter[int] = Counter()
    headers = door.bearer("infer:churn")
    deadline = time.monotonic() + 6
    while time.monotonic() < deadline:
        found[door.ask("POST", PREDICT, record=RECORD, headers=headers).status] += 1
    return found


def test_a_large_body_is_refused_before_triton_sees_it(changed: Door) -> None:
    configure(changed, "[models.churn]\nbody_mb = 1")
    body = json.dumps({**RECORD, "state": "x" * (2 << 20)}).encode()
    answer = changed.ask("POST", PREDICT, "infer:churn", body=body)
    assert answer.status == 413
    assert "body_mb" in answer.json["error"]
    assert changed.audited(answer.headers["x-request-id"])["attempts"] == 0
    large = call_inputs({**RECORD, "state": "x" * (2 << 20)})
    with changed.calls() as client, pytest.raises(InferenceServerException) as refused:
        client.infer("churn", large, headers=changed.bearer("infer:churn"))
    assert refused.value.status() == "StatusCode.RESOURCE_EXHAUSTED"
    assert "body_mb" in refused.value.message()
    assert changed.ask("POST", PREDICT, "infer:churn", record=RECORD).status == 200


@pytest.mark.parametrize("length", ["100000", "-1", "0x10", "1, 2", "99999999999999999999", ""])
def test_a_header_length_beyond_the_body_never_reaches_triton(door: Door, length: str) -> None:
    answer = door.ask(
        "POST",
        "/v2/models/churn/infer",
        "infer:churn",
        body=b'{"inputs": []}',
        headers={"inference-header-content-length": length},
    )
    assert answer.status == 400
    assert "Inference-Header-Content-Length" in answer.json["error"]


def test_a_request_that_comes_slowly_is_ended(door: Door) -> None:
    """Its headers, since a body has a minute."""
    context = ssl.create_default_context(cafile=str(door.certificate))
    with (
        socket.create_connection(("localhost", door.port), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(b"POST /models/churn/predict HTTP/1.1\r\nhost: localhost\r\n")
        began = time.monotonic()
        answer = connection.recv(4096)
        assert time.monotonic() - began < 25
    assert not answer or b" 408 " in answer.splitlines()[0]
