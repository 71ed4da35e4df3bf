"""The committed dashboards are those of the catalogue, and Prometheus answers all they ask."""

from __future__ import annotations

import json
from typing import Any

import yaml

from monitoring.grafana.build import DASHBOARDS, dashboards
from monitoring.queries import CATALOGUE
from tests.monitoring.conftest import Watched


def panels(text: str) -> list[dict[str, Any]]:
    board = json.loads(text)
    return [panel for panel in board["panels"] if panel["type"] == "timeseries"]


def test_the_committed_dashboards_are_current() -> None:
    made = dashboards()
    assert {path.name for path in DASHBOARDS.glob("*.json")} == set(made)
    for name, text in made.items():
        assert (DASHBOARDS / name).read_text() == text, (
            f"{name} is not current: python -m monitoring.grafana.build"
        )


def test_every_reported_query_has_a_panel_with_its_meaning() -> None:
    shown = [panel for text in dashboards().values() for panel in panels(text)]
    meanings = {panel["description"] for panel in shown}
    assert {query.meaning for query in CATALOGUE.values() if query.reported} <= meanings
    uids = [json.loads(text)["uid"] for text in dashboards().values()]
    assert len(set(uids)) == len(uids)


def test_prometheus_answers_every_panel(churn_watched: Watched) -> None:
    answered = 0
    for text in dashboards().values():
        for panel in panels(text):
            for target in panel["targets"]:
                expression = target["expr"].replace("$__rate_interval", "30s")
                answered += bool(churn_watched.prometheus.instant(expression))
    assert answered > 15


def test_provisioning_is_readable() -> None:
    root = DASHBOARDS.parent / "provisioning"
    (source,) = yaml.safe_load((root / "datasources" / "trimaran.yml").read_text())["datasources"]
    assert source["type"] == "prometheus"
    assert source["url"].startswith("http://127.0.0.1:")
    (provider,) = yaml.safe_load((root / "dashboards" / "trimaran.yml").read_text())["providers"]
    assert provider["type"] == "file"
