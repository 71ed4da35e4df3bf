"""The statistics that may be watched, held to their definitions and to chance."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta

from trimaran.stats.anytime import (
    EVEN,
    RARE,
    Bounded,
    Share,
    difference_interval,
    evidence,
    interval,
)
from trimaran.stats.anytime_counts import log_share_evidence, log_unlike_evidence
from trimaran.stats.anytime_quantiles import bin_of, bins_of, edge_s, quantile

ALPHA = 0.05
LENGTH = 6


def share_of(values: Sequence[float]) -> Share:
    return Share(len(values), sum(values), RARE)


def bounded_of(values: Sequence[float]) -> Bounded:
    found = Bounded()
    for each in values:
        found = found.seen(1, each, each * each)
    return found


@pytest.mark.parametrize("prior", [EVEN, RARE])
def test_the_evidence_is_the_mixture_of_likelihood_ratios(prior: tuple[float, float]) -> None:
    count, total, mean = 40, 3, 0.02

    def ratio(other: float) -> float:
        likelihoods = [p**total * (1 - p) ** (count - total) for p in (other, mean)]
        return likelihoods[0] / likelihoods[1] * beta.pdf(other, *prior)

    expected = quad(ratio, 0, 1, limit=200)[0]
    assert Share(count, total, prior).against(mean) == pytest.approx(math.log(expected), rel=1e-4)


@pytest.mark.parametrize("mean", [0.02, 0.4])
@pytest.mark.parametrize(
    ("values", "of", "fair"),
    [
        ((0.0, 1.0), share_of, True),
        ((0.0, 0.3, 1.0), share_of, False),
        ((0.0, 1.0), bounded_of, False),
        ((0.0, 0.3, 1.0), bounded_of, False),
    ],
)
def test_nobody_gains_by_betting_against_the_true_mean(
    mean: float, values: tuple[float, ...], of: Callable[[Sequence[float]], Share], fair: bool
) -> None:
    """The expectation of the e-value, over every sequence of values, is at most 1."""
    chances = dict.fromkeys(values, 0.0)
    middle = 0.5 if len(values) == 3 else 0.0
    chances |= {values[1]: middle * mean} if len(values) == 3 else {}
    chances[1.0] = mean - sum(value * chance for value, chance in chances.items() if value < 1)
    chances[0.0] = 1 - sum(chance for value, chance in chances.items() if value)
    expected = sum(
        math.prod(chances[each] for each in drawn) * math.exp(of(drawn).against(mean))
        for drawn in itertools.product(values, repeat=LENGTH)
    )
    assert expected == pytest.approx(1) if fair else expected <= 1 + 1e-9


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_nobody_gains_by_betting_against_the_true_split(share: float) -> None:
    """Neither against the share, nor against categories being divided alike, planned or not."""
    of_share, of_categories = 0.0, 0.0
    categories = "aabcab"
    for labels in itertools.product((0, 1), repeat=LENGTH):
        chance = math.prod(share if each else 1 - share for each in labels)
        of_share += chance * math.exp(log_share_evidence(LENGTH, sum(labels), share))
        arms = [
            Counter(c for c, each in zip(categories, labels, strict=True) if each == arm)
            for arm in (0, 1)
        ]
        of_categories += chance * math.exp(log_unlike_evidence(*arms, 0.3))
    assert of_share == pytest.approx(1)
    assert of_categories <= 1 + 1e-9


def test_the_evidence_against_a_difference_is_the_least_of_all_pairs_of_means() -> None:
    live, candidate = Share(20_000, 21, RARE), Share(1_050, 19, RARE)
    for by in (-0.01, 0.0, 0.002, 0.3):
        means = np.linspace(max(0.0, -by), min(1.0, 1 - by), 10_001)[1:-1]
        pairs = min(live.against(each) + candidate.against(each + by) for each in means)
        assert evidence(live, candidate, by) == pytest.approx(pairs, rel=0.02)
        assert evidence(live, candidate, by) <= pairs + 1e-6


@pytest.mark.parametrize(
    "arm", [Share(0, 0), Share(7, 0), Share(7, 7), Share(900, 20), bounded_of([0.2, 0.4] * 40)]
)
def test_an_interval_ends_where_the_evidence_is_enough(arm: Share) -> None:
    low, high = interval(arm, ALPHA)
    assert 0 <= low <= arm.value <= high <= 1
    for bound, end in ((low, 0.0), (high, 1.0)):
        assert bound == end or arm.against(bound) == pytest.approx(-math.log(ALPHA), rel=0.01)


def test_a_difference_has_no_interval_while_an_arm_is_empty() -> None:
    assert difference_interval(Share(10, 1), Share(0, 0), ALPHA) == (-1, 1)


def test_a_batch_is_expected_by_what_was_before_it() -> None:
    values = np.random.default_rng(3).beta(20, 30, 3000)
    by_ten = Bounded()
    for each in values.reshape(-1, 10):
        by_ten = by_ten.seen(10, float(each.sum()), float((each**2).sum()))
    narrow, wide = interval(by_ten, ALPHA), interval(Share(3000, float(values.sum())), ALPHA)
    assert interval(bounded_of(values.tolist()), ALPHA) == pytest.approx(narrow, abs=2e-4)
    assert narrow[0] < 0.4 < narrow[1]
    assert narrow[1] - narrow[0] < (wide[1] - wide[0]) / 4


def test_watched_intervals_of_quantiles_are_rarely_wrong() -> None:
    wrong = 0
    for seed in range(60):
        latencies = np.random.default_rng(seed).lognormal(-4, 0.6, (30, 50))
        truth = math.exp(-4 + 0.6 * 1.2815515655)  # of the standard normal's 0.9
        bins: Counter[int] = Counter()
        ends = []
        for some in latencies:
            bins += bins_of(some.tolist())
            ends.append(quantile(bins, 0.9, ALPHA))
        wrong += not all(each.low <= truth <= each.high for each in ends)
        assert ends[-1].low <= ends[-1].value <= ends[-1].high
    assert wrong <= 3
    assert ends[-1].high / ends[-1].low < 1.5


def test_a_latency_is_in_its_bin() -> None:
    for latency_s in (0.0, 5e-5, 0.0123, 1.0, 59.0, 1e9):
        place = bin_of(latency_s)
        assert edge_s(place) <= latency_s <= edge_s(place + 1)
    assert quantile({}, 0.99, ALPHA).high == math.inf
