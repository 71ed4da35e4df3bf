"""Every metric that a query or a rule names is there in a live scrape, and every query answers."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import urllib3
import yaml

from monitoring.grafana.build import dashboards
from monitoring.queries import CATALOGUE
from monitoring.stack import CONFIGURATION
from tests.monitoring.conftest import Watched
from tests.monitoring.test_report import GOOD, ask
from tests.running import Served, start_serving
from trimaran.repository.config import read_config, write_config
from trimaran.repository.repository import Repository

ONLY_WITH_A_GPU = {"nv_gpu_utilization", "nv_gpu_memory_used_bytes"}
OF_THE_GATEWAY = "trimaran_gateway_"
"""What these begin with: `tests/gateway/test_metrics.py` has them."""
_NAME = re.compile(r"\b(?:nv|trimaran)_[a-z0-9_]+\b(?!:)")
_RECORDED = re.compile(r"\b[a-z_]+(?::[a-z0-9_]+)+\b|\bmodel_(?!version)[a-z0-9_]+\b(?!:)")


def expressions() -> list[str]:
    rules = [rule for path in (CONFIGURATION / "rules").glob("*.yml") for rule in rules_of(path)]
    shown = [text for board in dashboards().values() for text in re.findall(r'"expr": (.*)', board)]
    return [
        *(query.promql for query in CATALOGUE.values()),
        *(rule["expr"] for rule in rules),
        *shown,
    ]


def rules_of(path: Path) -> list[dict[str, str]]:
    return [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


@pytest.fixture(scope="module")
def everything(exported: Repository, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with quantiles, and two models, one of them behind a response cache.

    Triton 2.51 has no quantiles of requests for a model with a cache.
    """
    repository = Repository.create(tmp_path_factory.mktemp("everything") / "model_repository")
    for name in ("plain", "cached"):
        shutil.copytree(exported.root / "linear_onnx", repository.root / name)
        config = read_config(repository.config_path(name))
        config.name = name
        config.response_cache.enable = name == "cached"
        write_config(repository.config_path(name), config)
    served = start_serving(repository, "--quantiles", "--cache-mb=1")
    with served.client() as client:
        for name in ("plain", "cached", "cached"):
            client.infer(name, {"x": np.zeros((1, 8), np.float32)})
    yield served
    served.stop()


def test_every_metric_is_there_in_a_live_scrape(everything: Served, churn_watched: Watched) -> None:
    ask(churn_watched, [GOOD])  # a release has outcomes to count once it was asked
    churn_watched.eventually("sum(trimaran_outcomes_total)", lambda outcomes: outcomes >= 0, 20)
    found: set[str] = set()
    for ports in (everything.ports, churn_watched.served.ports):
        for port in (ports.metrics, ports.supervisor):
            text = urllib3.request("GET", f"http://{ports.host}:{port}/metrics").data.decode()
            found |= set(re.findall(r"^([a-z_]\w*)", text, re.MULTILINE))
    named = {name for expression in expressions() for name in _NAME.findall(expression)}
    named = {name for name in named if not name.startswith(OF_THE_GATEWAY)}
    assert len(named) > 15
    assert named - found <= ONLY_WITH_A_GPU


def test_every_recorded_series_has_its_rule() -> None:
    recorded = {
        rule["record"]
        for path in (CONFIGURATION / "rules").glob("*.yml")
        for rule in rules_of(path)
        if "record" in rule
    }
    named = {name for expression in expressions() for name in _RECORDED.findall(expression)}
    assert "model_accuracy" in named
    assert named <= recorded


def test_every_query_answers_with_its_labels(churn_watched: Watched) -> None:
    answered = set()
    for name, query in CATALOGUE.items():
        samples = churn_watched.prometheus.instant(query.over("1m"))
        for sample in samples:
            # A request through the gateway need not name a model.
            assert set(sample.labels) >= set(query.labels) or query.section == "Gateway", name
        if samples:
            answered.add(name)
    assert answered >= {"request_rate", "model_cpu", "load_time", "model_ready", "scrapes"}
    assert answered >= {"availability_objective", "mean_objective", "p99_objective"}


def test_the_documentation_has_the_catalogue() -> None:
    page = (CONFIGURATION.parent.parent / "docs" / "monitoring.md").read_text()
    for query in CATALOGUE.values():
        section = page.partition(f"### {query.section}")[2].partition("\n###")[0]
        row = f"| `{query.name}` | {query.unit} | {query.meaning} |"
        assert row in section, f"{query.name} is not in the section {query.section}: {row}"
