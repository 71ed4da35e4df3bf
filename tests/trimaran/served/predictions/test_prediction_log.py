"""The thread between those who answer and the disk."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

from tests.running import wait_for
from trimaran.served.prediction_line import Answered
from trimaran.served.prediction_log import PredictionLog, Written

THREE = Answered(0.0, 0.0, "", None, [b"a", b"b", b"c"], {})


class Files:
    """Keeps what is written, and stops or fails where it is told to."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.fails = False
        self.closed = False

    def write(self, lines: bytes) -> None:
        self.go_on.wait(20)
        if self.fails:
            raise OSError(28, "No space left on device")
        self.lines += lines.splitlines()

    def close(self) -> None:
        self.closed = True


def texts(answered: Answered) -> Iterator[bytes]:
    return (text + b"\n" for text in answered.texts)


def opened(files: Files, most_waiting: int = 1000) -> tuple[PredictionLog, list[Written]]:
    told: list[Written] = []
    return PredictionLog(files, texts, told.append, most_waiting), told  # type: ignore[arg-type]


def test_what_is_added_is_written_soon_and_the_rest_at_the_end() -> None:
    files = Files()
    log, told = opened(files)
    log.add(THREE)
    wait_for(lambda: files.lines == [b"a", b"b", b"c"], 5, "the lines")
    log.add(replace(THREE, texts=[b"d"]))
    log.close()
    assert files.lines[3:] == [b"d"]
    assert files.closed
    assert sum(each.logged for each in told) == 4


def test_nobody_waits_for_a_disk_that_hangs() -> None:
    files = Files()
    files.go_on.clear()
    log, told = opened(files, most_waiting=30)
    for _ in range(100):
        log.add(THREE)
    files.go_on.set()
    log.close()
    logged = sum(each.logged for each in told)
    dropped = sum(each.dropped_queue for each in told)
    assert logged == len(files.lines)
    assert logged + dropped == 300
    assert 30 <= logged <= 60
    assert not any(each.dropped_disk for each in told)


def test_a_key_that_cannot_be_made_costs_the_lines_and_not_the_thread() -> None:
    files = Files()
    told: list[Written] = []
    calls = iter([OSError(28, "No space left on device"), None])

    def lines(answered: Answered) -> Iterator[bytes]:
        if error := next(calls):
            raise error
        return texts(answered)

    log = PredictionLog(files, lines, told.append)  # type: ignore[arg-type]
    log.add(THREE)
    wait_for(lambda: told, 5, "the count")
    log.add(THREE)
    log.close()
    assert [each.dropped_disk for each in told] == [3, 0]
    assert files.lines == [b"a", b"b", b"c"]


def test_what_finds_no_room_is_counted_with_its_error() -> None:
    files = Files()
    files.fails = True
    log, told = opened(files)
    log.add(THREE)
    wait_for(lambda: told, 5, "the count")
    assert told[0] == Written(0, 0, 3, told[0].error)
    assert "No space left" in str(told[0].error)
    files.fails = False
    log.add(THREE)
    log.close()
    assert told[1] == Written(3, 0, 0)
