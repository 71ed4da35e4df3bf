"""Percentiles, invalid runs, SLOs, turns and the search: what numbers mean."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from loadtests.bench.block import Settings, require_carried
from loadtests.bench.compare import Sample, ratio_gates, take_turns
from loadtests.bench.plan import highest_rate
from loadtests.gates import FAILED, INVALID, KEPT, Gates, evaluate, exit_status, invalid, late_sends
from loadtests.generator.engine import poisson_arrivals
from loadtests.generator.outcome import Outcome
from trimaran.stats.bootstrap import Ratio
from trimaran.stats.latency import allowed_late, bound_holds, least_requests, quantiles
from trimaran.system.errors import UsageError


def _outcome(
    requests: int, late: int = 0, failed: int = 0, latency_s: float = 0.005, **fields: object
) -> Outcome:
    times = np.arange(requests) * 0.01
    good = np.ones(requests, bool)
    good[:failed] = False
    tried = times + np.where(np.arange(requests) < late, 2e-3, 0.0)
    done = np.where(good, times + latency_s, np.nan)
    given_fields = {"wall_s": 1.0, "cpu_s": 0.0, **fields}
    return Outcome(times, tried, tried, done, good, **given_fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("late", "requests"), [(0, 459), (1, 662), (5, 1307), (10, 2010), (50, 6898)]
)
def test_the_numbers_of_requests_are_those_of_mlperf(late: int, requests: int) -> None:
    assert least_requests(late) == requests
    assert allowed_late(requests) == late
    assert allowed_late(requests - 1) == late - 1


@given(st.integers(1, 20_000))
def test_the_most_late_requests_that_are_allowed_are_the_most(requests: int) -> None:
    late = allowed_late(requests)
    assert late == -1 or binom.cdf(late, requests, 0.01) <= 0.01
    assert binom.cdf(late + 1, requests, 0.01) > 0.01


def test_a_bound_holds_only_with_enough_requests_and_few_enough_late() -> None:
    latencies = np.full(662, 0.001)
    latencies[0] = 0.1
    assert bound_holds(latencies, 0.01)
    latencies[1] = math.inf  # no answer is late
    assert not bound_holds(latencies, 0.01)
    assert not bound_holds(np.full(458, 0.001), 0.01)


def test_a_quantile_is_a_latency_that_occurred() -> None:
    found = quantiles(np.arange(1, 101) / 1000)
    assert found["p50"] == 0.050
    assert found["p99"] == 0.099
    assert found["p999"] == found["max"] == 0.1
    assert quantiles(np.array([0.1, math.inf]))["p99"] == math.inf
    assert math.isnan(quantiles(np.array([]))["p50"])


def test_arrivals_are_a_poisson_process_that_the_seed_decides() -> None:
    times = poisson_arrivals(1000, 20, seed=7)
    assert np.array_equal(times, poisson_arrivals(1000, 20, seed=7))
    assert not np.array_equal(times, poisson_arrivals(1000, 20, seed=8))
    assert (np.diff(times) >= 0).all()
    assert times[0] >= 0
    assert times[-1] < 20
    assert len(times) == pytest.approx(20_000, rel=0.03)
    gaps = np.diff(times)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)  # as exponential gaps have it
    assert len(poisson_arrivals(0.001, 1, seed=0)) == 1


def test_a_run_counts_when_sends_are_in_time_and_requests_answered() -> None:
    assert invalid(_outcome(100)) == ""
    assert invalid(_outcome(100, late=1, failed=1)) == ""
    assert "late for 2.0% of the requests" in invalid(_outcome(100, late=2))
    assert late_sends(_outcome(100, late=2)) == 0.02
    assert invalid(_outcome(20, late=1)) == ""
    assert "late for 10.0% of the requests" in invalid(_outcome(20, late=2))
    assert invalid(_outcome(100, late=2, latency_s=0.021)) == ""  # 2 ms are little there
    assert "late" in invalid(_outcome(100, late=2, latency_s=0.019))
    assert invalid(_outcome(100, failed=2)) == "2 of 100 requests failed: no answer came in time"
    assert invalid(_outcome(100, failed=2, refusal="shape")) == "2 of 100 requests failed: shape"
    assert "suspended for 3.0 s" in invalid(_outcome(100), suspended_s=3.0)
    assert "interrupted after 1.0 s" in invalid(_outcome(100, interrupted=True))
    assert "went away after 1.0 s: gone" in invalid(_outcome(100, broken="gone"))
    assert invalid(_outcome(0)) == "no request was sent"


def test_promises_are_kept_or_broken_one_by_one() -> None:
    latencies = np.full(1000, 0.005)
    latencies[:3] = math.inf
    kept = evaluate(Gates(p99_ms=10, min_rps=90, max_error_ratio=0.01), latencies, 10.0)
    assert [(gate.name, gate.holds) for gate in kept] == [
        ("p99", False),
        ("rate", True),
        ("errors", True),
    ]
    assert "3 of 1000 requests later than 10 ms, 2 allowed" in kept[0].words
    assert exit_status("", kept) == FAILED
    assert exit_status("", kept[1:]) == KEPT
    assert exit_status("the server went away", kept[1:]) == INVALID
    few = evaluate(Gates(p99_ms=10), np.full(100, 0.001), 1.0)
    assert not few[0].holds
    assert "too few requests: at least 459 are needed" in few[0].words
    for latency_s, holds in ((0.009, True), (0.011, False)):
        assert evaluate(Gates(p99_ms=10), np.full(1000, latency_s), 10.0)[0].holds is holds
    assert not evaluate(Gates(min_rps=101), latencies, 10.0)[0].holds
    assert not evaluate(Gates(max_error_ratio=0.002), latencies, 10.0)[0].holds


@pytest.mark.parametrize("limit", [5.0, 40.0, 100.0, 777.0, 5000.0])
def test_the_search_finds_a_limit_to_four_percent(limit: float) -> None:
    tried: list[float] = []

    def holds(rate: float) -> bool:
        tried.append(rate)
        return rate <= limit

    found = highest_rate(holds, 100.0)
    assert found is not None
    assert limit / 1.041 < found <= limit
    assert tried[-2:] == [found, found]  # it held again, twice
    assert len(tried) < 30


def test_the_search_steps_down_from_a_rate_that_does_not_hold_again() -> None:
    times: dict[float, int] = {}

    def holds(rate: float) -> bool:
        times[rate] = times.get(rate, 0) + 1
        return rate <= 90 or (rate <= 100 and times[rate] == 1)

    found = highest_rate(holds, 50.0)
    assert found is not None
    assert 80 < found <= 90


def test_the_search_ends_where_nothing_holds() -> None:
    assert highest_rate(lambda rate: False, 100.0) is None


def _drifting(scale: float) -> object:
    """A contestant on a machine that becomes slower with every turn."""
    generator = np.random.default_rng(int(scale * 100))

    def measure(turn: int) -> Sample:
        return Sample({"rate": scale * 100 / (1 + turn) * generator.lognormal(0, 0.02)})

    return measure


def test_ratios_survive_what_slows_both() -> None:
    turns = take_turns([_drifting(1.0), _drifting(2.0)], 12)  # type: ignore[list-item]
    ratio = turns.ratio(1, 0, "rate")
    assert ratio is not None
    assert ratio.low < 2.0 < ratio.high
    assert ratio.high - ratio.low < 0.1
    assert turns.ratio(1, 0, "p99") is None


def test_an_slo_on_a_ratio_is_kept_by_the_whole_interval() -> None:
    ratios = {"rate": Ratio(2.0, 1.8, 2.2), "p99": Ratio(0.5, 0.4, 0.6)}

    def holds(least_rate: float, most_p99: float) -> list[bool]:
        return [gate.holds for gate in ratio_gates(ratios, least_rate, most_p99)]

    assert holds(1.8, 0.6) == [True, True]
    assert holds(2.0, 0.5) == [False, False]


def test_a_rate_that_the_generator_cannot_send_is_refused() -> None:
    settings = Settings(1.0, 0, 1, Gates(), most_rate=1000.0)
    require_carried(settings, 1000.0)
    with pytest.raises(UsageError, match="the generator carries 1,000 requests/s"):
        require_carried(settings, 1001.0)


def test_every_second_turn_goes_backwards() -> None:
    order: list[tuple[int, str]] = []

    def contestant(name: str) -> object:
        def measure(turn: int) -> Sample:
            order.append((turn, name))
            return Sample({"rate": 1.0})

        return measure

    take_turns([contestant("a"), contestant("b")], 3)  # type: ignore[list-item]
    assert order == [(0, "a"), (0, "b"), (1, "b"), (1, "a"), (2, "a"), (2, "b")]


@pytest.mark.parametrize(
    ("invalids", "counts"), [({3}, True), (set(range(20)), True), (set(range(21)), False)]
)
def test_invalid_turns_are_repeated_until_there_are_too_many(
    invalids: set[int], counts: bool
) -> None:
    def measure(turn: int) -> Sample:
        return Sample({"rate": 1.0}, invalid="late" if turn in invalids else "")

    turns = take_turns([measure, measure], 10)
    assert len(turns.turns) == (10 if counts else 9)
    assert turns.left_out == len(invalids)
    assert turns.invalid == ("" if counts else "21 of 30 turns are invalid: late")


@pytest.mark.parametrize(("lates", "turns_taken", "has_ratio"), [(3, 13, True), (26, 30, False)])
def test_turns_without_latencies_are_taken_again_and_keep_their_other_figures(
    lates: int, turns_taken: int, has_ratio: bool
) -> None:
    def measure(turn: int) -> Sample:
        if turn < lates:
            return Sample({"rate": 2.0}, late="late")
        return Sample({"rate": 2.0, "p99": 1.0})

    turns = take_turns([measure, measure], 10)
    assert turns.invalid == ""
    assert len(turns.turns) == turns_taken
    assert turns.late == lates
    assert turns.values(0, "rate") == [2.0] * turns_taken
    assert (turns.ratio(0, 1, "p99") is not None) is has_ratio
    assert turns.ratio(0, 1, "rate") is not None


def test_a_server_that_went_away_ends_the_turns() -> None:
    def measure(turn: int) -> Sample:
        figures: Mapping[str, float] = {"rate": 1.0}
        return Sample(figures, invalid="gone" if turn == 2 else "", ended=turn == 2)

    turns = take_turns([measure, measure], 10)
    assert len(turns.turns) == 2
    assert turns.invalid == "gone"
