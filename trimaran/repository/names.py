"""Names that become directories, URLs and metric labels."""

from __future__ import annotations

import re

from trimaran.system.errors import UsageError

__all__ = ["check_model_name"]

_MODEL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")


def check_model_name(name: str) -> str:
    """`name`, if it can name a model directory. Raises `UsageError`.

    A leading digit is refused because Triton takes such a directory for a version, and a path
    separator because a model lies directly in its repository.
    """
    if not _MODEL_NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a model; use letters, digits, '_', '-' and '.', at most 128, "
            "beginning with a letter or '_'"
        )
    return name
