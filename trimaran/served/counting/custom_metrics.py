"""Metrics of a Python model that last as long as the server.

Triton (2.51) counts the users of a metric for each stub by itself. Where one stub lets go of a
metric, it is taken from all, and what the others add goes to memory that is no longer theirs. And
stubs share metrics: those of a model's instances, and at a reload those of the old instances and
the new ones, which begin before the old ones end. So no stub ever lets go of one, not even at its
end. Counters then go on after a reload, as Triton's own do.

Self-contained: this file is copied into the versions of the models that have metrics.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import triton_python_backend_utils as pb_utils

__all__ = ["Family"]


class Family:
    """All metrics of one name. `kind` is `COUNTER` or `GAUGE`."""

    def __init__(self, name: str, words: str, kind: str = "COUNTER") -> None:
        self._family = _lasting(
            pb_utils.MetricFamily(
                name=name, description=words, kind=getattr(pb_utils.MetricFamily, kind)
            )
        )

    def metric(self, labels: Mapping[str, str]) -> Any:
        """The metric of these labels, from 0 if no stub had it before."""
        return _lasting(self._family.Metric(labels=dict(labels)))


def _lasting(made: Any) -> Any:
    """The same, with a reference that nobody gives back."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(made))
    return made
