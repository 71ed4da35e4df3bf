"""Up, all users for long, and down: a file for Locust's `-f`, after `loadtests/locustfile.py`."""

from __future__ import annotations

from loadtests.locusts.settings import soak
from loadtests.locusts.users import CurveShape

__all__ = ["Soak"]


class Soak(CurveShape):
    """Up, all users for long, and down."""

    curve = staticmethod(soak)
