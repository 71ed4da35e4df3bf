"""The proof for a GPU, as far as a machine without one can run it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import tomllib
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from proofs.gpu.__main__ import main
from proofs.gpu.files import LIMIT_MB, require_small
from proofs.gpu.machine import CACHE, ON_MACHINE, WHEELS
from proofs.gpu.page import HEAD, holds, page
from proofs.gpu.results import Findings, Outcome, Served, Step, read
from proofs.gpu.run import (
    BUDGET_S,
    Planned,
    latest,
    make_environment,
    plan,
    require_wheels,
    run_steps,
)
from tests.running import PROJECT
from trimaran.system.errors import TrimaranError

MB = 2**20

FOUND = Findings(
    machine={"GPU": "A GPU, 80 GB", "torch": "2.11.0"},
    day="2026-11-27",
    steps=(Step("tests", 12.4), Step("formats", 240, "was ended")),
    tests=(
        Outcome("tests/a.py::one", "passed"),
        Outcome("tests/a.py::two", "skipped", "needs a | of TensorRT"),
        Outcome("tests/a.py::three"),
    ),
    formats=(Served("onnx", "", 812.3, 9.84, 14.2, 0), Served("tensorrt", "it is not installed")),
)


def test_a_machine_without_gpu_is_refused_by_an_interpreter_without_packages(
    tmp_path: Path,
) -> None:
    page_file = tmp_path / "gpu.md"
    ended = subprocess.run(
        [sys.executable, "-S", "-m", "proofs.gpu", "run", tmp_path, "--output", page_file],
        cwd=PROJECT,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr == (
        "error: this machine has no nvidia-smi, so no NVIDIA GPU; run this on a machine with an "
        "NVIDIA GPU, torch for CUDA and Python 3.12\n"
    )
    assert not page_file.exists()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "required: verb"),
        (["measure"], "invalid choice: 'measure'"),
        (["pack"], "required: folder"),
        (["pack", "folder", "--python", "3.13"], "invalid choice: '3.13'"),
        (["run", "folder"], "required: --output"),
    ],
)
def test_wrong_usage_is_refused(
    arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert problem in capsys.readouterr().err


def test_every_package_is_pinned_in_the_folder_or_on_the_machine() -> None:
    pinned = {
        re.sub("[_.]", "-", line.partition("==")[0]).lower()
        for line in (PROJECT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    }
    assert set(WHEELS) <= pinned
    assert not set(WHEELS) & set(ON_MACHINE)
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *extras["export"], *extras["serve"]]
    assert {item.partition(">")[0].partition("[")[0] for item in needed} <= {*WHEELS, *ON_MACHINE}


def test_a_folder_that_is_too_large_to_travel_is_refused(tmp_path: Path) -> None:
    assert LIMIT_MB <= 64
    with (tmp_path / CACHE).open("wb") as file:
        file.truncate(LIMIT_MB * MB)
    assert require_small(tmp_path) == LIMIT_MB
    (tmp_path / "one.whl").write_bytes(b"x")
    with pytest.raises(TrimaranError, match=f"{LIMIT_MB} MB may travel"):
        require_small(tmp_path)


def test_a_folder_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrimaranError, match=f"has no {CACHE}; pack it elsewhere: "):
        require_wheels(tmp_path, "cp312")
    for name in (CACHE, "greenlet-3.3.2-cp312-cp312-manylinux_2_28_x86_64.whl"):
        (tmp_path / name).touch()
    require_wheels(tmp_path, "cp312")
    with pytest.raises(TrimaranError, match="packed for another Python"):
        require_wheels(tmp_path, "cp311")


def test_the_environment_sees_the_machine_and_the_project(tmp_path: Path) -> None:
    make_environment(tmp_path)
    asked = "import numpy, proofs, importlib.metadata as m; print(m.version('trimaran'), numpy)"
    said = subprocess.run(
        [tmp_path / "bin" / "python", "-c", asked],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == f"{version('trimaran')} {np}\n"


def test_the_steps_reach_every_test_for_a_gpu_and_no_network(tmp_path: Path) -> None:
    (tmp_path / "one.whl").touch()
    commands = {step.name: [*step.command] for step in plan(tmp_path, tmp_path / "work")}
    assert {"--no-index", "--no-deps", str(tmp_path / "one.whl")} <= {*commands["wheels"]}
    assert {"tests/test_gpu.py", "tests/exporters/formats/test_tensorrt.py"} <= {*commands["tests"]}
    assert BUDGET_S == 8 * 60


def test_a_step_ends_with_its_time_and_none_follows_one_that_was_needed(tmp_path: Path) -> None:
    def shell(script: str, longest_s: float = 60.0, needed: bool = False) -> Planned:
        return Planned(script, ["sh", "-c", script], longest_s, needed)

    def problems(steps: list[Planned], seconds: float = 60.0) -> list[str]:
        deadline_s = time.monotonic() + seconds
        said = run_steps(steps, deadline_s, os.environ, tmp_path / "log", lambda _: None)
        return [step.problem for step in said]

    failing = "echo first; echo last; exit 3"
    assert problems([shell(failing), shell("sleep 60", 0.2), shell("true")]) == [
        "ended with status 3: last",
        "was ended after 0 s",
        "",
    ]
    assert problems([shell(failing, needed=True), shell("true")])[1] == (
        f"was not begun: {failing} failed"
    )
    assert problems([shell("true")], 0) == ["was not begun: the 480 s were spent"]


def test_every_test_leaves_a_line_also_where_the_process_dies(tmp_path: Path) -> None:
    tried, lines = tmp_path / "test_tried.py", tmp_path / "lines"
    tried.write_text(
        "import os, pytest\n"
        "def test_good(): pass\n"
        "def test_bad(): assert 1 == 2\n"
        "@pytest.mark.skipif(True, reason='no GPU')\n"
        "def test_skipped(): pass\n"
        "@pytest.fixture\n"
        "def broken(): raise ValueError('broken here')\n"
        "def test_without(broken): pass\n"
        "def test_killed(): os.abort()\n"
        "def test_later(): pass\n"
    )
    options = ["-p", "proofs.gpu.outcomes", "--outcomes", lines, "-p", "no:cacheprovider"]
    subprocess.run(
        [sys.executable, "-m", "pytest", *options, tried],
        cwd=PROJECT,
        capture_output=True,
        check=False,
    )
    found = latest(Outcome(**line) for line in read(lines))
    assert [(one.test.partition("::")[2], one.outcome, one.reason) for one in found] == [
        ("test_good", "passed", ""),
        ("test_bad", "failed", "assert 1 == 2"),
        ("test_skipped", "skipped", "no GPU"),
        ("test_without", "failed", "ValueError: broken here"),
        ("test_killed", "", ""),
        ("test_later", "", ""),
    ]


def test_the_page_has_all_that_was_found() -> None:
    text = page(FOUND)
    assert text.startswith(HEAD)
    for line in (
        "The last run was on 2026-11-27: GPU A GPU, 80 GB, torch 2.11.0.",
        "| tests | 12 | held |",
        "| formats | 240 | **was ended** |",
        "1 held, 1 skipped, 1 no outcome.",
        "| `tests/a.py::one` | held |  |",
        "| `tests/a.py::two` | skipped | needs a \\| of TensorRT |",
        "| `tests/a.py::three` | **no outcome** |  |",
        "| onnx | 812 | 9.8 | 14.2 | 0 |",
        "| tensorrt | refused: it is not installed |  |  |  |",
    ):
        assert line in text.splitlines()
    assert "Nothing: the step" in page(replace(FOUND, formats=()))


def test_a_proof_holds_where_all_steps_and_tests_do() -> None:
    good = replace(FOUND, steps=FOUND.steps[:1], tests=FOUND.tests[:2])
    assert holds(good)
    assert not holds(replace(good, steps=FOUND.steps))
    assert not holds(replace(good, tests=FOUND.tests))
    assert not holds(replace(good, tests=FOUND.tests[1:2]))
    assert not holds(replace(good, tests=()))


def test_the_page_that_stands_says_how_to_run_it() -> None:
    assert (PROJECT / "docs" / "gpu.md").read_text(encoding="utf-8").startswith(HEAD)
