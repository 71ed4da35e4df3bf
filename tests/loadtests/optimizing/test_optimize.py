"""`trimaran optimize`: what it keeps, shows and refuses."""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from rich.console import Console

from exporters.export import Options
from exporters.original import run_original
from exporters.precision.reference import reference_for
from loadtests.bench.compare import Contestant, Sample, Turns, take_turns
from loadtests.optimizing.candidates import (
    Candidate,
    content_of,
    export_candidates,
    fixed_chance,
)
from loadtests.optimizing.decision import Point
from loadtests.optimizing.measuring import Alone, KeptTurns, Plan
from loadtests.optimizing.page import optimizing_page
from loadtests.optimizing.results import Results, Standing, export_table, speed_table
from tests import models
from tests.loadtests.optimizing.test_decision import SLOW, point
from tests.loadtests.optimizing.test_placing import wires
from tests.running import MODELS, Running, start_serving
from tests.trimaran.calling import Outcome, call_trimaran
from trimaran.repository.presence import sole_server
from trimaran.repository.repository import Repository
from trimaran.system.journal import Journal

LINEAR = f"{MODELS}:linear"
QUICK = ("--turns", "2", "--duration", "50ms", "--batch-sizes", "1")
TWO = ("--format", "onnx", "--format", "tensorrt", "--precision", "fp32", "--precision", "fp16")


def test_a_turn_that_was_interrupted_is_measured_as_a_whole_again(tmp_path: Path) -> None:
    measured: list[tuple[str, int]] = []

    def contestant(name: str, last: int = 99, invalid_at: int = -1) -> Contestant:
        def measure(turn: int) -> Sample:
            if turn == last:
                raise KeyboardInterrupt
            measured.append((name, turn))
            return Sample({"rate": 10.0 + turn}, invalid="slept" if turn == invalid_at else "")

        return measure

    def run(last: int) -> Turns:
        kept = KeptTurns(Journal(tmp_path / "steps.jsonl"), "plan", 2)
        two = (contestant("a", invalid_at=0), contestant("b", last))
        return take_turns([kept.of(place, each) for place, each in enumerate(two)], 3)

    assert run(last=2).invalid == "interrupted"
    assert measured == [("a", 0), ("b", 1), ("a", 1), ("a", 2)]
    measured.clear()
    turns = run(last=99)
    assert measured == [("a", 2), ("b", 2), ("b", 3), ("a", 3)]
    assert turns.left_out == 1
    assert turns.values(0, "rate") == turns.values(1, "rate") == [11.0, 12.0, 13.0]
    measured.clear()
    assert run(last=99) == turns
    assert measured == []


def test_the_content_of_a_model_is_what_it_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    def content(seed: str, factor: float = 1.0, *decisive: object) -> str:
        monkeypatch.setenv("TRIMARAN_TEST_SEED", seed)
        fixed_chance()
        spec = models.linear_seeded()
        spec.module.register_forward_hook(lambda module, inputs, answer: answer * factor)
        return content_of(run_original(spec, 2), *decisive)

    assert content("0") == content("0")
    others = [content("1"), content("0", 2.0), content("0", 1.0, "something else")]
    assert len({content("0"), *others}) == 4


def results(bound_ms: float | None = None) -> Results:
    def standing(format: str, precision: str, *points: Point, refused: str = "") -> Standing:
        candidate = Candidate(
            format, precision, f"m_{format}_{precision}", "100.0%", 123_456_789, refused
        )
        alone = Alone() if refused else Alone((12.3, 12.5, 12.9), (1.2345e9,) * 3)
        return Standing(candidate, alone, points)

    fast = (999_999.0, 998_888.0, 997_777.0)
    return Results(
        "m",
        Plan((1, 32), bound_ms, 1.0, 3, 0),
        (
            standing("torchscript", "fp32", point(*SLOW), point(*fast, batch=32, p99=123.4)),
            standing("torchscript", "fp16", point(*SLOW), point(batch=32, p99=80.0)),
            standing("tensorrt", "fp32", refused="no <GPU> is here"),
            standing("tensorrt", "fp16", refused="no <GPU> is here"),
        ),
    )


def test_the_tables_fit_a_terminal_of_80_columns_and_lack_nothing() -> None:
    screen = Console(width=80, file=io.StringIO())
    screen.print(export_table(results()), speed_table(results(10.0)))
    text = cast("io.StringIO", screen.file).getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    for shown in ("998,888 (997,777 to 999,999)", "123 (123 to 123)", "12.5 (12.3 to 12.9)",
                  "refused", "misses", "1,234", "123.46"):  # fmt: skip
        assert shown in text


