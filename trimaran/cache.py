"""Where downloads are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_directory"]


def cache_directory() -> Path:
    """`$TRIMARAN_CACHE`, or `trimaran` in the user's cache (`$XDG_CACHE_HOME`, `~/.cache`)."""
    named = os.environ.get("TRIMARAN_CACHE")
    if named:
        return Path(named).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).expanduser() / "trimaran"
