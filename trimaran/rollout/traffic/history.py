"""A bound for the candidate's error ratio, from what the live release has shown at the gateway."""

from __future__ import annotations

import re

from trimaran.rollout.traffic.arms_log import failed, reached
from trimaran.stats.intervals import wilson

__all__ = ["bound_of", "counts_of"]

_LEAST_REQUESTS = 1_000
_TIMES = 3
_LEAST, _MOST = 0.01, 0.5
_DIGITS = 3
_COUNTED = re.compile(r"^trimaran_gateway_requests{(?P<labels>.*)} (?P<count>\d+)(?:\.0)?$", re.M)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_ENDS = ("status", "grpc_status")
_ASKED = ("predict", "infer", "events", "call")
"""Kinds of requests that a model answers and that are divided between arms."""


def bound_of(requests: int, errors: int) -> tuple[float | None, str]:
    """The error ratio above which a candidate is taken back, and why it is that.

    Three times the upper end of the 95 % interval of live's own, and at least 1 %. None where live
    has had fewer than 1,000 requests, or fails so often that the bound would be above a half.
    """
    if requests < _LEAST_REQUESTS:
        return None, (
            f"no error bound: the gateway has counted {requests:,} requests of the live release, "
            f"and it takes {_LEAST_REQUESTS:,}; name one with --most-errors"
        )
    _, high = wilson(errors, requests)
    bound = max(_LEAST, float(f"{_TIMES * high:.{_DIGITS}g}"))
    shown = f"{errors:,} errors in {requests:,} requests (at most {100 * high:.3g} %)"
    if bound > _MOST:
        return None, (f"no error bound: the live release has {shown}; name one with --most-errors")
    why = "is the least that is taken" if bound == _LEAST else f"is {_TIMES} times that"
    return bound, (
        f"error bound {100 * bound:.3g} %: since the gateway began, the live release has {shown}; "
        f"the bound {why}"
    )


def counts_of(figures: str, model: str) -> tuple[int, int]:
    """How many requests for a model were sent to a server, and how many of them failed.

    `figures` is the text that the gateway gives to Prometheus.
    """
    requests = errors = 0
    for found in _COUNTED.finditer(figures):
        labels = dict(_LABEL.findall(found["labels"]))
        if labels.get("model") != model or labels.get("kind") not in _ASKED:
            continue
        end = {"why": labels.get("why"), **{name: int(labels.get(name) or 0) for name in _ENDS}}
        if reached(end):
            requests += int(found["count"])
            errors += int(found["count"]) * failed(end)
    return requests, errors
