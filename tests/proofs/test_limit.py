"""`python -m proofs.limit`: the work of a served model in plain processes."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading

import pytest

from loadtests.bench.compare import Sample, Turns, take_turns
from proofs.jobs.customers import draw_customers
from proofs.jobs.published import record_files
from proofs.limit import limit, main, shares_of_limit
from tests.running import Served


@pytest.fixture(autouse=True)
def short_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the batch size that is fastest here, which these tests do not ask."""
    monkeypatch.setattr("proofs.limit._TRY_S", 0.05)


def test_an_interrupt_ends_the_limit_and_its_processes_ignore_it(churn_served: Served) -> None:
    files = record_files(churn_served.repository)
    records = [json.dumps(record).encode() for record in draw_customers(8, seed=1)]

    def interrupt() -> None:
        for process in multiprocessing.active_children():
            os.kill(process.pid or 0, signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with limit(files, records, 30.0) as bound:
        timer = threading.Timer(0.3, interrupt)
        timer.start()
        turns = take_turns([bound], 3)
        timer.join()
        assert turns.invalid == "interrupted"
        assert turns.ended == Sample({}, invalid="interrupted", ended=True)
        assert len(multiprocessing.active_children()) == len(os.sched_getaffinity(0))
    assert not multiprocessing.active_children()
    assert shares_of_limit(turns) == {"rate / in-process limit": "invalid: interrupted"}


@pytest.mark.long
def test_the_command_prints_the_limit_and_the_share_that_is_reached(
    churn_served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--duration", "900ms", "--repository", str(churn_served.repository.root)]
    status = main(["churn_record@generate", *options])
    out = capsys.readouterr().out
    if status == 2:  # too many invalid turns, on a busy machine
        assert "rate / in-process limit: invalid: " in out
        return
    assert status == 0
    for name in (
        "in-process limit, rows/s",
        "in-process limit, CPU ms per row",
        "rate / in-process limit",
        "CPU per row / in-process limit",
    ):
        assert f"{name}: " in out


def test_shares_are_those_of_the_turns() -> None:
    ours, theirs = Sample({"rate": 80.0, "CPU": 1.5}), Sample({"rate": 100.0, "CPU": 1.0})
    found = shares_of_limit(Turns([[ours, theirs]] * 6, wanted=6))
    assert found == {
        "in-process limit, rows/s": 100.0,
        "in-process limit, CPU ms per row": 1.0,
        "rate / in-process limit": "0.80 (0.80 to 0.80)",
        "CPU per row / in-process limit": "1.50 (1.50 to 1.50)",
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["churn"], "churn@http does no job that is known here; name an image ensemble"),
        (["nothing"], "has no model 'nothing'"),
        (["churn_record", "--duration", "soon"], "--duration"),
    ],
)
def test_mistakes_are_one_sentence_and_status_2(
    churn_served: Served,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    assert main([*arguments, "--repository", str(churn_served.repository.root)]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert words in error
