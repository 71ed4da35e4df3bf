"""How long a run lasts, as people write it."""

from __future__ import annotations

import re

from trimaran.system.errors import UsageError

__all__ = ["seconds_of"]

_FORM = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", re.ASCII)


def seconds_of(text: str) -> int:
    """Seconds of `45`, `30s`, `5m`, `1h30m`. Raises `UsageError` for anything else, and for 0."""
    found = _FORM.fullmatch(text.strip())
    hours, minutes, seconds = (int(part or 0) for part in (found.groups() if found else ("",) * 3))
    total = hours * 3600 + minutes * 60 + seconds
    if total < 1:
        raise UsageError(f"--duration {text}: give whole seconds such as 30s, or 5m, or 1h30m")
    return total
