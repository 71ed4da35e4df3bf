"""A profile that is ended in its turns says so, and keeps what was measured."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading

import pytest

from loadtests.bench.block import Block
from loadtests.bench.limit import limit
from loadtests.bench.plan import profile
from loadtests.bench.settings import Settings
from loadtests.bench.target import Target
from loadtests.bench.turns import Sample, take_turns
from loadtests.jobs.published import record_files
from loadtests.judging.gates import Gates
from loadtests.payloads.records import draw_records
from tests.loadtests.knowing import known_server, one_request
from tests.running import Served


def test_an_interrupt_beside_the_limit_ends_it_and_its_processes_do_not_hear_it(
    churn_served: Served,
) -> None:
    files = record_files(churn_served.repository)
    records = [json.dumps(record).encode() for record in draw_records(8, seed=1)]

    def interrupt() -> None:
        for process in multiprocessing.active_children():
            os.kill(process.pid or 0, signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with limit(files, records, 30.0) as bound:
        timer = threading.Timer(0.3, interrupt)
        timer.start()
        turns = take_turns([bound], 3)
        timer.join()
        assert turns.void == "interrupted"
        assert turns.ended == Sample({}, void="interrupted", ended=True)
        assert len(multiprocessing.active_children()) == len(os.sched_getaffinity(0))
    assert not multiprocessing.active_children()


def test_a_profile_ends_where_the_turns_beside_the_limit_are_ended() -> None:
    with known_server(0.001) as (_, port):
        target = Target("known", "http", one_request(port), "an empty object")
        settings = Settings(0.2, 0, 2, Gates(), float("inf"), lambda block: None)
        ended = Sample({}, void="interrupted", ended=True)
        measured = profile(target, settings, lambda turn: ended)
    assert [block.run.load for block in measured.blocks] == ["2 connections", "1 connection"]
    assert measured.void == "interrupted"
    assert measured.figures["rate / in-process limit"] == "void: interrupted"


@pytest.mark.parametrize("blocks", [2, 6])
def test_a_profile_that_is_interrupted_keeps_what_was_measured(blocks: int) -> None:
    told: list[Block] = []

    def tell(block: Block) -> None:
        told.append(block)
        if len(told) == blocks:
            raise KeyboardInterrupt

    with known_server(0.01) as (_, port):
        target = Target("known", "http", one_request(port), "an empty object")
        settings = Settings(0.3, 0, 2, Gates(), float("inf"), tell)
        measured = profile(target, settings)
    assert measured.void == "interrupted"
    assert len(told) == blocks
    kept = [block.run.load for block in measured.blocks]
    assert kept[:2] == ["2 connections", "1 connection"]
    assert len(kept) >= min(blocks, 5)
