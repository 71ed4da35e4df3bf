"""Prometheus' own programs, found on this machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from trimaran.errors import TrimaranError

__all__ = ["find_program"]

_PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "alertmanager": "prometheus-alertmanager",
}
_MORE_PLACES = ("/usr/local/bin", "/usr/bin", "/opt/prometheus")


def find_program(*names: str) -> Path:
    """The first of some names on `PATH`, or where distributions put it.

    Raises `TrimaranError` with the line that installs it.
    """
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_MORE_PLACES])
    for name in names:
        found = shutil.which(name, path=path)
        if found:
            return Path(found)
    raise TrimaranError(
        f"{names[0]} is not installed; on Debian or Ubuntu: apt-get install {_PACKAGES[names[0]]}; "
        "elsewhere put the program of prometheus.io/download on PATH"
    )
