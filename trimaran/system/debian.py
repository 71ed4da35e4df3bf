"""Debian's packages without root, and what a program lacks on this machine.

    root = unpacked("prometheus")
    root / "usr/bin/prometheus"

apt downloads and verifies the packages, and they are unpacked into the cache. The machine is not
changed: nothing is installed, no service starts, and apt uses lists and archives of this user. What
the machine already has is not downloaded, unless by wish, so a program from such a package runs
with `library_path(root)` in front of the machine's own libraries.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trimaran.system.downloads import cache_directory
from trimaran.system.errors import TrimaranError
from trimaran.system.files import exclusive_lock, scratch_directory
from trimaran.system.processes import PIPE, Child

__all__ = [
    "Lacking",
    "can_unpack",
    "is_unpacked",
    "joined_path",
    "lacking",
    "library_path",
    "package_of",
    "provided",
    "read_lacking",
    "remedy",
    "unpacked",
]

_STATUS = Path("/var/lib/dpkg/status")
_LISTS_FRESH_S = 3600.0
_NEVER = ("libc6_", "libc-bin_")
"""A C library other than that of the machine's loader would break every program."""
_SHOWN = (b"Need to get", b"Get:", b"Fetched")
"""The beginnings of apt's lines about downloads."""
_SHARED = re.compile(r"/\S+\.so\.\d+")
"""A shared library that a linker's script names."""
_LIBRARY = re.compile(r"^\s*(\S+) => not found", re.MULTILINE)
_VERSION = re.compile(r"^.+?: (\S+): version `(\S+)' not found", re.MULTILINE)
_FOREIGN = "not a dynamic executable"
_PACKAGES = {
    "libb64.so.0d": "libb64-0d",
    "libcrypto.so.3": "libssl3",
    "libssl.so.3": "libssl3",
    "libstdc++.so.6": "libstdc++6",
    "libgcc_s.so.1": "libgcc-s1",
    "libz.so.1": "zlib1g",
    "libexpat.so.1": "libexpat1",
}
_PYTHON = re.compile(r"(libpython3\.\d+)\.so\.1\.0")


def can_unpack() -> bool:
    """Whether this machine has apt and dpkg."""
    return bool(shutil.which("apt-get") and shutil.which("dpkg-deb")) and _STATUS.is_file()


def unpacked(*packages: str, whole: bool = False) -> Path:
    """A directory with the files of some packages and of their dependencies, laid out as below `/`.

    They are downloaded at the first call. A `whole` directory also has those dependencies that
    this machine has installed, and links to its C library, so that a compiler can take it for `/`.
    Raises `TrimaranError` with apt's reason.
    """
    target = _place(packages, whole=whole)
    home = target.parent
    with exclusive_lock(home / ".lock"):
        if not target.is_dir():
            print(f"downloading {', '.join(packages)} from Debian's packages", file=sys.stderr)
            # Kept until all is unpacked, so that a broken download is resumed.
            archives = home / "archives" / target.name
            _download(packages, home / "apt", archives, installed=not whole)
            with scratch_directory(home / "unpacking") as scratch:
                root = scratch / "root"
                for archive in sorted(archives.glob("*.deb")):
                    if not archive.name.startswith(_NEVER):
                        _run("dpkg-deb", "--extract", str(archive), str(root))
                if whole:
                    _link_c_library(root)
                root.rename(target)
            shutil.rmtree(archives)
    return target


def is_unpacked(*packages: str, whole: bool = False) -> bool:
    """Whether `unpacked` would download nothing."""
    return _place(packages, whole=whole).is_dir()


def _place(packages: Sequence[str], *, whole: bool) -> Path:
    home = cache_directory() / "debian" / _release()
    return home / ("whole-" * whole + "+".join(sorted(packages)))


def library_path(root: Path) -> str:
    """A value for `LD_LIBRARY_PATH` that has the libraries of an unpacked directory."""
    folders = [
        folder
        for pattern in ("usr/lib/*-linux-gnu", "lib/*-linux-gnu", "usr/lib/*-linux-gnu/pulseaudio")
        for folder in root.glob(pattern)
    ]
    return os.pathsep.join(map(str, folders))


@dataclass(frozen=True)
class Lacking:
    """The libraries and versions that a program needs and the loader does not find."""

    libraries: Sequence[str] = ()
    versions: Sequence[str] = ()
    """Symbol versions that the libraries of this machine are too old for, such as `GLIBC_2.38`."""
    foreign: bool = False
    """The file is not a program for this machine."""

    def __bool__(self) -> bool:
        return bool(self.libraries or self.versions or self.foreign)


def lacking(program: Path, environment: Mapping[str, str]) -> Lacking:
    """What `program` lacks if it is started with `environment` added; nothing for a script."""
    with program.open("rb") as file:
        if file.read(2) == b"#!":
            return Lacking()
    try:
        result = subprocess.run(
            ["ldd", str(program)],  # noqa: S607 - where glibc is, so is ldd
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, **environment, "LC_ALL": "C"},
            check=False,
        )
    except FileNotFoundError:
        return Lacking(foreign=True)
    return read_lacking(result.stdout + result.stderr)


