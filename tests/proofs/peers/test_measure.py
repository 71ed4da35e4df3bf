"""`python -m proofs.peers`: comparisons that are kept in a file are not measured again."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.bench.block import Settings
from loadtests.gates import Gates
from loadtests.subject import Service, find_service
from proofs.jobs.job import PHOTOGRAPH, RECORD
from proofs.peers.__main__ import main
from proofs.peers.catalogue import PEERS
from proofs.peers.environments import pinned_version
from proofs.peers.measure import JOBS, LIMIT, UNLOADED, Comparison, measure_peers
from proofs.peers.page import write_peers_page
from tests.running import Served
from trimaran.stats.bootstrap import Ratio
from trimaran.system.errors import TrimaranError

FASTAPI = f"FastAPI {pinned_version(PEERS['fastapi'])}"
SETTINGS = Settings(0.2, 0, 16, Gates(), float("inf"))


def comparison(job: str, ours: str, theirs: str, rate: float) -> Comparison:
    ratio = Ratio(rate, 0.9 * rate, 1.1 * rate)
    medians = {"rate": (rate * 100.0, 100.0), "p99": (1.0, 2.0), "CPU": (0.5, 0.25)}
    ratios = {"rate": ratio, "p99": ratio, "CPU": ratio}
    return Comparison(job, ours, theirs, "2 workers", medians, ratios, 10, 1, "")


def bounds() -> list[Comparison]:
    """What is measured before the peers."""
    return [comparison(RECORD, JOBS[RECORD].main, other, 0.1) for other in (LIMIT, UNLOADED)]


def other_targets() -> list[Comparison]:
    """Our further targets, compared with FastAPI."""
    return [
        comparison(RECORD, target if rows == 1 else f"{target}, {rows} rows a request", FASTAPI, 2)
        for target, rows in JOBS[RECORD].more["fastapi"]
    ]


def write(trials: Path, found: list[Comparison]) -> list[str]:
    lines = [one.to_json() for one in found]
    trials.write_text("\n".join(lines) + "\n")
    return lines


@pytest.fixture
def service(churn_served: Served) -> Iterator[Service]:
    """The shared server, without the model that does nothing afterwards."""
    found = find_service(churn_served.repository.root)
    yield found
    found.control.unload("nothing")


def test_a_comparison_is_read_back_as_it_was_written() -> None:
    one = comparison(RECORD, "churn_record@grpc", FASTAPI, 1.5)
    again = Comparison.from_json(one.to_json())
    assert again.ratios == one.ratios
    assert json.loads(again.to_json()) == json.loads(one.to_json())


def test_the_page_has_every_comparison_the_command_and_a_plot(tmp_path: Path) -> None:
    page = tmp_path / "others.md"
    found = [
        comparison(PHOTOGRAPH, "image_classifier@http", LIMIT, 0.8),
        comparison(RECORD, "churn_record@generate", FASTAPI, 1.5),
    ]
    write_peers_page(page, found, "python -m proofs.peers", "Two turns.")
    text = page.read_text()
    assert "```\npython -m proofs.peers\n```" in text
    assert "## A photograph to labels" in text
    assert f"| churn_record@generate | {FASTAPI} | 2 workers | 150 | 100 |" in text
    assert "1.50 (1.35 to 1.65)" in text
    assert "(others.svg)" in text
    plot = page.with_suffix(".svg").read_text()
    assert "<svg" in plot
    write_peers_page(page, found, "python -m proofs.peers", "Two turns.")
    assert page.with_suffix(".svg").read_text() == plot


@pytest.mark.long
def test_only_what_is_missing_is_measured(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but one comparison are in the file already; that one is made with a real FastAPI."""
    monkeypatch.setattr("proofs.peers.service.python_of", lambda peer: Path(sys.executable))
    monkeypatch.setattr("loadtests.bench.compare._WARM_S", 0.2)
    trials, said = tmp_path / "trials.jsonl", []
    lines = write(trials, [*bounds(), *other_targets()])
    main_target = JOBS[RECORD].main
    try:
        measure_peers(service, [PEERS["fastapi"]], [RECORD], SETTINGS, 2, trials, said.append)
    except TrimaranError as error:  # too many invalid turns, on a busy machine
        assert f"{main_target} and {FASTAPI}: the comparison is invalid" in str(error)  # noqa: PT017
        assert trials.read_text().splitlines() == lines
        return
    assert f"record: {main_target} and {FASTAPI}" in said
    assert not any("in plain processes" in line for line in said)
    *kept, last = trials.read_text().splitlines()
    assert kept == lines
    one = Comparison.from_json(last)
    assert (one.ours, one.theirs) == (main_target, FASTAPI)
    assert 2 <= one.turns <= 6  # those without latencies are taken again
    assert {"rate", "CPU"} <= set(one.ratios)


def test_a_peer_without_its_environment_is_named_with_the_remedy(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proofs.peers.environments._is_complete", lambda peer, place: False)
    trials = tmp_path / "trials.jsonl"
    write(trials, bounds())
    with pytest.raises(TrimaranError, match=r"python -m proofs\.peers\.environments --peer ray"):
        measure_peers(service, [PEERS["ray"]], [RECORD], SETTINGS, 2, trials, print)


def test_the_command_prints_and_writes_what_the_file_holds(
    churn_trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything is in the file, so nothing is measured; the private server is real."""
    root, trials, page = (tmp_path / name for name in ("models", "trials.jsonl", "page.md"))
    shutil.copytree(churn_trained / "model_repository", root)
    known = [*bounds(), comparison(RECORD, JOBS[RECORD].main, FASTAPI, 1.5), *other_targets()]
    lines = write(trials, known)
    options = ["--job", RECORD, "--peer", "fastapi", "--turns", "2", "--duration", "300ms"]
    files = ["--trials", str(trials), "--output", str(page), "--repository", str(root)]
    assert main([*options, *files]) == 0
    out = capsys.readouterr().out
    assert JOBS[RECORD].main in out
    assert trials.read_text().splitlines() == lines
    text = page.read_text()
    assert text.count(f"| {FASTAPI} |") == len(known) - 2
    assert ".venv/bin/python -m proofs.peers --job record --peer fastapi" in text
    assert "2 turns: in each, both have a closed loop of 16 connections" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--job", "lunch"], "there is no job 'lunch'; choose from photograph, record"),
        (["--peer", "flask"], "there is no peer 'flask'; choose from fastapi"),
        (["--turns", "1"], "--turns is 1; an interval needs at least 2"),
        (["--duration", "soon"], "--duration"),
        (["--connections", "0"], "--connections is 0; give at least 1"),
    ],
)
def test_mistakes_are_one_sentence_and_status_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(arguments) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert words in error
