"""What monitoring finds of the live models, as reasons to train them again."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitoring.accuracy import Figure, ReleaseAccuracy
from monitoring.drift import Finding
from monitoring.reasons import Monitored, accuracy_reason, drift_reason
from trimaran.repository.repository import Repository
from trimaran.rollout.retrain_plan import Triggers
from trimaran.rollout.retraining.watched import Asked
from trimaran.stats.intervals import Estimate

ASKED = Asked(Triggers(0.2, 0.8), {"shop": 3, "shop_features": 2}, "F1", False, "seen_on_days")


def feature(name: str, low: float, version: str = "2", verdict: str = "stable") -> Finding:
    return Finding(
        "shop_features",
        version,
        name,
        900,
        "the reference",
        low + 0.1,
        (low, low + 0.2),
        verdict=verdict,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("findings", "fired", "says"),
    [
        ([], None, "cannot be told of 0 rows"),
        ([Finding("shop_features", "2", "calls", 30)], None, "cannot be told of 30 rows"),
        ([feature("calls", 0.1)], False, "nothing that is served drifted"),
        ([feature("calls", 0.3)], True, "drifted beyond 0.2: calls 0.40"),
        ([feature("calls", 0.1, verdict="absent")], True, "calls 0.20"),
        ([feature("calls", 0.3, version="1")], None, "0 rows"),
        ([feature("seen_on_days", 9)], None, "0 rows"),
        ([feature(name, 0.3) for name in "abcde"], True, "a 0.40, b 0.40, c 0.40 and 2 more"),
    ],
)
def test_only_what_the_live_versions_were_asked_counts(
    findings: list[Finding], fired: bool | None, says: str
) -> None:
    found = drift_reason(findings, ASKED)
    assert found.fired is fired
    assert says in found.says


def release(value: float, reach: float, verdict: str = "holds", version: str = "3") -> object:
    live = Estimate(value, value - reach, value + reach)
    figures = {"F1": Figure(live, None, None)}
    return ReleaseAccuracy("shop", version, 120, figures, None, None, verdict)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("judged", "less", "fired", "says"),
    [
        ([], False, None, "no outcome of what is served was recorded"),
        ([release(0.7, 0.05)], False, True, "of shop, F1 is 0.7 (0.65 to 0.75) by 120 reco"),
        ([release(0.7, 0.15)], False, False, "F1 holds by 120 recorded outcomes"),
        (
            [release(0.9, 0.01, "fell")],
            False,
            True,
            "shop fell: F1 is 0.9 (0.89 to 0.91) by 120 re",
        ),
        ([release(0.9, 0.01)], True, True, "worse than 0.8"),
        ([release(0.7, 0.05, version="2")], False, None, "no outcome"),
    ],
)
def test_recorded_outcomes_count_by_the_bound_or_by_a_fall(
    judged: list[ReleaseAccuracy], less: bool, fired: bool | None, says: str
) -> None:
    asked = Asked(ASKED.triggers, ASKED.models, "F1", less, "")
    found = accuracy_reason(judged, asked)
    assert found.fired is fired
    assert says in found.says


def test_without_a_prometheus_nothing_is_known_of_what_is_served(tmp_path: Path) -> None:
    repository = Repository.create(tmp_path / "model_repository")
    (found,) = Monitored(repository.root)(ASKED)
    assert found.fired is None
    assert found.says.startswith("what is served is not known: no Prometheus monitors ")
