"""Stairs up to all users: a file for Locust's `-f`, beside `loadtests/locustfile.py`."""

from __future__ import annotations

from loadtests.shapes.curves import step
from loadtests.shapes.shape import CurveShape

__all__ = ["Step"]


class Step(CurveShape):
    """Stairs up to all users."""

    curve = staticmethod(step)
