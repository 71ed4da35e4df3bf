"""Files appear whole or not at all, and what a killed process left is removed."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from trimaran.system.errors import TrimaranError
from trimaran.system.files import (
    exclusive_lock,
    flush_tree,
    one_word,
    read_regular,
    replacing,
    scratch_directory,
    sha256_of,
    temporary_directory,
    write_text,
)


def test_a_text_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    write_text(path, "one")
    write_text(path, "zwei\n🚢")
    assert path.read_text(encoding="utf-8") == "zwei\n🚢"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.txt"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_text_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "half of it, then \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_fails_leaves_the_old_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail() -> None:
        with replacing(path) as file:
            file.write("half of it")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_sees_the_old_or_the_new_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    texts = ["a" * 100_000, "b" * 200_000]
    write_text(path, texts[0])
    done = threading.Event()

    def write() -> None:
        for index in range(100):
            write_text(path, texts[index % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add(path.read_text())
    writer.join()
    assert seen == set(texts)


def test_a_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"\x00" * 5_000_000 + b"end")
    assert sha256_of(path) == hashlib.sha256(path.read_bytes()).hexdigest()


class Disk:
    """What was forced to the disk, by inode and size, before each rename."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.flushed: set[tuple[int, int]] = set()
        self.before_rename: list[set[tuple[int, int]]] = []
        fsync, replace = os.fsync, os.replace

        def flush(descriptor: int) -> None:
            fsync(descriptor)
            found = os.fstat(descriptor)
            self.flushed.add((found.st_ino, found.st_size))

        def rename(source: Path, target: Path) -> None:
            self.before_rename.append(set(self.flushed))
            replace(source, target)

        monkeypatch.setattr(os, "fsync", flush)
        monkeypatch.setattr(os, "replace", rename)

    def __contains__(self, path: Path) -> bool:
        return (path.stat().st_ino, path.stat().st_size) in self.flushed


def test_a_tree_is_flushed_to_its_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_text("x")
    disk = Disk(monkeypatch)
    flush_tree(tmp_path)
    assert all(path in disk for path in (tmp_path, *tmp_path.rglob("*")))
    with pytest.raises(FileNotFoundError):
        flush_tree(tmp_path / "missing")


def test_a_text_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    write_text(tmp_path / "a.txt", "whole")
    found = (tmp_path / "a.txt").stat()
    assert disk.before_rename == [{(found.st_ino, len("whole"))}]


def held_elsewhere(path: Path) -> bool:
    """Whether another one holds it alone: it could not even be shared."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def test_a_lock_is_held_by_one_and_ends_with_the_block(tmp_path: Path) -> None:
    path = tmp_path / "state" / "a.lock"
    with exclusive_lock(path):
        assert held_elsewhere(path)
    assert not held_elsewhere(path)


def test_a_pipe_or_a_device_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(OSError, match="not a regular file"):
            read_regular(path)
    with exclusive_lock(pipe):
        assert pipe.is_fifo()


def start(code: str, *arguments: Path) -> subprocess.Popen[str]:
    """A process that runs `code`, once it has printed a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"import sys\nfrom pathlib import Path\n{code}", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    process = start(
        "from trimaran.system.files import exclusive_lock\n"
        "with exclusive_lock(Path(sys.argv[1])):\n    print('ready', flush=True); input()",
        path,
    )
    assert held_elsewhere(path)
    kill(process)
    assert not held_elsewhere(path)


def test_a_scratch_directory_is_gone_after_the_block(tmp_path: Path) -> None:
    with scratch_directory(tmp_path / "staging") as scratch:
        (scratch / "deep").mkdir()
        (scratch / "deep" / "file").write_text("x")
    assert directories(tmp_path / "staging") == []
    with pytest.raises(ValueError, match="on purpose"), scratch_directory(tmp_path / "staging"):
        raise ValueError("on purpose")
    assert directories(tmp_path / "staging") == []


def directories(parent: Path) -> list[str]:
    return [entry.name for entry in parent.iterdir() if entry.is_dir()]


def test_what_a_killed_process_left_is_removed_and_what_is_in_use_is_not(tmp_path: Path) -> None:
    code = (
        "from trimaran.system.files import scratch_directory\n"
        "with scratch_directory(Path(sys.argv[1])) as scratch:\n"
        "    (scratch / 'model.onnx').write_bytes(b'half')\n"
        "    print('ready', flush=True); input()"
    )
    killed, running = start(code, tmp_path), start(code, tmp_path)
    kill(killed)
    assert len(directories(tmp_path)) == 2
    with scratch_directory(tmp_path):
        assert len(directories(tmp_path)) == 2
        assert len(list(tmp_path.rglob("model.onnx"))) == 1
    running.communicate("\n")
    assert running.returncode == 0
    assert directories(tmp_path) == []


def test_nobody_else_may_enter_a_temporary_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with temporary_directory() as made:
        (parent,) = tmp_path.iterdir()
        assert made.is_relative_to(parent)
        assert parent.stat().st_mode & 0o777 == 0o700
    assert directories(parent) == []
    parent.chmod(0o755)
    with pytest.raises(TrimaranError, match="this user alone"), temporary_directory():
        pass


def test_a_path_that_a_shell_would_split_is_given_under_another_name(tmp_path: Path) -> None:
    assert one_word(tmp_path) == tmp_path
    spaced = tmp_path / "my cache; rm"
    spaced.mkdir()
    alias = one_word(spaced)
    try:
        assert alias.resolve() == spaced
        assert len(str(alias)) == len("/usr/share/prometheus")
        assert one_word(spaced) == alias
        alias.unlink()
        alias.symlink_to(tmp_path)
        with pytest.raises(TrimaranError, match="not this user's link"):
            one_word(spaced)
    finally:
        alias.unlink()
