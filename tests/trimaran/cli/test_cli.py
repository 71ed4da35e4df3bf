"""The command: quick to start, and a user's mistake is one sentence and an exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.running import PROJECT, run_trimaran
from tests.trimaran.calling import call_trimaran
from trimaran.cli.main import COMMANDS, extra_with

HEAVY = {"torch", "numpy", "onnx", "onnxruntime", "onnxscript", "tritonclient", "google", "rich"}


def modules_after(*arguments: str) -> set[str]:
    """The top-level packages that a process has imported after `trimaran ...` printed its help."""
    code = (
        "import json, sys\nfrom trimaran.cli.main import main\n"
        f"sys.argv = ['trimaran', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit as exit:\n    assert not exit.code, exit.code\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert "Usage: trimaran" in result.stdout
    return set(json.loads(result.stdout.splitlines()[-1]))


def test_the_overview_imports_no_command() -> None:
    loaded = modules_after("--help")
    assert "trimaran" in loaded
    assert loaded.isdisjoint(HEAVY | {"exporters", "ensembles", "monitoring", "loadtests"})


def test_the_help_of_export_does_not_import_torch() -> None:
    assert modules_after("export", "--help").isdisjoint({"torch", "onnx", "onnxruntime"})


def test_the_overview_lists_every_command() -> None:
    shown = call_trimaran("--help").stdout
    assert not [name for name in COMMANDS if f"  {name.split()[0]} " not in shown]


def test_the_version_is_printed_without_loading_anything_heavy() -> None:
    outcome = call_trimaran("--version")
    assert (outcome.status, outcome.stdout) == (0, f"trimaran {version('trimaran')}\n")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("trimaran mon", {"monitor"}),
        ("trimaran monitor dr", {"drift"}),
        ("trimaran monitor report --out", {"--output"}),
        ("trimaran export --form", {"--format"}),
        ("trimaran serve --log-format ", {"text", "json"}),
    ],
)
def test_a_shell_completes_commands_and_their_options(
    line: str, expected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_TRIMARAN_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
    outcome = call_trimaran()
    assert set(outcome.stdout.split()) == expected


def test_the_repository_is_also_taken_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIMARAN_REPOSITORY", str(tmp_path / "there"))
    for command in (["status"], ["release", "e"], ["check"], ["monitor", "report"]):
        outcome = call_trimaran(*command)
        assert outcome.error.startswith(f"{tmp_path / 'there'}: no such model repository")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_there_and_has_help(command: str) -> None:
    *groups, name = command.split()
    outcome = call_trimaran(*groups, name, "--help")
    assert outcome.status == 0
    assert f"Usage: trimaran {command}" in outcome.stdout
    if command not in ("explore", "init", "train"):
        assert "--repository DIR" in outcome.stdout
        assert "TRIMARAN_REPOSITORY" in outcome.stdout
    assert f"  {name} " in call_trimaran(*groups, "--help").stdout


@pytest.mark.parametrize(
    "arguments",
    [("nothing",), ("--nothing",), ("export",), ("export", "a:b", "--format")],
)
def test_wrong_words_end_with_status_2(arguments: tuple[str, ...]) -> None:
    outcome = call_trimaran(*arguments)
    assert outcome.status == 2
    assert "Error: " in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_the_process_ends_with_the_status_of_the_error(tmp_path: Path) -> None:
    result = run_trimaran("release", "e", "--repository", tmp_path / "missing")
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"error: {tmp_path / 'missing'}: no such model repository")
    assert result.stderr.count("\n") == 1


def test_a_command_whose_package_is_missing_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needs_something.py").write_text("import something_that_is_missing\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(COMMANDS, "export", ("needs_something:export", "."))
    outcome = call_trimaran("export")
    assert outcome.status == 1
    assert "needs the package 'something_that_is_missing'" in outcome.error
    assert "pip install" in outcome.error


@pytest.mark.parametrize(
    ("module", "importers", "extra"),
    [
        ("pandas", ["trimaran.cli.run", "trimaran.training.tabular.tables"], "train"),
        ("matplotlib.figure", ["monitoring.commands.report"], "monitoring"),
        ("PIL", ["trimaran.cli.main", "loadtests.commands.bench"], "loadtests"),
        ("sklearn.metrics", [], "train"),
        ("envoy_data_plane.envoy", ["trimaran.gateway.run"], "gateway"),
        ("no_such_package", [], ""),
    ],
)
def test_the_extra_of_a_missing_package(module: str, importers: list[str], extra: str) -> None:
    assert extra_with(module, importers) == extra


def test_retraining_needs_nothing_of_monitoring() -> None:
    assert modules_after("retrain", "--help").isdisjoint({"requests", "pandas", "matplotlib"})


def test_a_file_system_that_refuses_is_reported_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / ".trimaran").write_text("a file in the way")
    outcome = call_trimaran(
        "export", "tests.models:linear", "--format", "torchscript",
        "--repository", tmp_path / "model_repository",
    )  # fmt: skip
    assert outcome.status == 1
    assert str(tmp_path / ".trimaran") in outcome.error


def test_an_interruption_is_no_failure_of_ours(tmp_path: Path) -> None:
    factory = tmp_path / "interrupted.py"
    factory.write_text("def f(): raise KeyboardInterrupt\n")
    outcome = call_trimaran("export", f"{factory}:f", "--format", "torchscript")
    assert outcome.status == 130
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize("settings", [{}, {"PYTHONUTF8": "1"}])
def test_a_locale_without_utf8_changes_no_file_and_breaks_no_output(
    settings: dict[str, str], tmp_path: Path
) -> None:
    spoken = tmp_path / "spoken.txt"
    spoken.write_text("→", encoding="utf-8")
    code = (
        "import sys\nfrom pathlib import Path\nfrom trimaran.cli import main as cli\n"
        f"cli.main = lambda: sys.exit(Path({str(spoken)!r}).read_text() + ' is there')\n"
        "cli.run()"
    )
    without = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        env={**os.environ, **without, **settings},
        capture_output=True,
        check=False,
    )
    assert ended.stderr == b"? is there\n"
