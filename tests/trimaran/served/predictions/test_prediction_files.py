"""Files that are rotated, and what a disk without room does to them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from trimaran.served import prediction_log as prediction_files
from trimaran.served.prediction_log import PredictionFiles


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
sys.path.insert(0, sys.argv[1])
from prediction_files import PredictionFiles
files = PredictionFiles(Path(sys.argv[2]), 1 << 20)
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
    sources = Path(prediction_files.__file__).parent
    outcome = subprocess.run(
        [sys.executable, "-c", FULL, sources, tmp_path], capture_output=True, text=True, check=True
    )
    assert int(outcome.stdout) == 30 - 1000 // 70
    lines = whole(tmp_path).splitlines()
    assert lines == [b"%06d" % (number // 10) for number in range(140)] + [b"again"]
