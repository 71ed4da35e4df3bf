"""Durations as Prometheus writes them: `90s`, `5m`, `2h`, `1d`, `1h30m`."""

from __future__ import annotations

import re

from trimaran.system.errors import UsageError

__all__ = ["seconds_of"]

_UNITS = {
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
    "y": 31536000.0,
}
_PARTS = ("y", "w", "d", "h", "m", "s", "ms")
_FORM = re.compile("".join(rf"(?:\d{{1,9}}{unit})?" for unit in _PARTS), re.ASCII)
_PART = re.compile(r"(\d+)(ms|[smhdwy])", re.ASCII)
_BARE = re.compile(r"\d{1,9}(?:\.\d{1,9})?", re.ASCII)


def seconds_of(duration: str, option: str, *, bare: bool = False) -> float:
    """How long a duration is, in seconds.

    With `bare`, a number without a unit is seconds: `90`, `0.5`. Prometheus itself takes no such
    number. Raises `UsageError` that names the option for anything else, and for a duration of 0.
    """
    seconds = 0.0
    if bare and _BARE.fullmatch(duration):
        seconds = float(duration)
    elif _FORM.fullmatch(duration):
        seconds = sum(int(count) * _UNITS[unit] for count, unit in _PART.findall(duration))
    if not seconds:
        raise UsageError(f"{option} is {duration!r}; expected a duration such as 30s, 5m, 2h or 1d")
    return seconds
