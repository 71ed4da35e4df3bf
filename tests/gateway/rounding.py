"""Keeps schemathesis from numbers beyond a limit that a tensor of 32 bits rounds to the limit.

A schema says "at least 0", and -1e-200 becomes 0 in the tensor; no server can refuse it.
"""

from __future__ import annotations

from typing import Any

import schemathesis

_CLOSE = 1e-6
"""Limits are whole numbers; what differs from one by less, relatively, may be rounded to it."""


@schemathesis.hook
def filter_body(context: schemathesis.HookContext, body: Any) -> bool:
    """Whether every number of a record is whole, or clearly none."""
    values = body.values() if isinstance(body, dict) else ()
    return not any(_is_close(value) for value in values if isinstance(value, float))


def _is_close(value: float) -> bool:
    if value.is_integer():
        return False
    return abs(value - round(value)) < _CLOSE * max(1.0, abs(value))
