"""`trimaran monitor up`: what starts, what is printed, and that nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import pytest
import urllib3

from monitoring.presence import find_watch
from monitoring.programs import find_program
from monitoring.stack import alert_line, receiving
from tests.monitoring.conftest import Watch, Watched, until_stopped
from tests.programs import require
from tests.running import Served, wait_for
from tests.trimaran.calling import call_trimaran
from trimaran.repository.presence import find_server
from trimaran.repository.repository import Repository
from trimaran.serving.stub_processes import identify_stub
from trimaran.system.errors import TrimaranError
from trimaran.system.ports import free_ports
from trimaran.system.processes import children, start_time


def stub_of(served: Served, model: str) -> int:
    found = find_server(served.repository)
    assert found is not None
    stubs = [identify_stub(pid) for pid in children(found.server_pid)]
    return next(stub.pid for stub in stubs if stub is not None and stub.model == model)


def test_a_dead_stub_is_an_alert_and_its_heal_another(churn_watched: Watched) -> None:
    served = churn_watched.served
    before = churn_watched.value('trimaran_stub_deaths_total{model="churn_features"}')
    pid = stub_of(served, "churn_features")
    os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: served.said("churn_features: healed"), 30, "the heal")
    churn_watched.eventually(
        'trimaran_stub_deaths_total{model="churn_features"}', lambda n: n == before + 1, 10
    )
    for name in ("StubDied", "ModelHealed"):
        wait_for(lambda name=name: churn_watched.said(f"{name}: churn_features"), 30, name)
    assert churn_watched.value('trimaran_model_ready{model="churn_features"}') == 1


def test_resources_are_reported_by_instance(churn_watched: Watched) -> None:
    ours = churn_watched.prometheus.instant('trimaran_cpu_seconds_total{model="churn_record"}')
    assert len({sample.labels["instance_name"] for sample in ours}) == len(ours) == 2
    assert all(sample.value > 0 for sample in ours)
    assert churn_watched.value('trimaran_cpu_seconds_total{model=""}') > 0
    assert churn_watched.value('trimaran_resident_bytes{model=""}') > 10e6


def test_a_repository_is_watched_once(churn_watched: Watched) -> None:
    outcome = call_trimaran("monitor", "up", "--repository", churn_watched.root)
    assert outcome.status == 1
    assert f"is already monitored at {churn_watched.prometheus.url}" in outcome.error


def test_without_a_server_it_waits_and_a_report_says_so(tmp_path: Path) -> None:
    root = tmp_path / "model_repository"
    root.mkdir()
    repository = Repository.open(root)
    with until_stopped(Watch(repository, "--log-format=json")) as watched:
        watched.until_said("no server runs on", 20)
        assert json.loads(watched.said("no server runs on")[0])["level"] == "INFO"
        below = children(watched.process.pid)
        started = {pid: start_time(pid) for pid in below}
        assert len(below) == 2
        outcome = call_trimaran("monitor", "report", "--repository", root)
        assert "Prometheus has scraped nothing in the window" in outcome.stdout
    assert watched.process.returncode == 0
    assert watched.said("stopped")
    assert find_watch(repository) is None
    assert not [pid for pid, ticks in started.items() if start_time(pid) == ticks]


def test_nothing_outlives_a_killed_one(tmp_path: Path) -> None:
    root = tmp_path / "model_repository"
    root.mkdir()
    with until_stopped(Watch(Repository.open(root))) as watched:
        started = {pid: start_time(pid) for pid in children(watched.process.pid)}
        watched.process.kill()
        watched.process.wait(10)
        wait_for(
            lambda: not [pid for pid, ticks in started.items() if start_time(pid) == ticks],
            20,
            "the end of Prometheus and Alertmanager",
        )
    assert find_watch(Repository.open(root)) is None


def test_a_program_that_ends_by_itself_is_reported_with_its_message(tmp_path: Path) -> None:
    root = tmp_path / "model_repository"
    root.mkdir()
    ports = free_ports()
    numbers = {"prometheus": ports.http, "alertmanager": ports.grpc, "webhook": ports.metrics}
    options = [f"--{name}-port={number}" for name, number in numbers.items()]
    folder = Repository.open(root).state / "prometheus"
    folder.mkdir(parents=True)
    (folder / "data").write_text("no folder")
    require("prometheus")
    outcome = call_trimaran("monitor", "up", "--repository", root, *options)
    assert outcome.status == 1
    assert "prometheus ended with status" in outcome.error
    assert "not a directory" in outcome.error


def test_a_taken_port_is_reported_with_its_option(tmp_path: Path) -> None:
    root = tmp_path / "model_repository"
    root.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = call_trimaran(
            "monitor", "up", "--repository", root, f"--alertmanager-port={port}"
        )
    assert outcome.status == 1
    assert "choose another with --alertmanager-port" in outcome.error


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--interval", "100ms", "--interval is 100ms; give at least 0.2 s"),
        ("--retention", "never", "--retention is 'never'; expected a duration"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(option: str, value: str, words: str) -> None:
    outcome = call_trimaran("monitor", "up", option, value)
    assert outcome.status == 2
    assert words in outcome.error


def test_a_missing_program_is_reported_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("monitoring.programs._MORE_PLACES", ())
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(TrimaranError, match="apt-get install prometheus-alertmanager"):
        find_program("prometheus-alertmanager", "alertmanager")


def test_an_alert_is_one_line_with_its_remedy() -> None:
    labels = {"alertname": "StubDied", "severity": "ticket"}
    notes = {"summary": "m: a stub died", "remedy": "read the log"}
    alert = {"status": "firing", "labels": labels, "annotations": notes}
    assert alert_line(alert) == "ticket: StubDied: m: a stub died; read the log"
    assert alert_line({**alert, "status": "resolved"}) == "over: StubDied: m: a stub died"


def test_an_alert_controls_no_terminal_and_is_no_second_line() -> None:
    alert = {"labels": {"alertname": "A\n12:00 page: fake", "severity": "\x1b[2Jpage\u202e"}}
    assert alert_line(alert) == " [2Jpage : A 12:00 page: fake: "


def test_the_webhook_takes_alerts_of_its_own_alertmanager_only() -> None:
    said: list[str] = []
    port = free_ports().http
    url = f"http://127.0.0.1:{port}/"
    alerts = json.dumps({"alerts": [{"labels": {"alertname": "A"}}]})
    with receiving("127.0.0.1", port, said.append):
        page = {"Origin": "http://evil.example", "Content-Type": "text/plain"}
        assert urllib3.request("POST", url, body=alerts, headers=page).status == 403
        assert urllib3.request("POST", url, body="[" * 100_000).status == 400
        assert urllib3.request("GET", url).status == 405
        assert said == []
        assert urllib3.request("POST", url, body=alerts).status == 200
    assert said == ["alert: A: "]
