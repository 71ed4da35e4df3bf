"""The programs that tests run: each is found, downloaded, or named as missing.

    python -m tests.programs     all of them, and one command for those that only root can install

With SKIP_MISSING=1 a missing one is no failure: tests that need it are left out and named.
"""

from __future__ import annotations

import functools
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl
import pytest

from loadtests.perf.binary import find_perf_analyzer
from monitoring.programs import ALERTMANAGER, find_program
from tests.running import PROJECT
from trimaran.gateway.program import find_envoy
from trimaran.system.compiler import find_compiler
from trimaran.system.debian import can_unpack, joined_path, library_path, unpacked
from trimaran.system.errors import TrimaranError
from trimaran.system.files import write_text

SKIP_MISSING = "SKIP_MISSING"
COMPILER = "g++"
_POSTGRESQL = "lib/postgresql/*/bin/postgres"

_FONTS = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
<dir>{fonts}</dir><cachedir>{cache}</cachedir>
<match target="pattern">
<edit name="family" mode="append_last"><string>DejaVu Sans</string></edit>
</match>
</fontconfig>
"""


@dataclass(frozen=True)
class Program:
    """An executable, and what its process needs in addition to this process' environment."""

    path: Path
    environment: Mapping[str, str] = field(default_factory=dict)


def find_chromium() -> Program:
    """The browser of this machine, or Debian's, downloaded into the cache; with one known font.

    The font is matplotlib's, so that every machine measures the same widths.
    """
    state = PROJECT / ".trimaran" / "fonts"
    fonts = Path(mpl.get_data_path()) / "fonts" / "ttf"
    write_text(state / "fonts.conf", _FONTS.format(fonts=fonts, cache=state))
    environment = {"FONTCONFIG_FILE": str(state / "fonts.conf")}
    found = shutil.which("chromium")
    if found:
        return Program(Path(found), environment)
    if not can_unpack():
        raise TrimaranError("chromium is not on PATH")
    root = unpacked("chromium")
    environment["LD_LIBRARY_PATH"] = library_path(root)
    return Program(root / "usr/lib/chromium/chromium", environment)


def _prometheus(*names: str) -> Callable[[], Program]:
    return lambda: Program(find_program(*names))


def _perf_analyzer() -> Program:
    found = find_perf_analyzer()
    return Program(found.executable, found.environment)


def _compiler() -> Program:
    found = find_compiler()
    return Program(found.path, found.environment)


def _of_package(name: str, package: str, libraries: str = "") -> Callable[[], Program]:
    """One of this machine, or that of Debian's package; `libraries` is a folder of its own."""

    def find() -> Program:
        found = shutil.which(name)
        if found:
            return Program(Path(found))
        if not can_unpack():
            raise TrimaranError(f"{name} is not on PATH")
        root = unpacked(package)
        own = [str(root / libraries)] if libraries else []
        path = joined_path(*own, library_path(root))
        return Program(root / "usr/bin" / name, {"LD_LIBRARY_PATH": path})

    return find


def _postgresql() -> Program:
    """The server, with its other programs beside it: this machine's, or Debian's."""
    for path in Path("/usr").glob(_POSTGRESQL):
        return Program(path)
    if not can_unpack():
        raise TrimaranError("no PostgreSQL is in /usr/lib/postgresql")
    root = unpacked("postgresql")
    path = next((root / "usr").glob(_POSTGRESQL))
    return Program(path, {"LD_LIBRARY_PATH": library_path(root)})


def _envoy() -> Program:
    return Program(find_envoy())


_FINDERS: Mapping[str, Callable[[], Program]] = {
    "prometheus": _prometheus("prometheus"),
    "promtool": _prometheus("promtool"),
    "prometheus-alertmanager": _prometheus(*ALERTMANAGER),
    "amtool": _prometheus("amtool"),
    "chromium": find_chromium,
    "perf_analyzer": _perf_analyzer,
    "glewlwyd": _of_package("glewlwyd", "glewlwyd"),
    "systemd-analyze": _of_package(
        "systemd-analyze", "systemd", "usr/lib/x86_64-linux-gnu/systemd"
    ),
    "envoy": _envoy,
    "postgres": _postgresql,
    COMPILER: _compiler,
}
_PACKAGES = {
    "postgres": "postgresql",
    "promtool": "prometheus",
    "amtool": "prometheus-alertmanager",
    "systemd-analyze": "systemd",
}
_LIBRARY_PACKAGES = {"perf_analyzer": "libb64-0d"}


@functools.cache
def _found(name: str) -> Program | TrimaranError:
    try:
        return _FINDERS[name]()
    except TrimaranError as error:
        return error
    except OSError as error:  # a full disk, a cache of another user's
        return TrimaranError(str(error))


def is_here(name: str) -> bool:
    """Whether a program was found, for what tests share and only some of them need."""
    return isinstance(_found(name), Program)


def require(name: str) -> Program:
    """A program that the test at hand runs; without it the test fails, or is left out by wish."""
    found = _found(name)
    if isinstance(found, Program):
        return found
    if os.environ.get(SKIP_MISSING):
        pytest.skip(f"needs {name}, which is not here: {found}")
    pytest.fail(f"{name} is not here: {found}; 'python -m tests.programs' says how to get it")


def main() -> int:
    """Find or download every program; the exit status is 1 where one is missing."""
    missing = {}
    for name in _FINDERS:
        found = _found(name)
        if isinstance(found, Program):
            print(f"{name}: {found.path}")
        else:
            missing[name] = str(found)
    if not missing:
        return 0
    packages = dict.fromkeys(
        _LIBRARY_PACKAGES.get(name) or _PACKAGES.get(name, name) for name in missing
    )
    print("\nThe tests need programs that are not on this machine:", file=sys.stderr)
    for name, reason in missing.items():
        print(f"  {name}: {reason}", file=sys.stderr)
    print(
        f"Install them as root, on Debian or Ubuntu with: apt-get install {' '.join(packages)}\n"
        f"or leave out the tests that need them: make test {SKIP_MISSING}=1",
        file=sys.stderr,
    )
    return 0 if os.environ.get(SKIP_MISSING) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("error: interrupted; the same command continues")
