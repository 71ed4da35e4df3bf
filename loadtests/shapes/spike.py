"""Few users, then all, then few: a file for Locust's `-f`, after `loadtests/locustfile.py`."""

from __future__ import annotations

from loadtests.locusts.settings import spike
from loadtests.locusts.users import CurveShape

__all__ = ["Spike"]


class Spike(CurveShape):
    """Few users, then all, then few."""

    curve = staticmethod(spike)
