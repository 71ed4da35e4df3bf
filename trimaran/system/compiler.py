"""A C++ compiler, as AOTInductor needs one: the machine's, or Debian's, unpacked without root.

It is the one that the environment variable `CXX` names, else `g++` on `PATH`, else Debian's or
Ubuntu's `g++`, downloaded into the cache where the machine has apt. The unpacked one is called by a
script of its name, which sets its libraries and headers for the compiler alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trimaran.system.debian import (
    can_unpack,
    is_unpacked,
    joined_path,
    library_path,
    unpacked,
)
from trimaran.system.errors import TrimaranError
from trimaran.system.files import write_text

__all__ = ["Compiler", "find_compiler"]

_GXX = "g++"
_CALLED = (_GXX, "gcc")
"""What torch calls, and what its Triton calls for a GPU."""
_SCRIPT = """\
#!/bin/sh
root=${0%/*}/..
export PATH="$root/usr/bin:$PATH"
export LD_LIBRARY_PATH="@libraries@"
exec "$root/usr/bin/${0##*/}" "--sysroot=$root" "$@"
"""


@dataclass(frozen=True)
class Compiler:
    """A C++ compiler that was found, and has said its version."""

    command: str
    """A name or a path. torch splits its command lines at spaces, so no path of ours is in it."""
    version: str
    """Its own first line, such as `g++ (Debian 12.2.0-14) 12.2.0`."""
    folder: Path | None = None
    """Where `command` is, if that is not on `PATH`."""

    @property
    def path(self) -> Path:
        """The file that is run."""
        found = shutil.which(self.command, path=self.environment.get("PATH"))
        return Path(found or self.command)

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process needs in addition to this process' environment."""
        return _in_front(self.folder)


def find_compiler(*, download: bool = True) -> Compiler:
    """The machine's compiler, or Debian's, which is downloaded at the first call.

    Without `download` it is only one that is here already. Raises `TrimaranError` with the reason
    where there is none.
    """
    named = os.environ.get("CXX")
    command = named or _GXX
    elsewhere = not named and not shutil.which(_GXX) and can_unpack()
    folder = _unpacked() if elsewhere and (download or is_unpacked(_GXX, whole=True)) else None
    return Compiler(command, _version(command, folder), folder)


def _unpacked() -> Path:
    """A directory with scripts that call Debian's compiler."""
    root = unpacked(_GXX, whole=True)
    folder = root / "calling"
    libraries = library_path(root).replace(str(root), "$root")
    for name in _CALLED:
        if not (folder / name).is_file():
            write_text(folder / name, _SCRIPT.replace("@libraries@", libraries), mode=0o755)
    return folder


def _version(command: str, folder: Path | None) -> str:
    try:
        said = subprocess.run(
            [command, "--version"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, **_in_front(folder)},
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise TrimaranError(f"{command!r} cannot be run here") from error
    return said.splitlines()[0].strip()


def _in_front(folder: Path | None) -> Mapping[str, str]:
    """`PATH` with a directory in front of it."""
    return {"PATH": joined_path(str(folder), os.environ.get("PATH"))} if folder else {}
