"""Load tests report what Prometheus saw of their run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtests.reports.observed import OBSERVED, between
from tests.monitoring.conftest import Watched
from tests.trimaran.calling import call_trimaran

KEY = ("m", "1")


def totals(answered: float, failed: float, us: float, rows: float, batches: float) -> dict:  # type: ignore[type-arg]
    names = ("request_success", "request_failure", "request_duration_us", "count", "exec_count")
    values = (answered, failed, us, rows, batches)
    return {name: {KEY: value} for name, value in zip(names, values, strict=True)}


def test_figures_are_of_what_was_counted_between_two_readings() -> None:
    found = between(totals(100, 1, 5000, 400, 50), totals(110, 3, 45000, 440, 60))
    assert found == {
        "m 1": {"requests": 12, "failed": 2, "mean ms": 4.0, "queue ms": 0.0, "batch": 4.0}
    }


def test_requests_that_a_model_answered_with_an_error_failed() -> None:
    after = {**totals(10, 1, 100, 10, 10), "answered_with_error": {KEY: 4.0}}
    assert between({}, after)["m 1"]["failed"] == 5


def test_a_counter_that_was_reset_is_counted_from_there() -> None:
    found = between(totals(100, 0, 5000, 400, 50), totals(10, 0, 20000, 10, 10))
    assert found["m 1"]["requests"] == 10
    assert found["m 1"]["mean ms"] == 2.0


def test_who_was_not_asked_has_no_figures() -> None:
    assert between(totals(5, 0, 1, 1, 1), totals(5, 0, 1, 1, 1)) == {}
    assert between({}, {}) == {}


@pytest.mark.parametrize(
    "command",
    [
        ("bench", "churn_record", "--closed", "--duration", "1s"),
        pytest.param(
            ("locust", "churn_record", "--users", "2", "--duration", "3s"), marks=pytest.mark.long
        ),
    ],
)
def test_a_load_test_reports_what_prometheus_saw(
    churn_watched: Watched, tmp_path: Path, command: tuple[str, ...]
) -> None:
    churn_watched.scraped()
    outcome = call_trimaran(*command, "--repository", churn_watched.root, "--out", tmp_path)
    assert outcome.status == 0, outcome.error
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["about"]["Prometheus"].startswith(churn_watched.prometheus.url)
    (seen,) = report["figures"][OBSERVED].values()
    (run,) = report["runs"]
    # The last scrape before the run may come before some of the warm-up.
    assert run["requests"] <= seen["requests"] <= run["requests"] + 100
    assert seen["failed"] == 0
    assert seen["mean ms"] > 0
    assert "by Prometheus, churn_record" in outcome.stdout
