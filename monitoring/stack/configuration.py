"""The committed configurations, with the addresses of what runs here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from trimaran.system.ports import Ports

__all__ = ["CONFIGURATION", "alertmanager_config", "prometheus_config", "target_files"]

CONFIGURATION = Path(__file__).parent.parent / "prometheus"
"""`prometheus.yml`, `alertmanager.yml` and `rules/`."""


def prometheus_config(targets: Path, alertmanager: str | None, interval_s: float | None) -> str:
    """`prometheus.yml` with targets from files `<job>.json` of a folder, and the rules' place.

    `alertmanager` is its `host:port`, or None where there is none. `interval_s` replaces the time
    between scrapes, and between evaluations of the rules.
    """
    config: dict[str, Any] = yaml.safe_load((CONFIGURATION / "prometheus.yml").read_text())
    config["rule_files"] = [str(CONFIGURATION / pattern) for pattern in config["rule_files"]]
    if interval_s is not None:
        milliseconds = f"{round(interval_s * 1000)}ms"
        for key in ("scrape_interval", "scrape_timeout", "evaluation_interval"):
            config["global"][key] = milliseconds
    if alertmanager:
        config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
    else:
        del config["alerting"]
    for job in config["scrape_configs"]:
        del job["static_configs"]
        job["file_sd_configs"] = [{"files": [str(targets / f"{job['job_name']}.json")]}]
    return yaml.safe_dump(config, sort_keys=False)


def alertmanager_config(webhook: str) -> str:
    """`alertmanager.yml` with the webhook's address."""
    config: dict[str, Any] = yaml.safe_load((CONFIGURATION / "alertmanager.yml").read_text())
    for receiver in config["receivers"]:
        for webhook_config in receiver["webhook_configs"]:
            webhook_config["url"] = webhook
    return yaml.safe_dump(config, sort_keys=False)


def target_files(ports: Ports) -> Mapping[str, str]:
    """What the target file of each job holds for a server on these ports."""
    jobs = {"triton": ports.metrics, "supervisor": ports.supervisor}
    return {
        f"{job}.json": json.dumps([{"targets": [f"{ports.host}:{port}"]}]) + "\n"
        for job, port in jobs.items()
    }
