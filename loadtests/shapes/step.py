"""Stairs up to all users: a file for Locust's `-f`, after `loadtests/locustfile.py`."""

from __future__ import annotations

from loadtests.locusts.settings import step
from loadtests.locusts.users import CurveShape

__all__ = ["Step"]


class Step(CurveShape):
    """Stairs up to all users."""

    curve = staticmethod(step)
