"""The requests of one run, with their times and results."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Outcome"]


@dataclass(frozen=True)
class Outcome:
    """Each request in the order of sending; arrays `[requests]`, seconds from the start."""

    scheduled_s: np.ndarray
    """When it was due; in a closed loop, when it was sent."""
    tried_s: np.ndarray
    """When the generator reached it."""
    sent_s: np.ndarray
    """When it was written: later than tried where every connection was busy. NaN if never."""
    done_s: np.ndarray
    """When its answer was complete, NaN where none came."""
    good: np.ndarray
    """Whether the answer was a success."""
    wall_s: float
    cpu_s: float
    """CPU seconds of the generator."""
    broken: str = ""
    """Why the run ended early, if it did."""
    interrupted: bool = False
    refusal: str = ""
    """The server's message on the first request that it refused."""

    @property
    def latency_s(self) -> np.ndarray:
        """From the scheduled time to the answer, `[requests]`; infinite where none was good."""
        return np.where(self.good, self.done_s - self.scheduled_s, np.inf)
