"""Which `tritonserver` runs: the one that was named, the one on PATH, or the embedded one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from trimaran.serving.embedded import install
from trimaran.serving.runtime import Runtime
from trimaran.system.errors import UsageError

__all__ = ["VARIABLE", "find_runtime"]

VARIABLE = "TRIMARAN_TRITONSERVER"
"""The environment variable that names a `tritonserver` to use."""


def find_runtime(named: Path | None = None) -> Runtime:
    """The runtime to start, installed into the cache if there is no other.

    Raises `UsageError` where the one that was named does not exist.
    """
    chosen = named or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if chosen is not None:
        if not os.access(chosen, os.X_OK) or chosen.is_dir():
            raise UsageError(
                f"{chosen} is no executable tritonserver; correct --tritonserver or ${VARIABLE}"
            )
        return Runtime(chosen.resolve())
    on_path = shutil.which("tritonserver")
    if on_path:
        return Runtime(Path(on_path))
    return install()
