"""What lies where a Python model's environment is looked for."""

from __future__ import annotations

import os
from pathlib import Path

from trimaran.checks.environments import MODEL_DIRECTORY

__all__ = ["environment_problem"]

_GZIP, _TAR, _TAR_OFFSET = b"\x1f\x8b", b"ustar", 257


def environment_problem(path: str, model: Path) -> str:
    """Why the environment at `path` cannot be used, or an empty text.

    A path that is not absolute is looked for from the repository, where `trimaran serve` starts.
    """
    place = Path(os.path.normpath(path.replace(MODEL_DIRECTORY, str(model), 1)))
    place = place if place.is_absolute() else model.parent / place
    if not place.exists():
        return "is missing"
    if place.is_dir():
        return "" if (place / "bin" / "activate").is_file() else "has no bin/activate"
    try:
        with place.open("rb") as file:
            head = file.read(_TAR_OFFSET + len(_TAR))
    except OSError as problem:
        return f"cannot be read: {problem.strerror}"
    if head.startswith(_GZIP) or head[_TAR_OFFSET:] == _TAR:
        return ""
    return "is no tar archive, plain or compressed with gzip"
