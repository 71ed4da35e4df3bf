"""`trimaran bench peers`: what was measured before is kept, and a page tells it all."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from loadtests.bench.peers import JOBS, LIMIT, UNLOADED, Beside
from loadtests.bench.peers_page import write_peers_page
from loadtests.jobs.files import PHOTOGRAPH, RECORD
from loadtests.peers.catalogue import PEERS
from loadtests.peers.environments import pinned_version
from tests.trimaran.calling import call_trimaran
from trimaran.stats.ratio import Ratio

FASTAPI = f"FastAPI {pinned_version(PEERS['fastapi'])}"


def beside(job: str, ours: str, theirs: str, rate: float) -> Beside:
    ratio = Ratio(rate, 0.9 * rate, 1.1 * rate)
    medians = {"rate": (rate * 100.0, 100.0), "p99": (1.0, 2.0), "CPU": (0.5, 0.25)}
    ratios = {"rate": ratio, "p99": ratio, "CPU": ratio}
    return Beside(job, ours, theirs, "2 workers", medians, ratios, 10, 1, "")


def test_a_comparison_is_read_back_as_it_was_written() -> None:
    one = beside(RECORD, "churn_record@grpc", FASTAPI, 1.5)
    again = Beside.from_json(one.to_json())
    assert again.ratios == one.ratios
    assert json.loads(again.to_json()) == json.loads(one.to_json())


def test_the_page_has_every_comparison_the_command_and_a_plot(tmp_path: Path) -> None:
    page = tmp_path / "beside.md"
    found = [
        beside(PHOTOGRAPH, "image_classifier@http", LIMIT, 0.8),
        beside(RECORD, "churn_record@generate", FASTAPI, 1.5),
    ]
    write_peers_page(page, found, "trimaran bench peers", "Two turns.")
    text = page.read_text()
    assert "```\ntrimaran bench peers\n```" in text
    assert "## A photograph to labels" in text
    assert f"| churn_record@generate | {FASTAPI} | 2 workers | 150 | 100 |" in text
    assert "1.50 (1.35 to 1.65)" in text
    assert "(beside.svg)" in text
    plot = page.with_suffix(".svg").read_text()
    assert "<svg" in plot
    write_peers_page(page, found, "trimaran bench peers", "Two turns.")
    assert page.with_suffix(".svg").read_text() == plot


def test_only_what_is_missing_is_measured(
    churn_trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but one comparison are in the file already; that one is made with a real FastAPI."""
    monkeypatch.setattr("loadtests.peers.service.python_of", lambda peer: Path(sys.executable))
    root, trials, page = (tmp_path / name for name in ("models", "trials.jsonl", "page.md"))
    shutil.copytree(churn_trained / "model_repository", root)
    plan = JOBS[RECORD]
    known = [beside(RECORD, plan.main, other, 0.1) for other in (LIMIT, UNLOADED)]
    for target, rows in plan.more["fastapi"]:
        name = target if rows == 1 else f"{target}, {rows} rows a request"
        known.append(beside(RECORD, name, FASTAPI, 2.0))
    lines = [one.to_json() for one in known]
    trials.write_text("\n".join(lines) + "\n")
    outcome = call_trimaran(
        "bench", "peers", "--job", RECORD, "--peer", "fastapi", "--pairs", "2",
        "--seconds", "0.3", "--trials", trials, "--out", page, "--repository", root,
    )  # fmt: skip
    written = trials.read_text().splitlines()
    assert written[: len(lines)] == lines
    assert f"{plan.main} beside {FASTAPI}" in outcome.stdout
    assert "in plain processes" not in outcome.stdout
    if outcome.status:  # too many void turns, on a busy machine
        assert f"{plan.main} beside {FASTAPI} is void" in outcome.error
        assert (outcome.status, len(written)) == (2, len(lines))
        return
    one = Beside.from_json(written[-1])
    assert (one.ours, one.theirs) == (plan.main, FASTAPI)
    assert 2 <= one.turns <= 6  # those without latencies are taken again
    assert {"rate", "CPU"} <= set(one.ratios)
    assert page.read_text().count(f"| {FASTAPI} |") == len(known) - 1


def test_a_peer_without_its_environment_is_told_with_the_remedy(
    churn_trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadtests.peers.environments._is_complete", lambda peer, place: False)
    root, trials = tmp_path / "models", tmp_path / "trials.jsonl"
    shutil.copytree(churn_trained / "model_repository", root)
    known = [beside(RECORD, JOBS[RECORD].main, other, 0.1) for other in (LIMIT, UNLOADED)]
    trials.write_text("".join(one.to_json() + "\n" for one in known))
    outcome = call_trimaran(
        "bench", "peers", "--job", RECORD, "--peer", "ray", "--trials", trials,
        "--repository", root,
    )  # fmt: skip
    assert outcome.status == 2
    assert "python -m loadtests.peers.environments --peer ray" in outcome.error
