"""A log keeps its end, and never more than twice its limit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from trimaran.system import bounded_log

LIMIT = 10_000
LINES = [f"line {number}" for number in range(20_000)]


def write(log: Path, directory: Path) -> None:
    with log.open("wb") as output:
        subprocess.run(
            [sys.executable, "-I", "-S", bounded_log.__file__, log, str(LIMIT)],
            input="\n".join(LINES).encode(),
            stdout=output,
            check=True,
            cwd=directory,
        )


def test_it_keeps_the_end_within_its_limit(tmp_path: Path) -> None:
    log, before = tmp_path / "log", tmp_path / "log.1"
    log.touch(0o600)
    write(log, tmp_path)
    assert log.stat().st_size <= LIMIT
    assert before.stat().st_size <= LIMIT
    assert log.stat().st_mode & 0o777 == 0o600
    kept = (before.read_text() + log.read_text()).split("\n")
    assert len(kept) > LIMIT / len("line 10000\n")
    assert kept[1:] == LINES[-len(kept) + 1 :]


def test_a_place_that_cannot_be_written_does_not_stop_it(tmp_path: Path) -> None:
    log = Path("/dev/full")
    if not log.exists():
        pytest.skip("no /dev/full here")
    write(log, tmp_path)