def read_lacking(output: str) -> Lacking:
    """Everything that is missing according to the output of `ldd`."""
    libraries = dict.fromkeys(_LIBRARY.findall(output))
    versions = dict.fromkeys(found for _, found in _VERSION.findall(output))
    return Lacking(tuple(libraries), tuple(versions), _FOREIGN in output)


def provided(found: Lacking) -> tuple[str, str]:
    """Download missing libraries: a value for `LD_LIBRARY_PATH`, and why that failed.

    Either is empty where it does not apply.
    """
    packages = [package for name in found.libraries if (package := package_of(name))]
    if not packages or not can_unpack():
        return "", ""
    try:
        return library_path(unpacked(*packages)), ""
    except TrimaranError as error:
        return "", str(error)


def package_of(library: str) -> str:
    """Debian's package of a library, or an empty string where none is known."""
    python = _PYTHON.fullmatch(library)
    return python[1] if python else _PACKAGES.get(library, "")


def remedy(found: Lacking, glibc: str) -> str:
    """Everything that is missing and how to get it; `glibc` is this machine's version."""
    if found.foreign:
        return "it is not a program for this machine, which must be x86-64 Linux with glibc"
    wants = [*found.libraries, *found.versions]
    words = f"it needs {', '.join(wants)}, which this machine (glibc {glibc}) does not have"
    packages = dict.fromkeys(filter(None, map(package_of, found.libraries)))
    unknown = [name for name in found.libraries if not package_of(name)]
    remedies = []
    if packages:
        remedies.append(f"'apt-get install {' '.join(packages)}'")
    if unknown:
        remedies.append(f"install the package that provides {', '.join(unknown)}")
    if found.versions:
        remedies.append("run inside a newer distribution")
    return f"{words}: {', and '.join(remedies)}"


def joined_path(*values: str | None) -> str:
    """One value for a variable that lists directories; empty ones are left out."""
    return os.pathsep.join(value for value in values if value)


def _release() -> str:
    """The distribution's name and version: after an upgrade the libraries are others."""
    try:
        found = platform.freedesktop_os_release()
    except OSError:
        return "unknown"
    return f"{found.get('ID', 'unknown')}-{found.get('VERSION_ID', 'rolling')}"


def _link_c_library(root: Path) -> None:
    """Link to this machine's C library where the linker looks for it below `root`."""
    for script in root.glob("usr/lib/*-linux-gnu/lib[cm].so"):
        for path in _SHARED.findall(script.read_text(encoding="utf-8")):
            link = root / path.lstrip("/")
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                link.symlink_to(path)


def _download(
    packages: tuple[str, ...], state: Path, archives: Path, *, installed: bool = True
) -> None:
    """Download the packages and their dependencies, without what is `installed` if that counts."""
    for folder in (state / "lists" / "partial", archives / "partial"):
        folder.mkdir(parents=True, exist_ok=True)
    nothing = state / "nothing"
    nothing.touch()
    settings = {
        "Dir::State": state,
        "Dir::State::Lists": state / "lists",
        "Dir::State::status": _STATUS if installed else nothing,
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
    # A source that does not answer matters only if a package is then missing.
    failure = _update(options, state / "updated")
    try:
        _run(
            *("apt-get", *options, "--quiet=1", "--yes", "--no-install-recommends"),
            *("--download-only", "--reinstall", "install", *packages),
        )
    except TrimaranError as error:
        raise TrimaranError(f"{error}{f' ({failure})' if failure else ''}") from error


def _update(options: list[str], stamp: Path) -> str:
    """Read the sources' lists, unless that was done recently; the reason where it failed."""
    if stamp.is_file() and time.time() - stamp.stat().st_mtime < _LISTS_FRESH_S:
        return ""
    try:
        _run("apt-get", *options, "-o", "APT::Update::Error-Mode=any", "--quiet=1", "update")
    except TrimaranError as error:
        return str(error)
    stamp.touch()
    return ""


def _run(*command: str) -> None:
    """Run a command and print its downloads. Raises `TrimaranError` with its reason."""
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    with (
        tempfile.TemporaryFile() as errors,
        # Killed if the block fails, so that the next one does not find it at work.
        Child(command, stdout=PIPE, stderr=errors, environment=environment) as process,
    ):
        for line in process.stdout or ():
            if line.startswith(_SHOWN):
                print(f"  {line.decode(errors='replace').rstrip()}", file=sys.stderr)
        if process.status == 0:
            return
        errors.seek(0)
        lines = errors.read().decode(errors="replace").strip().splitlines()
    reasons = [line.removeprefix("E: ") for line in lines if line.startswith("E:")]
    reason = (reasons or lines or [f"it ended with status {process.status}"])[0]
    raise TrimaranError(f"{command[0]} failed: {reason}")
