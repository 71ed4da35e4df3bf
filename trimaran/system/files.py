"""Files and directories that appear complete or not at all, and locks."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import os
import shlex
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO

from trimaran.system.errors import TrimaranError

__all__ = [
    "exclusive_lock",
    "flush_tree",
    "one_word",
    "read_regular",
    "replacing",
    "scratch_directory",
    "sha256_of",
    "shared_lock",
    "short_path",
    "temporary_directory",
    "write_bytes",
    "write_text",
]

_LOCK_NAME = ".lock"


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A text file that takes the place of `path` when the block ends, and never if it fails."""
    with _replacing(path) as binary:
        text = io.TextIOWrapper(binary, encoding="utf-8", newline="")
        try:
            yield text
        finally:  # flushes, and leaves the closing to the file underneath
            text.detach()


def write_text(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace `path` with `text` in one rename, so that a reader sees the old or the new text."""
    with _replacing(path, mode) as file:
        file.write(text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` with `content` in one rename, so that a reader sees the old or the new."""
    with _replacing(path) as file:
        file.write(content)


@contextmanager
def _replacing(path: Path, mode: int = 0o644) -> Iterator[BinaryIO]:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_regular(path: Path, start: int = 0, most: int = -1) -> bytes:
    """The content of a file from its byte `start` on, `most` bytes of it unless that is negative.

    Raises `OSError`, also where it is a pipe, a device or a directory.

    Those may never end, or never begin.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        file.seek(start)
        return file.read(most)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def one_word(directory: Path) -> Path:
    """A path to a directory for programs that put it into a command line without quotes.

    Raises `TrimaranError` as `short_path` does.
    """
    plain = shlex.quote(str(directory)) == str(directory)
    return directory if plain else short_path(directory)


def short_path(directory: Path) -> Path:
    """Another path to a directory: 21 plain characters, for programs that take only such.

    It is a link in `/tmp`. Raises `TrimaranError` if that link belongs to another user.
    """
    digest = hashlib.sha256(f"{os.getuid()} {directory}".encode()).hexdigest()[:12]
    link = Path(f"/tmp/tri-{digest}")  # noqa: S108 - its owner and target are checked
    with suppress(FileExistsError):
        link.symlink_to(directory)
    owner = link.lstat().st_uid
    if owner != os.getuid() or not link.is_symlink() or link.readlink() != directory:
        raise TrimaranError(f"{link} is not this user's link to {directory}; remove it")
    return link


def flush_tree(root: Path) -> None:
    """Force every file below `root` to the disk, so that a rename never precedes its content."""
    for path in (root, *root.rglob("*")):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def exclusive_lock(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold an advisory lock on `path`: wait for its owner; the lock ends with this process.

    The file's time of modification is when the lock was last taken. Without `wait` it raises
    `BlockingIOError` where another process holds it.
    """
    with _lock(path, fcntl.LOCK_EX, wait=wait):
        yield


@contextmanager
def shared_lock(path: Path, *, wait: bool = True) -> Iterator[None]:
    """The same, for many owners at a time; an exclusive lock on `path` excludes them all."""
    with _lock(path, fcntl.LOCK_SH, wait=wait):
        yield


@contextmanager
def _lock(path: Path, kind: int, *, wait: bool) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    # For both directions, which waits for nobody where the file is a pipe.
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "rb", buffering=0) as file:
        fcntl.flock(file, kind if wait else kind | fcntl.LOCK_NB)
        os.utime(file.fileno())
        yield


@contextmanager
def scratch_directory(parent: Path) -> Iterator[Path]:
    """A fresh directory below `parent`, removed at the end.

    What a killed process left behind is removed too: each directory is locked by its owner, and a
    lock that is free has no owner.
    """
    parent.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(parent / _LOCK_NAME):
        _remove_abandoned(parent)
        own = Path(tempfile.mkdtemp(dir=parent))
        own.chmod(0o755)
        lock = (own / _LOCK_NAME).open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        content = own / "content"
        content.mkdir()
        yield content
    finally:
        shutil.rmtree(own, ignore_errors=True)
        lock.close()


@contextmanager
def temporary_directory(*, for_sockets: bool = False) -> Iterator[Path]:
    """A fresh directory that this user alone may enter, removed at the end.

    It is below the system's for temporary files, or below `/tmp` for UNIX sockets, whose path has
    108 bytes at most. What killed processes of this user left there is removed. Raises
    `TrimaranError` where another user stands in the way.
    """
    system = Path("/tmp" if for_sockets else tempfile.gettempdir())  # noqa: S108 - see the check
    parent = system / f"trimaran-{os.getuid()}"
    with suppress(FileExistsError):
        parent.mkdir(mode=0o700)
    found = parent.lstat()
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    if not own or found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise TrimaranError(f"{parent} is no folder that this user alone may enter; remove it")
    with scratch_directory(parent) as directory:
        yield directory


def _remove_abandoned(parent: Path) -> None:
    for entry in parent.iterdir():
        if not entry.is_dir():
            continue
        with suppress(OSError), (entry / _LOCK_NAME).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(entry, ignore_errors=True)
