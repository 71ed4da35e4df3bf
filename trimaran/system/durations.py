"""Prometheus' durations: `90s`, `5m`, `2h`, `1d`, `1h30m`."""

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
_FORM = re.compile(r"(?:\d+y)?(?:\d+w)?(?:\d+d)?(?:\d+h)?(?:\d+m)?(?:\d+s)?(?:\d+ms)?")
_PART = re.compile(r"(\d+)(ms|[smhdwy])")


def seconds_of(duration: str, option: str) -> float:
    """How long a duration is, in seconds. Raises `UsageError` that names the option."""
    seconds = 0.0
    if duration and _FORM.fullmatch(duration):
        seconds = sum(int(count) * _UNITS[unit] for count, unit in _PART.findall(duration))
    if not seconds:
        raise UsageError(f"{option} is {duration!r}; expected a duration such as 30s, 5m, 2h or 1d")
    return seconds
