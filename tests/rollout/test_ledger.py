"""The ledger of runs: what a kill, a full disk, a changed line and a clock set back leave."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.running import PROJECT
from trimaran.rollout.ledger import Ledger
from trimaran.rollout.runs.story import clocks_set_back
from trimaran.system.errors import TrimaranError

WRITERS = Path(__file__).parent / "killed_writers.py"


def filled(directory: Path, lines: int = 3) -> Ledger:
    ledger = Ledger(directory)
    with ledger.writing() as writer:
        for number in range(lines):
            writer.add("anna", "noted", "churn/1", {"why": f"größer, {number}"})
    return ledger


def add_one(ledger: Ledger) -> None:
    with ledger.writing() as writer:
        writer.add("bo", "noted", "churn/1")


@pytest.mark.parametrize("times", [12, pytest.param(300, marks=pytest.mark.long)])
def test_no_finished_line_is_lost_when_writers_are_killed(tmp_path: Path, times: int) -> None:
    command = [sys.executable, str(WRITERS), str(tmp_path), str(times)]
    ran = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    finished = json.loads(ran.stdout)
    ledger = Ledger(tmp_path)
    add_one(ledger)
    entries = ledger.entries()
    stands = [entry.details.get("text") for entry in entries]
    assert len(finished) >= times
    assert [text for text in stands if text in finished] == finished
    # A writer may be killed between finishing a line and saying so.
    assert len(stands) - 1 - len(finished) <= times
    assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))


def test_a_line_that_was_cut_anywhere_is_set_aside_and_written_anew(tmp_path: Path) -> None:
    whole = filled(tmp_path / "whole").path.read_bytes()
    last = whole.rstrip(b"\n").rindex(b"\n") + 1
    for cut in [*range(last + 1, len(whole), 9), len(whole) - 1]:
        ledger = Ledger(tmp_path / str(cut))
        ledger.directory.mkdir()
        ledger.path.write_bytes(whole[:cut])
        assert len(ledger.entries()) == 2
        assert ledger.read().torn == whole[last:cut]
        add_one(ledger)
        assert [entry.by for entry in ledger.entries()] == ["anna", "anna", "bo"]
        assert (ledger.directory / "ledger.torn").read_bytes() == whole[last:cut] + b"\n"


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        (b'"by": "anna"', b'"by": "evil"', 1),
        (b'"line": 2', b'"line": 3', 2),
        (b", 2", b", 1", 3),
    ],
)
def test_a_changed_line_is_named_and_nothing_is_added_to_it(
    tmp_path: Path, before: bytes, after: bytes, line: int
) -> None:
    ledger = filled(tmp_path)
    changed = ledger.path.read_bytes().replace(before, after, 1)
    ledger.path.write_bytes(changed)
    assert len(ledger.read().entries) == line - 1
    with pytest.raises(TrimaranError, match=f"line {line} was changed"):
        add_one(ledger)
    assert ledger.path.read_bytes() == changed


def test_a_removed_line_is_noticed(tmp_path: Path) -> None:
    ledger = filled(tmp_path)
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    ledger.path.write_bytes(lines[0] + lines[2])
    assert "line 2" in ledger.read().problem


def test_a_disk_that_is_full_in_the_middle_of_a_line_leaves_the_ledger_as_it_was(
    tmp_path: Path,
) -> None:
    ledger = filled(tmp_path)
    before = ledger.path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 40, limits[1]))
    try:
        with pytest.raises(TrimaranError, match="cannot be written: No space left"):
            add_one(ledger)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert ledger.path.read_bytes() == before
    add_one(ledger)
    assert [entry.by for entry in ledger.entries()] == ["anna", "anna", "anna", "bo"]


def test_writers_at_the_same_time_wait_for_one_another(tmp_path: Path) -> None:
    ledger = filled(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: add_one(ledger), range(40)))
    assert len(ledger.entries()) == 43


def test_a_clock_that_was_set_back_breaks_no_order_and_is_told(tmp_path: Path) -> None:
    noon = datetime(2026, 11, 28, 12, tzinfo=UTC)
    for hours in (0, -1, 1):
        with Ledger(tmp_path, lambda: noon + timedelta(hours=hours)).writing() as writer:  # noqa: B023
            writer.add("anna", "noted", "churn/1")
    entries = Ledger(tmp_path).entries()
    assert [entry.time[11:13] for entry in entries] == ["12", "11", "13"]
    assert clocks_set_back(entries) == {2}
