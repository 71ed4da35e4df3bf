"""Metrics of a Python model that last as long as the server.

Triton (2.51) counts the users of a metric separately for each stub. When one stub frees a metric,
Triton frees it for all, and the other stubs add to freed memory. Stubs do share metrics: the
instances of one model, and at a reload the old and the new instances, since the new ones begin
before the old ones end. So no stub ever frees a metric, not even at its end. Counters then continue
after a reload, as Triton's own do.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import TypeVar

import triton_python_backend_utils as pb_utils

__all__ = ["Family", "report_reference"]

T = TypeVar("T")


class Family:
    """All metrics of one name. `kind` is `COUNTER` or `GAUGE`."""

    def __init__(self, name: str, words: str, kind: str = "COUNTER") -> None:
        self._family = _lasting(
            pb_utils.MetricFamily(
                name=name, description=words, kind=getattr(pb_utils.MetricFamily, kind)
            )
        )

    def metric(self, labels: Mapping[str, str]) -> pb_utils.Metric:
        """The metric of these labels, from 0 if no stub had it before."""
        return _lasting(self._family.Metric(labels=dict(labels)))


def report_reference(labels: Mapping[str, str], judged: Mapping[str, float]) -> None:
    """Set `trimaran_reference_outcomes`: the test part's totals by cell (`judging.py`)."""
    family = Family(
        "trimaran_reference_outcomes", "Rows of the test part, by what was decided.", "GAUGE"
    )
    for cell, total in judged.items():
        family.metric({**labels, "cell": cell}).set(total)


def _lasting(made: T) -> T:
    """The object, with one reference too many, so that Python never frees it."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(made))
    return made
