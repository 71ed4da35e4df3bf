"""A hostile request fails alone, and says nothing of the server's files."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import urllib3

from tests.ensembles.test_churn import CUSTOMER
from tests.running import Served

RECORD = json.dumps(CUSTOMER)
INFER = {"inputs": [{"name": "RECORD", "shape": [1, 1], "datatype": "BYTES", "data": [RECORD]}]}
WHOLE = json.dumps({"RECORD": RECORD}).encode()
NESTED = '{"account_length": ' + "[" * 1010 + "]" * 1010 + "}"
HOSTILE: dict[str, tuple[str, bytes, bytes, int]] = {
    "nested": ("churn_record/generate", json.dumps({"RECORD": NESTED}).encode(), WHOLE, 400),
    "a name that is not UTF-8": ("churn_record/generate", WHOLE[:-1] + b',"\xff":1}', WHOLE, 400),
    "a name of ten megabytes": (
        "churn_record/generate",
        json.dumps({"RECORD": json.dumps({"x" * 10_000_000: 1})}).encode(),
        WHOLE,
        400,
    ),
    "a parameter NaN": ("churn_record/generate", WHOLE[:-1] + b',"x":NaN}', WHOLE, 400),
    "a field that is not UTF-8": (
        "churn/generate",
        json.dumps(CUSTOMER).encode()[:-1] + b',"\xff":1}',
        json.dumps(CUSTOMER).encode(),
        400,
    ),
    "an id that is not UTF-8": (
        "churn_record/infer",
        b'{"id":"\xff",' + json.dumps(INFER).encode()[1:],
        json.dumps(INFER).encode(),
        200,
    ),
}
"""A path, a hostile body, a sound one, and the status of the hostile one."""


@pytest.mark.parametrize("case", HOSTILE)
def test_whatever_a_request_raises_its_batch_mates_are_answered(
    churn_served: Served, case: str
) -> None:
    path, bad, good, expected = HOSTILE[case]
    url = churn_served.url(f"/v2/models/{path}")

    def ask(body: bytes) -> tuple[int, bytes]:
        answer = urllib3.request("POST", url, body=body, retries=False)
        return answer.status, answer.data

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, ([good] * 15 + [bad]) * 4))
    assert {status for place, (status, _) in enumerate(answers) if place % 16 != 15} == {200}
    for status, answer in answers[15::16]:
        assert status == expected, answer
        assert len(answer) < 1500
        assert not any(word in answer for word in (b"Traceback", b"/trimaran", b".py", b"At:"))
