"""Prometheus' own programs: those of this machine, or Debian's, brought into the cache.

python -m monitoring.programs     brings what is missing, and says where each is
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
"""Debian's package of each program."""

ALERTMANAGER = ("prometheus-alertmanager", "alertmanager")
"""Its names, Debian's first."""

_BUILT_IN = Path("/usr/share/prometheus")
_MORE_PLACES = ("/usr/local/bin", "/usr/bin", "/opt/prometheus")


def find_program(*names: str) -> Path:
    """The first of some names on `PATH`, or where distributions put it, or from Debian's packages.

    Nothing is installed: as a package, Prometheus would start a service of its own. Raises
    `TrimaranError` with the line that installs it.
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
    """An unpacked program that finds its pages and templates where it was unpacked.

    Debian builds their place into the program. Another path of the same length takes that one's.
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
        print("error: interrupted; the same command goes on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(_main())
