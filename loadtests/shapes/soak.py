"""Up, all users for long, and down: a file for Locust's `-f`, beside `loadtests/locustfile.py`."""

from __future__ import annotations

from loadtests.shapes.curves import soak
from loadtests.shapes.shape import CurveShape

__all__ = ["Soak"]


class Soak(CurveShape):
    """Up, all users for long, and down."""

    curve = staticmethod(soak)
