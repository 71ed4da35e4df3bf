"""The generator against servers whose latency is known."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from loadtests.gates import invalid
from loadtests.generator.ceiling import empty_endpoint
from loadtests.generator.engine import closed_loop, open_loop, poisson_arrivals
from loadtests.generator.http1 import Http1, http_request
from loadtests.generator.traffic import Traffic
from tests.loadtests.knowing import connections, known_server, one_request
from tests.running import wait_for
from trimaran.stats.latency import quantiles

_STALL_S = 0.2


def test_a_stall_shows_in_the_open_loop_and_hides_in_a_closed_one() -> None:
    """Coordinated omission: a connection waits the stall out once, and sends nothing meanwhile."""
    with known_server(0.002, stall_at_s=0.3, stall_s=_STALL_S) as (_, port):
        closed = closed_loop(one_request(port), connections=1, seconds=1.3)
    with known_server(0.002, stall_at_s=0.3, stall_s=_STALL_S) as (_, port):
        opened = open_loop(one_request(port), poisson_arrivals(300, 1.3, seed=1))
    assert closed.good.all()
    assert opened.good.all()
    # The fault happened in both.
    assert quantiles(closed.latency_s)["max"] > 0.9 * _STALL_S
    assert quantiles(closed.latency_s)["p99"] < 0.5 * _STALL_S
    assert quantiles(opened.latency_s)["p99"] > 0.8 * _STALL_S


def test_latency_is_at_least_what_the_server_takes() -> None:
    with known_server(0.02) as (_, port):
        outcome = open_loop(one_request(port), poisson_arrivals(100, 0.5, seed=2))
    assert outcome.good.all()
    assert outcome.latency_s.min() >= 0.02
    assert (outcome.sent_s >= outcome.scheduled_s).all()


def test_a_request_without_a_free_connection_waits_and_its_latency_runs_on() -> None:
    with known_server(0.2) as (_, port):
        outcome = open_loop(one_request(port), np.zeros(4), connections=1)
    assert outcome.good.all()
    assert np.diff(np.sort(outcome.latency_s)).min() >= 0.2
    assert outcome.tried_s.max() < 0.2  # the generator was in time for all of them


class Slow(Http1):
    """Each request costs the generator itself five milliseconds."""

    def send(self, request: bytes) -> bytes:
        time.sleep(0.005)
        return super().send(request)


def test_a_generator_that_cannot_keep_up_voids_the_run() -> None:
    with known_server(0.001) as (_, port):
        outcome = open_loop(replace(one_request(port), codec=Slow), np.zeros(50))
    assert outcome.good.all()
    assert (np.diff(outcome.tried_s) >= 0.005).all()
    assert invalid(outcome).startswith("the generator was late for")


def test_a_server_that_ends_leaves_what_was_measured_until_then() -> None:
    with known_server(0.001, count=50) as (process, port):
        outcome = open_loop(one_request(port), poisson_arrivals(200, 5.0, seed=3), drain_s=1.0)
        assert process.wait(10) == 0
    assert "Connection refused" in outcome.broken
    assert 40 <= outcome.good.sum() <= 60
    assert len(outcome.good) < 200 * 5.0
    assert outcome.wall_s < 5.0
    assert invalid(outcome).startswith("the server went away after")


def test_a_closed_loop_ends_with_its_server() -> None:
    with known_server(0.001, count=50) as (process, port):
        outcome = closed_loop(one_request(port), connections=2, seconds=10.0)
        assert process.wait(10) == 0
    assert "Connection refused" in outcome.broken
    assert 40 <= outcome.good.sum() <= 60


def test_an_interrupt_ends_the_run_and_keeps_its_requests() -> None:
    with known_server(0.001) as (_, port):
        interrupt = threading.Thread(target=_interrupt_under_load, args=(port,))
        interrupt.start()
        outcome = open_loop(one_request(port), poisson_arrivals(200, 30.0, seed=4))
        interrupt.join()
    assert outcome.interrupted
    assert 10 < outcome.good.sum() < 6000
    assert invalid(outcome).startswith("interrupted after")


def _interrupt_under_load(port: int) -> None:
    wait_for(lambda: connections(port) >= 32, 20, "the connections")
    threading.Event().wait(0.3)  # of requests
    os.kill(os.getpid(), signal.SIGINT)


def test_no_server_to_begin_with_is_an_error() -> None:
    with known_server(0.001) as (process, port):
        process.kill()
        process.wait()
        with pytest.raises(ConnectionRefusedError):
            open_loop(one_request(port), np.zeros(1))


def test_requests_are_sent_in_turn_over_kept_connections() -> None:
    requests = [http_request("localhost", f"/{place}", b"x" * place) for place in (1, 100, 300_000)]
    with empty_endpoint("http") as address:
        outcome = closed_loop(Traffic(address, Http1, requests), connections=2, seconds=0.3)
    assert outcome.good.all()
    assert len(outcome.good) > 10
