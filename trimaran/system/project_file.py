"""Where a project begins: the folder with the nearest `trimaran.toml` at or above another one."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["PROJECT_FILE", "find_project_file"]

PROJECT_FILE = "trimaran.toml"


def find_project_file(folder: Path) -> Path | None:
    """The `trimaran.toml` of `folder` or of the nearest folder above it, if there is one."""
    absolute = folder.absolute()
    places = (place / PROJECT_FILE for place in (absolute, *absolute.parents))
    return next((path for path in places if os.path.lexists(path)), None)
