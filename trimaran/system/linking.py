"""What a program needs of this machine, by the words of the dynamic loader."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trimaran.system.debian import can_unpack, library_path, unpacked
from trimaran.system.errors import TrimaranError

__all__ = ["Lacking", "joined_path", "lacking", "package_of", "provided", "read_lacking", "remedy"]

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


@dataclass(frozen=True)
class Lacking:
    """What a program needs and the loader does not find."""

    libraries: Sequence[str] = ()
    versions: Sequence[str] = ()
    """Symbol versions that the libraries of this machine are too old for, such as `GLIBC_2.38`."""
    foreign: bool = False
    """The file is no program for this machine at all."""

    def __bool__(self) -> bool:
        return bool(self.libraries or self.versions or self.foreign)


def package_of(library: str) -> str:
    """Debian's package of a library, or an empty string where none is known."""
    python = _PYTHON.fullmatch(library)
    return python[1] if python else _PACKAGES.get(library, "")


def read_lacking(output: str) -> Lacking:
    """What is missing by the output of `ldd`."""
    libraries = dict.fromkeys(_LIBRARY.findall(output))
    versions = dict.fromkeys(found for _, found in _VERSION.findall(output))
    return Lacking(tuple(libraries), tuple(versions), _FOREIGN in output)


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


def provided(found: Lacking) -> tuple[str, str]:
    """What can be brought of the missing libraries, and why others could not be.

    The first is a value for `LD_LIBRARY_PATH`; either is empty where there is nothing to say.
    """
    packages = [package for name in found.libraries if (package := package_of(name))]
    if not packages or not can_unpack():
        return "", ""
    try:
        return library_path(unpacked(*packages)), ""
    except TrimaranError as error:
        return "", str(error)


def joined_path(*values: str | None) -> str:
    """One value for a variable that lists directories; empty ones are left out."""
    return os.pathsep.join(value for value in values if value)


def remedy(found: Lacking, glibc: str) -> str:
    """All that is missing in words, and how to get it; `glibc` is this machine's version."""
    if found.foreign:
        return "it is no program for this machine, which must be x86-64 Linux with glibc"
    wants = [*found.libraries, *found.versions]
    words = f"it needs {', '.join(wants)}, which this machine (glibc {glibc}) does not have"
    packages = dict.fromkeys(filter(None, map(package_of, found.libraries)))
    unknown = [name for name in found.libraries if not package_of(name)]
    remedies = []
    if packages:
        remedies.append(f"'apt-get install {' '.join(packages)}'")
    if unknown:
        remedies.append(f"install what brings {', '.join(unknown)}")
    if found.versions:
        remedies.append("run inside a newer distribution")
    return f"{words}: {', and '.join(remedies)}"
