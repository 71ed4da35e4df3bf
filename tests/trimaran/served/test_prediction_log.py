"""The thread between the model and the disk, and its rotated files on a disk without room."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.running import PROJECT, wait_for
from trimaran.served.prediction_line import TRIAL, Answered
from trimaran.served.prediction_log import PredictionFiles, PredictionLog, Written

THREE = Answered(0.0, "", None, {}, [b"a", b"b", b"c"])


class Files:
    """Keeps what is written, and stops or fails where a test wants it."""

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
    written: list[Written] = []
    return PredictionLog(files, texts, written.append, most_waiting), written  # type: ignore[arg-type]


def test_answers_that_try_a_release_are_not_logged() -> None:
    files = Files()
    log, written = opened(files)
    log.add(replace(THREE, request_id=TRIAL))
    log.add(replace(THREE, request_id="r", texts=[b"d"]))
    log.close()
    assert files.lines == [b"d"]
    assert sum(each.logged for each in written) == 1


def test_what_is_added_is_written_soon_and_the_rest_at_the_end() -> None:
    files = Files()
    log, written = opened(files)
    log.add(THREE)
    wait_for(lambda: files.lines == [b"a", b"b", b"c"], 5, "the lines")
    log.add(replace(THREE, texts=[b"d"]))
    log.close()
    assert files.lines[3:] == [b"d"]
    assert files.closed
    assert sum(each.logged for each in written) == 4


def test_nobody_waits_for_a_disk_that_hangs() -> None:
    files = Files()
    files.go_on.clear()
    log, written = opened(files, most_waiting=30)
    for _ in range(100):
        log.add(THREE)
    files.go_on.set()
    log.close()
    logged = sum(each.logged for each in written)
    dropped = sum(each.dropped_queue for each in written)
    assert logged == len(files.lines)
    assert logged + dropped == 300
    assert 30 <= logged <= 60
    assert not any(each.dropped_disk for each in written)


def test_a_key_that_cannot_be_made_costs_the_lines_and_not_the_thread() -> None:
    files = Files()
    written: list[Written] = []
    calls = iter([OSError(28, "No space left on device"), None])

    def lines(answered: Answered) -> Iterator[bytes]:
        if error := next(calls):
            raise error
        return texts(answered)

    log = PredictionLog(files, lines, written.append)  # type: ignore[arg-type]
    log.add(THREE)
    wait_for(lambda: written, 5, "the count")
    log.add(THREE)
    log.close()
    assert [each.dropped_disk for each in written] == [3, 0]
    assert files.lines == [b"a", b"b", b"c"]


def test_what_finds_no_room_is_counted_with_its_error() -> None:
    files = Files()
    files.fails = True
    log, written = opened(files)
    log.add(THREE)
    wait_for(lambda: written, 5, "the count")
    assert written[0] == Written(0, 0, 3, error=written[0].error)
    assert "No space left" in str(written[0].error)
    files.fails = False
    log.add(THREE)
    log.close()
    assert written[1] == Written(3, 0, 0)


def test_what_cannot_be_written_is_counted_and_ends_no_thread() -> None:
    files = Files()
    written: list[Written] = []

    def lines(answered: Answered) -> Iterator[bytes]:
        yield b"first\n"
        yield b""
        if answered.request_id:
            raise RecursionError
        yield b"third\n"

    def report(each: Written) -> None:
        written.append(each)
        raise RuntimeError("Triton takes no counts")

    log = PredictionLog(files, lines, report)  # type: ignore[arg-type]
    log.add(replace(THREE, request_id="deep"))
    log.drop(2)
    wait_for(lambda: written, 5, "the count")
    log.add(THREE)
    log.close()
    assert [each.dropped_record for each in written] == [4, 1]
    assert [each.logged for each in written] == [1, 2]
    assert files.lines == [b"first", b"first", b"third"]


def whole(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(directory.glob("*.jsonl")))


def test_lines_come_in_order_over_several_files(tmp_path: Path) -> None:
    files = PredictionFiles(tmp_path, 16 * 100)
    lines = [b"%06d\n" % number for number in range(100)]
    for line in lines:
        files.write(line)
    files.close()
    found = list(tmp_path.glob("*.jsonl"))
    assert len(found) > 5
    assert all(path.stat().st_size <= 107 for path in found)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in found)
    assert whole(tmp_path) == b"".join(lines)


def test_the_oldest_go_when_all_take_too_much(tmp_path: Path) -> None:
    other = tmp_path / "20200101T000000.000000-1.jsonl"
    other.write_bytes(b"of another process\n")
    files = PredictionFiles(tmp_path, 1600)
    for number in range(1000):
        files.write(b"%06d\n" % number)
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1600
    files.close()
    kept = whole(tmp_path)
    assert not other.exists()
    assert kept.endswith(b"000999\n")
    assert len(kept) > 1300


def test_a_file_that_was_removed_is_followed_by_another(tmp_path: Path) -> None:
    files = PredictionFiles(tmp_path, 1 << 20)
    files.write(b"first\n")
    for path in tmp_path.iterdir():
        path.unlink()
    files.write(b"second\n")
    assert whole(tmp_path) == b"second\n"
    (next(tmp_path.iterdir())).unlink()
    tmp_path.rmdir()
    with pytest.raises(FileNotFoundError):
        files.write(b"third\n")


FULL = """
import resource, sys
from pathlib import Path
from trimaran.served.prediction_log import PredictionFiles
files = PredictionFiles(Path(sys.argv[1]), 1 << 20)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
failed = 0
for number in range(30):
    try:
        files.write(b"%06d\\n" % number * 10)
    except OSError:
        failed += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
files.write(b"again\\n")
print(failed)
"""


def test_lines_that_find_no_room_leave_no_part_of_them(tmp_path: Path) -> None:
    outcome = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(outcome.stdout) == 30 - 1000 // 70
    lines = whole(tmp_path).splitlines()
    assert lines == [b"%06d" % (number // 10) for number in range(140)] + [b"again"]
