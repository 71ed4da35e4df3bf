"""A folder of photographs with a sub-folder for each class: what is in it, before it is read."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trimaran.system.errors import TrimaranError, UsageError

__all__ = ["MOST_BYTES", "UNKNOWN", "Listed", "list_folder", "list_new", "shown"]

MOST_BYTES = 100_000_000
"""Of a photograph's file."""
_MOST_CLASSES = 1_000
_NAMED = 10
"""Classes that a sentence names."""
UNKNOWN = -1
"""The class of a photograph that nobody has named."""


@dataclass(frozen=True)
class Listed:
    """The files of a folder: their path below it and their class, in the order of both."""

    folder: Path
    classes: tuple[str, ...]
    files: tuple[tuple[str, int], ...]
    loose: tuple[str, ...]
    """Files beside the sub-folders, which have no class."""


def list_folder(folder: Path) -> Listed:
    """The classes of a folder and their files. What begins with a dot is not looked at.

    Raises `UsageError` where there is no folder, and `TrimaranError` where its sub-folders are not
    two classes or more, or one of them holds a folder, nothing, or a link out of the folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{shown(folder)} is not a folder; name one with a sub-folder per class")
    inside = list(_inside(folder))
    own = [path for path in inside if _within(path, folder).is_dir()]
    loose = tuple(shown(path.relative_to(folder)) for path in inside if path not in {*own})
    if len(own) < 2:
        found = (
            f"has one class, {shown(own[0].name)!r}"
            if own
            else f"has {len(loose)} files and no sub-folder"
        )
        raise TrimaranError(
            f"{shown(folder)} {found}; put the photographs of each class into a sub-folder of "
            "the class's name, two or more of them"
        )
    if len(own) > _MOST_CLASSES:
        raise TrimaranError(
            f"{shown(folder)} has {len(own)} sub-folders, and {_MOST_CLASSES:,} classes are the "
            "most; put the photographs of a class into one sub-folder"
        )
    files = [(path, code) for code, each in enumerate(own) for path in _of_class(each, folder)]
    listed = tuple((str(path.relative_to(folder)), code) for path, code in files)
    return Listed(folder, tuple(_label(each) for each in own), listed, loose)


def list_new(folder: Path, classes: Sequence[str]) -> Listed:
    """The files of a folder whose classes need not be known.

    Those in a sub-folder of a class's name are of it; the others have the class `UNKNOWN`. Raises
    `UsageError` where there is no folder, and `TrimaranError` for a sub-folder of another name, one
    that `list_folder` refuses, and where there is no file.
    """
    if not folder.is_dir():
        raise UsageError(f"{shown(folder)} is not a folder; name one with photographs")
    files: list[tuple[Path, int]] = []
    for path in _inside(folder):
        if not _within(path, folder).is_dir():
            files.append((path, UNKNOWN))
        elif path.name in classes:
            files += [(each, classes.index(path.name)) for each in _of_class(path, folder)]
        else:
            known = ", ".join(classes[:_NAMED]) + (", …" if len(classes) > _NAMED else "")
            raise TrimaranError(
                f"{shown(folder)} has the sub-folder {shown(path.name)!r}, and the model knows the "
                f"classes {known}; rename it, or move its photographs up, where none has a class"
            )
    if not files:
        raise TrimaranError(f"{shown(folder)} has no photographs; add some")
    listed = tuple((str(path.relative_to(folder)), code) for path, code in files)
    return Listed(folder, tuple(classes), listed, ())


def shown(path: Path | str) -> str:
    """A path as text; bytes that are no UTF-8 as escapes."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _inside(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _of_class(folder: Path, root: Path) -> list[Path]:
    """The files of one class. Raises `TrimaranError`."""
    found = list(_inside(folder))
    for path in found:
        if _within(path, root).is_dir():
            raise TrimaranError(
                f"{shown(folder)} holds the folder {shown(path.name)!r}, and a class is a folder "
                f"of photographs alone; move its photographs up, or train on {shown(folder)} itself"
            )
    if not found:
        raise TrimaranError(
            f"{shown(folder)} is empty, and its name would be a class; add photographs or remove it"
        )
    return found


def _within(path: Path, root: Path) -> Path:
    """The path itself. Raises `TrimaranError` for a link to a place outside of the folder."""
    if stat.S_ISLNK(path.lstat().st_mode) and not path.resolve().is_relative_to(root.resolve()):
        raise TrimaranError(
            f"{shown(path)} is a link out of {shown(root)}; put the photographs themselves there"
        )
    return path


def _label(folder: Path) -> str:
    """The name of a class. Raises `TrimaranError` for one that cannot be a line of `labels.txt`."""
    name = folder.name
    try:
        name.encode()
    except UnicodeEncodeError:
        fault = "is no UTF-8"
    else:
        if not any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in name):
            if name == name.strip():
                return name
            fault = "begins or ends with a space"
        else:
            fault = "has a line break or another control character"
    raise TrimaranError(
        f"the name of the sub-folder {name!r} of {shown(folder.parent)} {fault}; rename it, since "
        "it becomes a label"
    )
