"""Messages beyond a client's rate wait, and each client's are counted alone."""

from __future__ import annotations

import queue
import time
from typing import Any

from tests.gateway.door import Door, call_inputs, configure
from trimaran.gateway.rates import Rates


def test_what_comes_too_often_waits_as_long_as_it_is_early() -> None:
    now = 100.0
    rates = Rates(lambda: now)
    assert [rates.wait_s("a", 2) for _ in range(4)] == [0, 0, 0.5, 1]
    assert rates.wait_s("b", 2) == 0
    now += 2
    assert [rates.wait_s("a", 2) for _ in range(3)] == [0, 0, 0.5]
    now += 3600
    assert [rates.wait_s("a", 2) for _ in range(3)] == [0, 0, 0.5]


def test_a_stream_is_as_slow_as_its_client_may_ask(changed: Door) -> None:
    configure(changed, '[[clients]]\nsubject = "slow"\nrequests_per_second = 4')
    answers: queue.Queue[Any] = queue.Queue()
    with changed.calls() as client:
        client.start_stream(
            lambda result, error: answers.put(error),
            headers=changed.bearer("infer:churn", subject="slow"),
        )
        began = time.monotonic()
        for _ in range(8):
            client.async_stream_infer("churn", call_inputs())
        assert [answers.get(timeout=20) for _ in range(8)] == [None] * 8
        # The first four at once, the last after a second.
        assert time.monotonic() - began > 0.7
