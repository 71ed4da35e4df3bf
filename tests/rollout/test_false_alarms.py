"""Simulated experiments, with a look at every step, on the functions that decide."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from proofs.experiments import SCENARIOS, Ended, simulated


def ends(name: str, runs: int, **changes: int) -> list[Ended]:
    scenario = replace(SCENARIOS[name], **changes)  # type: ignore[arg-type]
    return [simulated(scenario, seed) for seed in range(runs)]


def aborted(found: list[Ended]) -> list[Ended]:
    return [each for each in found if each.word == "abort"]


def test_releases_that_are_alike_are_rarely_told_apart() -> None:
    assert len(aborted(ends("alike-ab", 20, steps=25, requests=100))) <= 1


def test_a_release_with_many_errors_is_aborted_within_500_requests() -> None:
    found = ends("failing-canary", 20, requests=200)
    assert len(aborted(found)) == 20
    assert sum(each.requests <= 500 for each in found) >= 18
    assert all("error ratio is proven" in each.why for each in found)


def test_a_release_that_is_five_points_less_accurate_is_aborted() -> None:
    found = ends("less-accurate", 3, requests=400)
    assert [each.word for each in found] == ["abort"] * 3
    assert all(each.why.startswith("The candidate's accuracy is proven") for each in found)
    assert max(each.outcomes for each in found) < 8000


def test_a_good_release_is_promoted() -> None:
    found = ends("good-canary", 3)
    assert [each.word for each in found] == ["promote"] * 3
    assert max(each.requests for each in found) < 8000


@pytest.mark.long
def test_five_hundred_experiments_of_releases_that_are_alike() -> None:
    scenario = replace(SCENARIOS["alike-ab"], steps=100)
    with ProcessPoolExecutor(2) as pool:
        found = list(pool.map(partial(simulated, scenario), range(500), chunksize=5))
    assert len(aborted(found)) <= 25


@pytest.mark.long
def test_how_soon_a_bad_release_is_found() -> None:
    errors = [each.requests for each in ends("failing-alone", 200) if each.word == "abort"]
    accuracy = [each.outcomes for each in ends("less-accurate", 50) if each.word == "abort"]
    assert len(errors) == 200
    assert np.quantile(errors, 0.5) <= 250
    assert np.mean(np.array(errors) <= 500) >= 0.93
    assert len(accuracy) == 50
    assert np.quantile(accuracy, 0.95) <= 8000
