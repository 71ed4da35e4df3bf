"""A real Prometheus on a real gateway: what it counts, with which labels, and its alerts."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from monitoring.gateway_queries import GATEWAY_QUERIES
from monitoring.stack import CONFIGURATION
from tests.gateway.door import RECORD, Door, call_inputs
from tests.monitoring.conftest import Watch, Watched, until_stopped, watching
from tests.running import Served, wait_for
from tests.trimaran.calling import call_trimaran
from trimaran.gateway.presence import find_gateway
from trimaran.repository.repository import Repository

PREDICT = "/models/churn_record/predict"
BODY = {"RECORD": json.dumps({"total_day_minutes": 265.1})}
PERSON = "somebody@example.com"
LIMITED = '[[clients]]\nsubject = "eager"\nrequests_per_second = 1\nconcurrent_requests = 4\n'

pytestmark = pytest.mark.long


def rules() -> dict[str, str]:
    groups = yaml.safe_load((CONFIGURATION / "rules" / "gateway.yml").read_text())["groups"]
    found = (rule for group in groups for rule in group["rules"])
    return {rule.get("alert") or rule["record"]: rule["expr"] for rule in found}


@pytest.fixture(scope="module")
def watched(door: Door, churn_served: Served) -> Iterator[Watched]:
    """Prometheus on the server and its gateway, with a limit for one client."""
    since = len(door.lines)
    door.write(LIMITED)
    wait_for(lambda: door.said("is at work", since), 30, "the limits")
    with watching(churn_served) as watched:
        watched.eventually('up{job="gateway"}', lambda up: up == 1, 20)
        yield watched
    door.write("")
    wait_for(lambda: len(door.said("is at work", since)) > 1, 30, "no limits")


Counts = dict[tuple[str, ...], float]


def counted(watched: Watched) -> Counts:
    """Requests by model, way, reason, and how each ended."""
    labels = ("model", "kind", "reason", "status", "grpc_status", "why")
    promql = f"sum by ({', '.join(labels)}) (trimaran_gateway_requests)"
    return {
        tuple(sample.labels.get(label, "") for label in labels): sample.value
        for sample in watched.prometheus.instant(promql)
    }


def counted_since(before: Counts, after: Counts) -> Counter[tuple[str, ...]]:
    """How many more there are by model, way and reason.

    Half a minute after a change, Envoy drops the counts of what only the settings before it had.
    """
    more: Counter[tuple[str, ...]] = Counter()
    for ended, count in after.items():
        more[ended[:3]] += round(count - before.get(ended, 0))
    return more


def query(name: str) -> str:
    return next(each for each in GATEWAY_QUERIES if each.name == name).over("1m")


def ask_all(door: Door, times: int) -> dict[tuple[str, str, str], int]:
    """Ask in every way, and say what must be counted; a limit refuses some of two."""
    eager = door.bearer("infer:*", subject="eager")
    answered = limited = 0
    for _ in range(times):
        assert door.ask("POST", PREDICT, "infer:*", record=BODY).status == 200
        person = door.bearer("infer:churn", subject=PERSON)
        assert door.ask("POST", PREDICT, record=BODY, headers=person).status == 403
        for _ in range(2):
            assert door.ask("POST", PREDICT, record=BODY).status == 401
        assert door.ask("GET", "/secret").status == 404
        status = door.ask("POST", PREDICT, record=BODY, headers=eager).status
        answered, limited = answered + (status == 200), limited + (status == 429)
        with door.calls() as client:
            client.infer("churn", call_inputs(RECORD), headers=door.bearer("infer:churn"))
    assert answered + limited == times
    return {
        ("churn_record", "predict", ""): times + answered,
        ("churn_record", "predict", "scope"): times,
        ("churn_record", "predict", "token"): 2 * times,
        ("churn_record", "predict", "rate"): limited,
        ("", "", "unknown"): times,
        ("churn", "call", ""): times,
    }


def test_requests_are_counted_by_model_and_reason_and_many_are_alerts(
    door: Door, watched: Watched
) -> None:
    ask_all(door, 2)
    watched.scraped("gateway", timeout_s=60)
    before = counted(watched)
    expected = ask_all(door, 25)
    watched.scraped("gateway", timeout_s=60)
    after = counted(watched)
    more = counted_since(before, after)
    assert {each: more[each] for each in expected} == expected
    for alert in ("GatewayRefusesMany", "GatewayLimitsClients"):
        wait_for(lambda alert=alert: watched.prometheus.instant(rules()[alert]), 60, alert)
    firing = {
        sample.labels["alertname"]
        for sample in watched.prometheus.instant('ALERTS{alertname=~"Gateway.*"}')
    }
    assert firing == {"GatewayRefusesMany", "GatewayLimitsClients"}


def test_the_report_has_the_models_and_the_times_next_to_tritons(
    door: Door, watched: Watched
) -> None:
    ask_all(door, 2)
    watched.scraped("gateway", timeout_s=60)
    ask_all(door, 2)
    wait_for(lambda: watched.prometheus.instant(query("gateway_p99")), 20, "a quantile")
    answered = {each.name: watched.prometheus.instant(each.over("1m")) for each in GATEWAY_QUERIES}
    for each in GATEWAY_QUERIES:
        assert all(set(s.labels) <= set(each.labels) for s in answered[each.name]), each.name
    silent = {name for name, samples in answered.items() if not samples}
    assert silent <= {"gateway_retries", "gateway_ejections"}
    outcome = call_trimaran(
        "monitor", "report", "--window", "1m", "--json", "--repository", watched.root
    )
    gateway = json.loads(outcome.stdout)["gateway"]
    assert gateway["servers"] == {"local": True}
    models = {each["model"]: each for each in gateway["models"]}
    assert set(models) >= {"churn", "churn_record"}
    assert set(models["churn_record"]["answers"]) == {"2xx", "4xx"}
    assert set(models["churn_record"]["refusals"]) >= {"scope", "token"}
    latency_s = models["churn_record"]["latency_s"]
    assert 0 < latency_s["gateway_p50"] <= latency_s["gateway_p99"] < 60
    outcome = call_trimaran("monitor", "report", "--window", "1m", "--repository", watched.root)
    assert "server local: ready" in outcome.stdout


def test_a_killed_gateway_is_an_alert_and_a_stopped_one_is_none(
    empty_repository: Repository, tmp_path: Path
) -> None:
    def door() -> Door:
        opened = Door(empty_repository, tmp_path / "gateway.toml")
        opened.until_said("Press Ctrl-C to stop", 60)
        return opened

    def alerts() -> set[str]:
        found = watch.prometheus.instant('ALERTS{alertname=~"Gateway.*"}')
        return {sample.labels["alertname"] for sample in found}

    with until_stopped(Watch(empty_repository)) as watch:
        first = door()
        wait_for(lambda: alerts() == {"GatewayHasNoServer"}, 20, "an alert without a server")
        first.stop(signal.SIGKILL)
        wait_for(lambda: "GatewayDown" in alerts(), 20, "an alert of a killed gateway")
        second = door()
        watch.eventually('up{job="gateway"}', lambda up: up == 1, 20)
        wait_for(lambda: alerts() == {"GatewayHasNoServer"}, 20, "the end of the alert")
        second.stop()
        watch.until_said("is no longer watched", 20)
        wait_for(lambda: alerts() == set(), 20, "no alert of a stopped gateway")
    assert find_gateway(empty_repository) is None
