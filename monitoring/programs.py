"""Prometheus' programs: from this machine, or from Debian's packages, downloaded into the cache.

python -m monitoring.programs     downloads missing programs, and prints where each is
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from trimaran.system.debian import can_unpack, unpacked
from trimaran.system.errors import TrimaranError
from trimaran.system.files import short_path

__all__ = ["ALERTMANAGER", "PACKAGES", "find_program"]

PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
}
"""The Debian package of each program."""

ALERTMANAGER = ("prometheus-alertmanager", "alertmanager")
"""The program's names, Debian's first."""

_BUILT_IN = Path("/usr/share/prometheus")
_MORE_PLACES = ("/usr/local/bin", "/usr/bin", "/opt/prometheus")


def find_program(*names: str) -> Path:
    """A program by its names: from `PATH`, a distribution's folders, or Debian's packages.

    Packages are unpacked and not installed, since Prometheus' package would start a service. Raises
    `TrimaranError` with the command that installs the program.
    """
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_MORE_PLACES])
    for name in names:
        found = shutil.which(name, path=path)
        if found:
            return Path(found)
    reason = ""
    if can_unpack():
        try:
            return _placed(unpacked(PACKAGES[names[0]]), names[0])
        except TrimaranError as error:
            reason = f" ({error})"
    raise TrimaranError(
        f"{names[0]} is not installed{reason}; on Debian or Ubuntu: apt-get install "
        f"{PACKAGES[names[0]]}; elsewhere put the program of prometheus.io/download on PATH"
    )


def _placed(root: Path, name: str) -> Path:
    """A copy of an unpacked program that finds its pages and templates where they were unpacked.

    Debian compiles `/usr/share/prometheus` into the program; the copy has a path of the same length
    instead.
    """
    program = root / "usr" / "bin" / name
    place = short_path(root / _BUILT_IN.relative_to("/"))
    placed = program.with_name(f"{name}-{place.name}")
    if not placed.is_file():
        built_in, given = (str(path).encode() for path in (_BUILT_IN, place))
        own = program.with_name(f"{name}-{os.getpid()}")
        own.write_bytes(program.read_bytes().replace(built_in, given.ljust(len(built_in), b"/")))
        own.chmod(0o755)
        own.replace(placed)
    return placed


def _main() -> int:
    try:
        print(f"Prometheus: {find_program('prometheus')}")
        print(f"Alertmanager: {find_program(*ALERTMANAGER)}")
    except (TrimaranError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted; the same command continues", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(_main())
