"""What a program needs of this machine, by the words of the dynamic loader."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Lacking", "lacking", "read_lacking", "remedy"]

_LIBRARY = re.compile(r"^\s*(\S+) => not found", re.MULTILINE)
_VERSION = re.compile(r"^\S+: (\S+): version `(\S+)' not found", re.MULTILINE)
_FOREIGN = "not a dynamic executable"

_PACKAGES = {
    "libb64.so.0d": "libb64-0d",
    "libcrypto.so.3": "libssl3",
    "libssl.so.3": "libssl3",
    "libstdc++.so.6": "libstdc++6",
    "libgcc_s.so.1": "libgcc-s1",
    "libz.so.1": "zlib1g",
}
"""Debian's package of a library."""


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


def remedy(found: Lacking, glibc: str) -> str:
    """All that is missing in words, and how to get it; `glibc` is this machine's version."""
    if found.foreign:
        return "it is no program for this machine, which must be x86-64 Linux with glibc"
    wants = [*found.libraries, *found.versions]
    words = f"it needs {', '.join(wants)}, which this machine (glibc {glibc}) does not have"
    packages = dict.fromkeys(_PACKAGES[name] for name in found.libraries if name in _PACKAGES)
    unknown = [name for name in found.libraries if name not in _PACKAGES]
    remedies = []
    if packages:
        remedies.append(f"'apt-get install {' '.join(packages)}'")
    if unknown:
        remedies.append(f"install what brings {', '.join(unknown)}")
    if found.versions:
        remedies.append("run inside a newer distribution")
    return f"{words}: {', and '.join(remedies)}"
