"""Percentiles of latencies, and whether a bound on one holds with enough certainty."""

from __future__ import annotations

import numpy as np

__all__ = ["QUANTILES", "allowed_late", "bound_holds", "least_requests", "quantiles"]

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}

_CONFIDENCE = 0.99


def quantiles(latency_s: np.ndarray) -> dict[str, float]:
    """The quantiles of latencies `[requests]`, seconds, by name, and their `max`.

    A quantile is a latency that occurred (the next higher one). It is infinite where so many
    requests have no answer, and NaN without requests.
    """
    if not len(latency_s):
        return dict.fromkeys([*QUANTILES, "max"], float("nan"))
    ordered = np.sort(latency_s)
    found = {
        name: float(ordered[min(int(np.ceil(share * len(ordered))), len(ordered)) - 1])
        for name, share in QUANTILES.items()
    }
    return {**found, "max": float(ordered[-1])}


def bound_holds(latency_s: np.ndarray, bound_s: float, share: float = 0.99) -> bool:
    """Whether at least `share` of all requests lie within `bound_s`, with 99 % confidence.

    The early-stopping rule of MLPerf's LoadGen: if more than `1 - share` were late in truth, at
    most one run in a hundred would show so few late requests. No answer counts as late.
    """
    late = int(np.count_nonzero(~(latency_s <= bound_s)))
    return late <= allowed_late(len(latency_s), share)


def allowed_late(requests: int, share: float = 0.99) -> int:
    """How many of `requests` may be late; -1 if there are too few even without a late one."""
    from scipy.special import bdtr  # the binomial distribution; a quarter of a second to import

    low, high = -1, requests
    while low < high:
        middle = (low + high + 1) // 2
        if bdtr(middle, requests, 1 - share) <= 1 - _CONFIDENCE:
            low = middle
        else:
            high = middle - 1
    return low


def least_requests(late: int, share: float = 0.99) -> int:
    """The fewest requests among which `late` late ones are allowed: 459 for none, 662 for one."""
    low, high = late + 1, late + 2
    while allowed_late(high, share) < late:
        high *= 2
    while low < high:
        middle = (low + high) // 2
        if allowed_late(middle, share) >= late:
            high = middle
        else:
            low = middle + 1
    return low