def test_the_page_has_every_export_and_the_reason_of_each_refusal() -> None:
    page = optimizing_page(results(10.0), "trimaran optimize m:m", {"machine": "2 cores"})
    assert "<svg" in page
    assert page.count("no &lt;GPU&gt; is here") == 2
    assert "p99 80 ms at the lowest load" in page
    assert 'src="http' not in page
    assert results().refusals == {"tensorrt fp32, tensorrt fp16": "no <GPU> is here"}


def test_the_manifest_names_what_was_beaten_and_refused() -> None:
    beaten, *refused = results().beat()
    assert beaten["precision"] == "fp16"
    assert beaten["rows_per_s"] == {"1": 100.0, "32": 0.0}
    value, low, high = beaten["winners_rate_ratio"]
    assert low <= value <= high
    assert [each["refused"] for each in refused] == ["no <GPU> is here"] * 2


@pytest.fixture(scope="module")
def optimized(exported: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A copy of `exported`: one command at a time may start servers on a repository."""
    root = tmp_path_factory.mktemp("optimized") / "model_repository"
    shutil.copytree(exported.root, root, copy_function=os.link)
    return Repository.open(root)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((f"{MODELS}:nothing",), "has no function 'nothing'"),
        ((LINEAR, "--batch-sizes", "0"), "--batch-sizes has '0'"),
        ((LINEAR, "--batch-sizes", "1,x"), "--batch-sizes has 'x'"),
        ((LINEAR, "--batch-sizes", "1,64"), "--batch-sizes has 64, and the model"),
        ((LINEAR, "--max-batch-size", "0"), "--max-batch-size is 0"),
        ((LINEAR, "--p99-ms", "0"), "--p99-ms is 0"),
        ((LINEAR, "--p99-ms", "5", "--throughput"), "one of --p99-ms and --throughput"),
        ((LINEAR, "--publish", "--into", "churn"), "one of --publish and --into"),
        ((LINEAR, "--publish", "--name", "churn"), "into it with --into churn"),
        ((LINEAR, "--into", "churn"), "none of its steps is: churn_features, churn_onnx"),
        ((LINEAR, "--into", "linear_onnx"), "--into linear_onnx: it is not an ensemble"),
        ((LINEAR, "--calibration", "no.npz", "--precision", "fp16"), "for --precision int8 only"),
        ((LINEAR, "--calibration", "no.npz"), "no.npz cannot be read as calibration rows"),
        ((LINEAR, "--turns", "1"), "--turns is 1"),
        ((LINEAR, "--duration", "0s"), "--duration is '0s'"),
        ((LINEAR, "--format", "wasm"), "there is no format 'wasm'"),
        ((f"{MODELS}:mixes_rows",), "cannot be served in batches"),
    ],
)
def test_mistakes_are_one_sentence_and_status_2(
    optimized: Repository, arguments: tuple[str, ...], words: str
) -> None:
    outcome = call_trimaran("optimize", *arguments, "--repository", optimized.root)
    assert words in outcome.error
    assert outcome.status == 2


def test_a_repository_that_is_served_or_cannot_be_kept_is_refused(
    empty_repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sole_server(empty_repository):
        outcome = call_trimaran("optimize", LINEAR, "--repository", empty_repository.root)
    assert "has another command starting a server on it" in outcome.error
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / ".trimaran").write_text("a file in the way")
    outcome = call_trimaran("optimize", LINEAR, "--repository", tmp_path / "other" / "repository")
    assert str(tmp_path / "other" / ".trimaran") in outcome.error
    monkeypatch.setenv("TRIMARAN_TRITONSERVER", str(tmp_path / "nothing"))
    outcome = call_trimaran("optimize", LINEAR, "--repository", empty_repository.root)
    assert "nothing is not an executable tritonserver" in outcome.error


def test_int8_is_calibrated_on_the_given_rows(empty_repository: Repository, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
    with reference_for(run_original(models.linear(), 2)) as reference:
        (made,) = export_candidates(
            reference,
            empty_repository,
            LINEAR,
            Journal(tmp_path / "steps.jsonl"),
            ["onnx"],
            ["int8"],
            Options(calibration={"x": rows}, required=0.5),
            lambda words: None,
        )
    assert not made.refused
    version = empty_repository.newest("linear_onnx_int8")
    assert version is not None
    assert version.manifest is not None
    assert version.manifest.source["calibrated_on"] == "a file of rows"


def optimize(repository: Repository, *arguments: str) -> Outcome:
    return call_trimaran("optimize", LINEAR, *QUICK, *arguments, "--repository", repository.root)


@pytest.mark.long
def test_two_exports_in_a_real_server_and_the_same_command_again(
    empty_repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadtests.optimizing.measuring._LOADS", 1)
    monkeypatch.setattr("loadtests.tuning.study._CONNECTIONS", (1, 4))
    first = optimize(empty_repository, *TWO)
    assert first.status == 0, first.stderr
    assert " wins (most rows/s at 1 row a request)" in first.stdout
    assert "refused: tensorrt fp32, tensorrt fp16: " in first.stdout
    assert empty_repository.names() == []
    again = optimize(empty_repository, *TWO, "--publish")
    assert "turn 1" in first.stderr
    assert again.stderr.splitlines() == ["linear: in PyTorch"]
    assert again.stdout.removeprefix(first.stdout) == "published as linear version 1\n"
    (version,) = empty_repository.versions("linear")
    assert version.manifest is not None
    assert {each["format"] for each in version.manifest.beat} == {"onnx", "tensorrt"}
    assert version.manifest.source["factory"] == LINEAR


@pytest.mark.long
def test_interrupted_it_publishes_nothing_and_goes_on(empty_repository: Repository) -> None:
    root = str(empty_repository.root)
    command = ("optimize", LINEAR, "--batch-sizes", "1,8", "--turns", "4", "--duration", "500ms",
               "--precision", "fp32", "--publish", "--repository", root)  # fmt: skip
    running = Running(*command)
    running.until_said("turn 2: ", 300)
    running.stop()
    assert running.process.returncode == 2
    assert running.said("error: interrupted; finished steps are kept")
    assert empty_repository.names() == []
    again = Running(*command)
    again.process.wait(300)
    again.stop()
    assert not again.said("load 1 of")
    assert not again.said("turn 1: ")
    assert again.said("turn 3: ")
    assert again.said("published as linear version 1")


@pytest.mark.long
def test_a_server_that_runs_is_left_alone(own_repository: Repository) -> None:
    served = start_serving(own_repository, "--model", "linear_onnx")
    outcome = optimize(own_repository)
    assert "is already served by process" in outcome.error
    assert outcome.status == 2
    served.stop()


@pytest.mark.long
def test_a_bound_that_none_keeps_names_the_nearest_and_publishes_nothing(
    empty_repository: Repository,
) -> None:
    outcome = optimize(empty_repository, *TWO, "--p99-ms", "0.001", "--publish")
    assert outcome.status == 1
    assert "keeps p99 within 0.001 ms; the nearest is onnx fp" in outcome.error
    assert empty_repository.names() == []


@pytest.mark.long
def test_what_tritonserver_refuses_stays_in_the_table(empty_repository: Repository) -> None:
    assert optimize(empty_repository, *TWO).status == 0
    (folder,) = (empty_repository.state / "optimize").iterdir()
    work = Repository.open(folder / "model_repository")
    network = work.version("linear_onnx", 1).path / "model.onnx"
    network.write_bytes(bytes(len(network.read_bytes())))
    steps = folder / "steps.jsonl"
    lines = steps.read_text().splitlines(keepends=True)
    steps.write_text("".join(each for each in lines if json.loads(each)["step"][:6] == "export"))
    outcome = optimize(empty_repository, *TWO)
    assert outcome.status == 0, outcome.stderr
    assert "refused: onnx fp32: in tritonserver: " in outcome.stdout
    assert "onnx fp16 wins" in outcome.stdout


@pytest.mark.long
def test_the_winner_becomes_the_step_of_an_ensemble_that_can_be_released(
    own_repository: Repository,
) -> None:
    shutil.rmtree(own_repository.model("image_classifier"))
    path = own_repository.config_path("scores")
    path.parent.mkdir()
    path.write_text(
        'name: "scores" platform: "ensemble" max_batch_size: 8 '
        'input { name: "IN" data_type: TYPE_FP32 dims: [8] } '
        'output { name: "OUT" data_type: TYPE_FP32 dims: [4] } '
        'ensemble_scheduling { step { model_name: "linear_onnx" model_version: -1 '
        'input_map { key: "x" value: "IN" } output_map { key: "y" value: "OUT" } } }'
    )
    outcome = optimize(own_repository, "--format", "torchscript", "--into", "scores")
    assert outcome.status == 0, outcome.stderr
    ((model, inputs, _),) = wires(own_repository.config("scores"))
    assert model.startswith("linear_torchscript")
    assert inputs == {"x__0": "IN"}
    made = call_trimaran("release", "scores", "--repository", own_repository.root)
    assert f"scores release 1 made: {model}" in made.stdout
