"""`trimaran monitor report` and `watch` on a real Prometheus, and what becomes of mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.monitoring.conftest import Watched
from tests.trimaran.calling import Outcome, call_trimaran
from trimaran.system.errors import TrimaranError
from trimaran.system.ports import free_ports

GOOD, BAD = 265.1, float("inf")


def ask(watched: Watched, minutes: list[float]) -> int:
    """Ask about a customer each by named field and by record; how many are refused by field."""
    refused = 0
    with watched.served.client() as client:
        for value in minutes:
            text = json.dumps({"total_day_minutes": GOOD}).encode()
            client.infer("churn_record", {"RECORD": np.array([[text]], dtype=object)})
            try:
                client.infer("churn", {"total_day_minutes": np.array([[value]], np.float32)})
            except TrimaranError:
                refused += 1
    return refused


def monitor(watched: Watched, *arguments: str | Path) -> Outcome:
    return call_trimaran("monitor", *arguments, "--repository", watched.root)


def test_a_report_shows_rates_errors_and_objectives(churn_watched: Watched, tmp_path: Path) -> None:
    churn_watched.scraped()
    refusals = 'sum(trimaran_failed_requests_total{model="churn_features"})'
    before = churn_watched.value(refusals)
    assert ask(churn_watched, [GOOD] * 40 + [BAD] * 10) == 10
    churn_watched.eventually(refusals, lambda after: after == before + 10, 20)
    churn_watched.scraped()
    page = tmp_path / "report.html"
    outcome = monitor(churn_watched, "report", "--window", "1m", "--json", "--output", page)
    report = json.loads(outcome.stdout)
    assert outcome.status == 1, outcome.stdout
    lines = {line["model"]: line for line in report["lines"]}
    (reason,) = lines["churn"]["errors"]
    assert lines["churn"]["figures"]["error_ratio"] == pytest.approx(
        lines["churn"]["errors"][reason] / lines["churn"]["figures"]["request_rate"], rel=1e-6
    )
    assert 0.1 < lines["churn"]["figures"]["error_ratio"] < 0.4
    assert "error_ratio" in [broken["figure"] for broken in lines["churn"]["broken"]]
    # The step that refused them; Triton itself counts its refusals among the answered requests.
    step = lines["churn_features"]
    assert step["errors"] == {"MODEL": pytest.approx(lines["churn"]["errors"][reason] / 2, rel=0.1)}
    assert step["figures"]["error_ratio"] == pytest.approx(
        step["errors"]["MODEL"] / step["figures"]["request_rate"], rel=1e-6
    )
    firing = 'ALERTS{alertname="ErrorBudgetBurnsFast", alertstate="firing", model="churn_features"}'
    churn_watched.eventually(firing, lambda value: value == 1, 20)
    figures = lines["churn_record"]["figures"]
    assert figures["error_ratio"] == 0
    assert 0 < figures["mean_latency"] < 1
    assert figures["mean_latency"] >= figures["compute_infer"] > 0
    assert figures["batch_size"] >= 1
    assert figures["model_memory"] > 10e6
    assert 0.05 < figures["load_time"] < 60
    assert report["server"]["server_cpu"] > 0
    html = page.read_text()
    assert html.count("<svg") >= 6
    assert "churn_record" in html
    assert "errors" in html

    printed = monitor(churn_watched, "report", "--window", "1m")
    assert printed.status == 1
    assert f"errors of churn 1: {reason}" in printed.stdout


def test_the_mean_is_that_of_tritons_own_statistics(churn_watched: Watched) -> None:
    def counted() -> tuple[int, int]:
        (entry,) = churn_watched.served.control.statistics("churn_record")
        success = entry["inference_stats"]["success"]
        return int(success["count"]), int(success["ns"])

    count, ns = counted()
    churn_watched.scraped()
    start_s = churn_watched.prometheus.now_s()
    ask(churn_watched, [GOOD] * 50)
    churn_watched.scraped()
    count_after, ns_after = counted()
    assert count_after - count == 50
    # Counters of the last scrape before the requests, and of the first after.
    total = 'sum(nv_inference_request_{}{{model="churn_record"}})'
    answered, spent_us = (
        sum(sample.value for sample in churn_watched.prometheus.instant(metric))
        - sum(sample.value for sample in churn_watched.prometheus.instant(metric, start_s))
        for metric in (total.format("success"), total.format("duration_us"))
    )
    assert answered == 50
    assert spent_us == pytest.approx((ns_after - ns) / 1e3, rel=0.01)


def test_watch_shows_the_models_that_were_asked(churn_watched: Watched) -> None:
    ask(churn_watched, [GOOD] * 5)
    churn_watched.scraped()
    outcome = monitor(churn_watched, "watch", "--looks", "1", "--history", "1m")
    assert outcome.status == 0
    assert "churn_record" in outcome.stdout
    assert "█" in outcome.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--window", "5"), "--window is '5'; expected a duration"),
        (("--prometheus", "localhost:9090"), "expected a URL such as"),
    ],
)
def test_usage_errors(churn_watched: Watched, arguments: tuple[str, str], words: str) -> None:
    outcome = monitor(churn_watched, "report", *arguments)
    assert outcome.status == 2
    assert words in outcome.error


def test_a_missing_prometheus_is_reported_with_the_remedy(tmp_path: Path) -> None:
    root = tmp_path / "model_repository"
    root.mkdir()
    outcome = call_trimaran("monitor", "report", "--repository", root)
    assert outcome.status == 1
    assert "start 'trimaran monitor up'" in outcome.error
    url = f"http://127.0.0.1:{free_ports().http}"
    for command in (("report",), ("watch", "--looks", "1")):
        outcome = call_trimaran("monitor", *command, "--prometheus", url, "--repository", root)
        assert outcome.status == 1
        assert f"no Prometheus answers at {url}" in outcome.error


def test_another_server_than_prometheus_is_reported(churn_watched: Watched) -> None:
    url = churn_watched.served.url("")
    outcome = monitor(churn_watched, "report", "--prometheus", url)
    assert outcome.status == 1
    assert f"Prometheus at {url}" in outcome.error
