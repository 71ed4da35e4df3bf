"""Whether counts by arm are divided as they should be, however often somebody looks.

    log_share_evidence(10_000, 5_260, 0.5)                    # 9.1: not the half that was wanted
    log_unlike_evidence({"a": 900, "b": 100}, {"a": 800, "b": 200}, 0.5)  # 11.3: not alike

Both give the natural logarithm of an e-value, which ever reaches log(1 / alpha) by chance with a
probability of at most alpha.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from trimaran.stats.anytime import log_beta

__all__ = ["log_share_evidence", "log_unlike_evidence"]

_WEIGHT = 200.0
"""Of how many units the prior is worth, so small deviations from a wanted share are expected."""


def log_share_evidence(count: int, of_candidate: int, share: float) -> float:
    """Against `share` of `count` units being the candidate's, of which it has `of_candidate`.

    M. Lindon and A. Malek, "Anytime-valid inference for multinomial count data" (2022), section 4:
    the Dirichlet mixture against the wanted shares, here with two arms.
    """
    rest = count - of_candidate
    wanted = of_candidate * math.log(share) + rest * math.log1p(-share)
    return _mixture(of_candidate, rest, share) - wanted


def log_unlike_evidence(
    live: Mapping[str, int], candidate: Mapping[str, int], share: float
) -> float:
    """Against units of all categories being divided between the arms by the same share.

    Of each category, the candidate's share is mixed as above, around the planned `share`. It is
    compared with the likeliest share that all could have in common, so the evidence is the least of
    all shares, and a wrong share by itself is none.
    """
    of_live, of_candidate = sum(live.values()), sum(candidate.values())
    if not of_live or not of_candidate:
        return 0.0
    common = of_candidate / (of_live + of_candidate)
    wanted = of_candidate * math.log(common) + of_live * math.log1p(-common)
    found = sum(
        _mixture(candidate.get(each, 0), live.get(each, 0), share)
        for each in sorted({*live, *candidate})
    )
    return found - wanted


def _mixture(of_candidate: int, of_live: int, share: float) -> float:
    a, b = _WEIGHT * share, _WEIGHT * (1 - share)
    return log_beta(a + of_candidate, b + of_live) - log_beta(a, b)
