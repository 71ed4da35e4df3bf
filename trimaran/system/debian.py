"""Debian's packages without root: apt downloads and checks them, and the cache is where they lie.

    root = unpacked("prometheus")
    root / "usr/bin/prometheus"

The machine itself stays as it is: nothing is installed, no service is started, and apt's lists and
archives of this use are the user's own. What the machine already has is not brought again, so a
program from such a package runs with `library_path(root)` in front of what the machine has.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from trimaran.system.cache import cache_directory
from trimaran.system.errors import TrimaranError
from trimaran.system.files import exclusive_lock, scratch_directory

__all__ = ["can_unpack", "library_path", "unpacked"]

_STATUS = Path("/var/lib/dpkg/status")
_LISTS_FRESH_S = 3600.0
_NEVER = ("libc6_", "libc-bin_")
"""Another C library than the machine's loader belongs to would break every program."""
_SHOWN = ("Need to get", "Get:", "Fetched")
"""How the lines of apt begin that tell what is downloaded."""


def can_unpack() -> bool:
    """Whether this machine has apt, with sources to take packages from."""
    return bool(shutil.which("apt-get") and shutil.which("dpkg-deb")) and _STATUS.is_file()


def unpacked(*packages: str) -> Path:
    """A directory that holds the files of some packages, and of those they need, as below `/`.

    They are brought when they are asked for the first time. Raises `TrimaranError` with apt's
    reason.
    """
    home = cache_directory() / "debian" / _release()
    target = home / "+".join(sorted(packages))
    with exclusive_lock(home / ".lock"):
        if not target.is_dir():
            print(f"bringing {', '.join(packages)} from Debian's packages", file=sys.stderr)
            # Kept until all is unpacked, so that a broken download goes on where it stopped.
            archives = home / "archives" / target.name
            _download(packages, home / "apt", archives)
            with scratch_directory(home / "unpacking") as scratch:
                root = scratch / "root"
                for archive in sorted(archives.glob("*.deb")):
                    if not archive.name.startswith(_NEVER):
                        _run("dpkg-deb", "--extract", str(archive), str(root))
                root.rename(target)
            shutil.rmtree(archives)
    return target


def library_path(root: Path) -> str:
    """A value for `LD_LIBRARY_PATH` that has the libraries of an unpacked directory."""
    folders = [
        folder
        for pattern in ("usr/lib/*-linux-gnu", "lib/*-linux-gnu", "usr/lib/*-linux-gnu/pulseaudio")
        for folder in root.glob(pattern)
    ]
    return os.pathsep.join(map(str, folders))


def _release() -> str:
    """The distribution's name and version, since an upgrade brings other libraries."""
    try:
        found = platform.freedesktop_os_release()
    except OSError:
        return "unknown"
    return f"{found.get('ID', 'unknown')}-{found.get('VERSION_ID', 'rolling')}"


def _download(packages: tuple[str, ...], state: Path, archives: Path) -> None:
    """Download the packages and what they need beside what is installed."""
    for folder in (state / "lists" / "partial", archives / "partial"):
        folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "Dir::State": state,
        "Dir::State::Lists": state / "lists",
        "Dir::State::status": _STATUS,
        "Dir::Cache": state,
        "Dir::Cache::archives": archives,
        "Dir::Log": state,
        "Debug::NoLocking": 1,
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Retries": 1,
        "Acquire::http::Timeout": 30,
        "Acquire::https::Timeout": 30,
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    # A source of the machine that does not answer matters only if a package is missing then.
    failure = _update(options, state / "updated")
    try:
        _run(
            *("apt-get", *options, "--quiet=1", "--yes", "--no-install-recommends"),
            *("--download-only", "--reinstall", "install", *packages),
        )
    except TrimaranError as error:
        raise TrimaranError(f"{error}{f' ({failure})' if failure else ''}") from error


def _update(options: list[str], stamp: Path) -> str:
    """Read the sources' lists, unless that was done lately; the reason where it failed."""
    if stamp.is_file() and time.time() - stamp.stat().st_mtime < _LISTS_FRESH_S:
        return ""
    try:
        _run("apt-get", *options, "-o", "APT::Update::Error-Mode=any", "--quiet=1", "update")
    except TrimaranError as error:
        return str(error)
    stamp.touch()
    return ""


def _run(*command: str) -> None:
    """Run a command and show what it fetches. Raises `TrimaranError` with its reason."""
    with (
        tempfile.TemporaryFile("w+", errors="replace") as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            errors="replace",
            env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
        ) as process,
    ):
        try:
            for line in process.stdout or ():
                if line.startswith(_SHOWN):
                    print(f"  {line.rstrip()}", file=sys.stderr)
            if process.wait() == 0:
                return
        except BaseException:  # whoever comes next must not find it at work
            process.kill()
            process.wait()
            raise
        errors.seek(0)
        lines = errors.read().strip().splitlines()
    reasons = [line.removeprefix("E: ") for line in lines if line.startswith("E:")]
    reason = (reasons or lines or [f"it ended with status {process.returncode}"])[0]
    raise TrimaranError(f"{command[0]} failed: {reason}")
