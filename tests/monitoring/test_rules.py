"""Prometheus' own tool checks the configuration, the rules, and when each alert fires."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring.stack import CONFIGURATION, alertmanager_config, prometheus_config
from tests.programs import require

RULES = sorted((CONFIGURATION / "rules").glob("*.yml"))
TESTS = sorted((CONFIGURATION / "tests").glob("*.yml"))


def promtool(*arguments: str | Path, cwd: Path = CONFIGURATION) -> str:
    outcome = subprocess.run(
        [require("promtool").path, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return outcome.stdout + outcome.stderr


def alerts() -> dict[str, dict[str, Any]]:
    rules = [
        rule
        for path in RULES
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]
    return {rule["alert"]: rule for rule in rules if "alert" in rule}


def test_the_committed_configuration_is_right() -> None:
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml")
    assert "SUCCESS" in promtool("check", "rules", *RULES)
    amtool = require("amtool").path
    subprocess.run(
        [amtool, "check-config", CONFIGURATION / "alertmanager.yml"],
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize("alertmanager", ["127.0.0.1:9999", None])
def test_the_configuration_that_is_run_is_right(tmp_path: Path, alertmanager: str | None) -> None:
    (tmp_path / "targets").mkdir()
    path = tmp_path / "prometheus.yml"
    path.write_text(prometheus_config(tmp_path / "targets", alertmanager, 0.25))
    assert f"{len(RULES)} rule files found" in promtool("check", "config", path)
    config = yaml.safe_load(path.read_text())
    assert config["global"]["scrape_interval"] == "250ms"
    config = alertmanager_config("http://127.0.0.1:1/")
    assert yaml.safe_load(config)["receivers"][0]["webhook_configs"][0]["url"].endswith(":1/")


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_alerts_fire_and_stay_silent(path: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", path.name, cwd=path.parent)


def test_every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    tests = [test for path in TESTS for test in yaml.safe_load(path.read_text())["tests"]]
    for name in alerts():
        fired = silent = 0
        for test in tests:
            for case in test["promql_expr_test"]:
                asked = re.search(r'alertname=~?"([^"]*)"', case["expr"])
                concerned = case["expr"].startswith("ALERTS{") and (
                    asked is None or re.fullmatch(asked[1], name)
                )
                found = [s["labels"] for s in case["exp_samples"]]
                fires = any(f'alertname="{name}"' in labels for labels in found)
                fired += fires
                silent += bool(concerned) and not fires
        assert fired, f"no test in which {name} fires"
        assert silent, f"no test in which {name} stays silent"


def test_every_alert_says_what_is_wrong_and_what_to_do() -> None:
    for name, rule in alerts().items():
        assert set(rule["annotations"]) == {"summary", "remedy"}, name
        assert rule["labels"]["severity"] in ("page", "ticket", "info"), name
