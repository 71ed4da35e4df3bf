"""Where downloads are kept between runs."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from trimaran.system.errors import TrimaranError

__all__ = ["cache_directory"]

_REMEDY = "name another directory in TRIMARAN_CACHE"


def cache_directory() -> Path:
    """`$TRIMARAN_CACHE`, or `trimaran` in the user's cache (`$XDG_CACHE_HOME`, `~/.cache`).

    Raises `TrimaranError` where this user cannot write there.
    """
    try:
        found = _named() or _of_the_user()
    except RuntimeError as error:  # no home directory, or links in a circle
        raise TrimaranError(f"there is no place for the cache: {error}; {_REMEDY}") from error
    _require_writable(found)
    return found


def _named() -> Path | None:
    named = os.environ.get("TRIMARAN_CACHE")
    return Path(named).expanduser().resolve() if named else None


def _of_the_user() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return Path(base).expanduser() / "trimaran" if base else Path.home() / ".cache" / "trimaran"


def _require_writable(directory: Path) -> None:
    try:
        problem = _problem(directory)
    except PermissionError as error:
        problem = f"{error.filename} is closed to this user"
    if problem:
        raise TrimaranError(
            f"the cache {directory} cannot be written: {problem}; give it back to this user, or "
            f"{_REMEDY}"
        )


def _problem(directory: Path) -> str:
    """Why nothing can be put into a directory, or into those that stand in it."""
    standing = next(path for path in (directory, *directory.parents) if path.exists())
    if not standing.is_dir():
        return f"{standing} is no directory"
    inside = standing.iterdir() if standing == directory else ()
    for folder in (standing, *(path for path in inside if path.is_dir())):
        if not os.access(folder, os.W_OK | os.X_OK):
            owner = folder.stat().st_uid
            mine = owner == os.getuid()
            return f"{folder} " + ("is read-only" if mine else f"belongs to {_user(owner)}")
    return ""


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
