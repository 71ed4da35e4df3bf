"""Distances, verdicts, and drift on a real server under a real Prometheus."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from monitoring.drift import Expectation, Finding, evaluate_features
from monitoring.prometheus_api import Sample
from tests.monitoring.conftest import Watched, served_and_watched
from tests.running import wait_for
from tests.trimaran.calling import call_trimaran
from trimaran.repository.repository import Repository
from trimaran.stats.drift import distance_between, jensen_shannon, population_stability, shares

GENERATOR = np.random.default_rng(3)


def test_the_distances_are_those_of_scipy() -> None:
    for bins in (2, 5, 53):
        found, expected = GENERATOR.dirichlet(np.ones(bins), 2)
        assert population_stability(found, expected) == pytest.approx(
            entropy(found, expected) + entropy(expected, found)
        )
        assert jensen_shannon(found, expected) == pytest.approx(
            jensenshannon(found, expected, base=2)
        )


def test_shares_add_up_and_no_bin_is_empty() -> None:
    found = shares(np.array([[0.0, 3.0], [0.0, 0.0]]))
    assert found[0].tolist() == [0.125, 0.875]
    assert found[1].tolist() == [0.5, 0.5]


def test_chance_is_taken_off_the_interval() -> None:
    """Two samples of one distribution: the index itself is never 0, and its interval holds 0."""
    held = 0
    for _ in range(50):
        ours, theirs = GENERATOR.multinomial(300, np.full(10, 0.1), 2) * 1.0
        assert population_stability(shares(ours), shares(theirs)) > 0
        held += distance_between(ours, theirs, population_stability)[1][0] < 0.01
    assert held >= 47
    moved = np.array([400.0] + [22.0] * 9)
    index, (low, high) = distance_between(moved, np.full(10, 60.0), population_stability)
    assert 0.5 < low < index < high


@pytest.mark.parametrize("rows", [200, 300, 5000])
@pytest.mark.parametrize("bins", [2, 10, 60])
def test_an_index_lies_within_its_interval(rows: int, bins: int) -> None:
    for seed in range(20):
        ours, theirs = GENERATOR.multinomial(rows, np.full(bins, 1 / bins), 2) * 1.0
        index, (low, high) = distance_between(ours, theirs, population_stability, seed)
        assert low <= index <= high


def of(feature: str, counts: dict[str, float], model: str = "m") -> list[Sample]:
    labels = {"model": model, "version": "1", "feature": feature}
    return [Sample({**labels, "bin": name}, value) for name, value in counts.items()]


@pytest.mark.parametrize(
    ("served", "trained", "verdict"),
    [
        ({"a": 500, "b": 500}, {"a": 480, "b": 520}, "stable"),
        ({"a": 900, "b": 100}, {"a": 500, "b": 500}, "drift"),
        ({"a": 90, "b": 10}, {"a": 500, "b": 500}, "too few"),
        ({"a": 900, "b": 100}, {"a": 50, "b": 50}, "too few"),
        ({"a": 150, "b": 65}, {"a": 500, "b": 500}, "unsure"),
        ({"a": 500}, {}, "no reference"),
        ({"a": 900, "missing": 90}, {"a": 990, "missing": 10}, "absent"),
        ({"a": 900, "unknown": 90}, {"a": 990, "unknown": 10}, "absent"),
        ({"a": 910, "missing": 50}, {"a": 990, "missing": 10}, "stable"),
    ],
)
def test_the_size_of_the_effect_decides_about_a_feature(
    served: dict[str, float], trained: dict[str, float], verdict: str
) -> None:
    (found,) = evaluate_features(of("x", served), [Expectation("training", of("x", trained))])
    assert found.verdict == verdict
    assert found.against == ("training" if trained else "")
    assert found.rows == sum(served.values())
    if verdict == "drift":
        assert found.moved == "a"


def test_the_farthest_feature_comes_first() -> None:
    same, moved = {"a": 500.0, "b": 500.0}, {"a": 900.0, "b": 100.0}
    expected = Expectation("training", [*of("stays", same), *of("moves", same)])
    found = evaluate_features([*of("stays", same), *of("moves", moved)], [expected])
    assert [each.feature for each in found] == ["moves", "stays"]
    assert found[0].missing is None


def test_a_feature_is_compared_with_the_first_expectation_that_has_rows_of_it() -> None:
    half, most = {"a": 500.0, "b": 500.0}, {"a": 900.0, "b": 100.0}
    found = evaluate_features(
        [*of("both", most), *of("past only", most), *of("neither", most)],
        [
            Expectation("the reference", [*of("both", half), *of("past only", {"a": 0, "b": 0})]),
            Expectation("the day before", [*of("both", most), *of("past only", most)]),
        ],
    )
    assert {each.feature: (each.against, each.verdict) for each in found} == {
        "both": ("the reference", "drift"),
        "past only": ("the day before", "stable"),
        "neither": ("", "no reference"),
    }


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    """Customers of the public table, without outcome."""
    from trimaran.training.tabular.data.sources import load

    dataset = load("mlc_churn", None)
    names = [field.name for field in dataset.schema.fields]
    frame = dataset.frame[names].sample(600, random_state=1)
    return [json.loads(text) for text in frame.to_json(orient="records", lines=True).splitlines()]


@pytest.fixture(scope="module")
def drifting(churn_trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    root = tmp_path_factory.mktemp("drifting") / "model_repository"
    shutil.copytree(churn_trained / "model_repository", root)
    with served_and_watched(Repository.open(root), "--model", "churn_record") as watched:
        yield watched


def ask(watched: Watched, records: list[dict[str, Any]]) -> None:
    texts = np.array([[json.dumps(record).encode()] for record in records], dtype=object)
    with watched.served.client() as client:
        client.infer("churn_record", {"RECORD": texts})


def drift(watched: Watched, status: int) -> dict[str, Finding]:
    outcome = call_trimaran(
        "monitor", "drift", "--window", "5m", "--json", "--repository", watched.root
    )
    assert outcome.status == status, outcome.stdout + outcome.error
    return {each["feature"]: Finding(**each) for each in json.loads(outcome.stdout)}


def test_drift_is_found_and_an_alert_of_it_fires(
    drifting: Watched, records: list[dict[str, Any]]
) -> None:
    nothing = call_trimaran("monitor", "drift", "--repository", drifting.root)
    assert nothing.status == 1
    assert "no row was counted in the last 1h" in nothing.error

    ask(drifting, records)
    state = 'sum(trimaran_feature_rows_total{model="churn_record", feature="state"})'
    drifting.eventually(state, lambda rows: rows == 600, 20)
    drifting.scraped()
    found = drift(drifting, 0)
    assert {each.verdict for each in found.values()} == {"stable"}
    assert len(found) == len(records[0]) + 2
    firing = 'ALERTS{alertname=~"FeatureDrift|Input.*", alertstate="firing"}'
    drifting.eventually(
        'model_version_feature:rows:increase1h{feature="state"}', lambda rows: rows > 500, 20
    )
    assert drifting.prometheus.instant(firing) == []

    shifted = [
        {**record, "total_day_minutes": record["total_day_minutes"] + 120, "state": "Mu"}
        for record in records
    ]
    for record in shifted:
        del record["total_eve_calls"]
    ask(drifting, shifted)
    drifting.eventually(state, lambda rows: rows == 1200, 20)

    def alerts() -> set[tuple[str, str]]:
        return {
            (sample.labels["alertname"], sample.labels["feature"])
            for sample in drifting.prometheus.instant(firing)
        }

    expected = {
        ("FeatureDrift", "total_day_minutes"),
        ("FeatureDrift", "state"),
        ("FeatureDrift", "total_eve_calls"),
        ("InputUnknown", "state"),
        ("InputMissing", "total_eve_calls"),
    }
    wait_for(lambda: alerts() >= expected, 10, "the alerts")
    assert {feature for _, feature in alerts()} <= {
        *(feature for _, feature in expected),
        "churn_probability",
        "churn_prediction",
    }
    wait_for(lambda: drifting.said("FeatureDrift: churn_record"), 20, "the line")
    found = drift(drifting, 1)
    assert found["total_day_minutes"].verdict == "drift"
    assert found["state"].moved == "unknown"
    assert found["total_eve_calls"].missing is not None
    assert found["total_eve_calls"].missing[0] == pytest.approx(0.5, abs=0.01)
    assert found["total_night_minutes"].verdict == "stable"
    stability, chance, distance = (
        drifting.value(f'model_version_feature:{kind}:increase1h{{feature="total_day_minutes"}}')
        for kind in ("population_stability", "population_stability_chance", "jensen_shannon")
    )
    assert stability - chance == pytest.approx(found["total_day_minutes"].index, rel=0.03)
    assert distance == pytest.approx(found["total_day_minutes"].distance, rel=0.02)

    shown = call_trimaran(
        "monitor", "drift", "--window", "5m", "--model", "churn_record", "--repository",
        drifting.root,
    )  # fmt: skip
    assert shown.status == 1
    assert "total_day_minutes" in shown.stdout
    assert "PSI" in shown.stdout
