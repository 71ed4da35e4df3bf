"""Few users, then all, then few: a file for Locust's `-f`, beside `loadtests/locustfile.py`."""

from __future__ import annotations

from loadtests.shapes.curves import spike
from loadtests.shapes.shape import CurveShape

__all__ = ["Spike"]


class Spike(CurveShape):
    """Few users, then all, then few."""

    curve = staticmethod(spike)
