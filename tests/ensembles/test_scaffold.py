"""`trimaran init`, and commands in a project: what they take from `trimaran.toml`."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from ensembles.scaffold import KINDS, project_files
from tests.trimaran.calling import call_trimaran
from trimaran.cli.main import COMMANDS
from trimaran.cli.project_defaults import defaults_of
from trimaran.repository.project import Project, parse_project
from trimaran.system.own_packages import own_module


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_of_a_kind_bear_the_projects_name(kind: str, tmp_path: Path) -> None:
    files = project_files("shop", kind)
    assert {"README.md", "trimaran.toml", "conftest.py", "test_served.py", ".gitignore"} <= {*files}
    assert not [name for name, text in files.items() if "my_project" in text]
    for name, text in files.items():
        if name.endswith(".py"):
            ast.parse(text)
    project = parse_project(files["trimaran.toml"], tmp_path)
    assert project.models[0] == "shop"
    commands = [line for line in files["README.md"].splitlines() if line.startswith("    ")]
    assert 0 < len(commands) <= 10


def test_a_project_is_made_once_and_commands_below_it_know_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop").mkdir()  # an empty folder is no hindrance
    made = call_trimaran("init", "shop", cwd=tmp_path)
    assert made.status == 0, made.stderr
    root = tmp_path / "shop"
    assert [entry.name for entry in tmp_path.iterdir()] == ["shop"]
    (below := root / "notes").mkdir()
    assert f"{root / 'model_repository'}: not served" in call_trimaran("status", cwd=below).stdout
    error = call_trimaran("predict", "--input", "rows.json", cwd=below).error
    assert error.startswith(f"{root / 'model_repository'}: has no model 'shop'")
    monkeypatch.setenv("TRIMARAN_REPOSITORY", "by_variable")
    assert call_trimaran("status", cwd=below).error.startswith("by_variable: no such model")
    options = ("--repository", "by_option")
    assert call_trimaran("status", *options, cwd=below).error.startswith("by_option: no such")
    for folder in (root, below):
        error = call_trimaran("init", "another", cwd=folder).error
        assert "a project cannot hold another" in error
    assert [entry.name for entry in below.iterdir()] == []


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("full",), 1, "holds files already"),
        (("project",), 1, "is a project already"),
        (("file",), 1, "is no folder"),
        (("nowhere",), 1, "is no folder"),
        (("new", "--kind", "audio"), 2, "there is no kind 'audio' of project; choose image, "),
        (("my-shop",), 2, "'my-shop' cannot name a project"),
        (("../shop",), 2, "'../shop' cannot name a project"),
        (("9lives",), 2, "'9lives' cannot name a project"),
        (("a" * 65,), 2, "at most 64"),
        (("ensembles",), 2, "uses that name itself"),
        (("class",), 2, "uses that name itself"),
    ],
)
def test_one_sentence_says_why_a_project_is_not_made(
    tmp_path: Path, arguments: tuple[str, ...], status: int, message: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").touch()
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "trimaran.toml").touch()
    (tmp_path / "file").touch()
    (tmp_path / "nowhere").symlink_to("gone")
    before = sorted(tmp_path.rglob("*"))
    refused = call_trimaran("init", *arguments, cwd=tmp_path)
    assert (refused.status, message in refused.error) == (status, True), refused.error
    assert sorted(tmp_path.rglob("*")) == before


def test_each_command_gets_what_it_takes_of_a_project() -> None:
    root = Path("/home/me/shop")
    project = Project(
        root,
        root / "models",
        table="/home/me/shop/data/customers.csv",
        export="/home/me/shop/model.py:network",
        publish="ensembles.churn:ensemble",
        formats=("onnx",),
        models=("shop", "shop_record"),
        ports={"http": 9000},
    )
    found = defaults_of(project, root / "notes", COMMANDS)
    assert found["export"] == {
        "repository": "../models",
        "factory": "../model.py:network",
        "formats": ["onnx"],
    }
    assert found["train"] == {
        "repository": "../models",
        "table": "../data/customers.csv",
        "out": "../runs",
    }
    assert found["publish"]["factory"] == "ensembles.churn:ensemble"
    assert found["serve"]["model"] == ["shop", "shop_record"]
    assert found["serve"]["http_port"] == 9000
    assert found["bench"]["target"] == found["release"]["ensemble"] == "shop"
    assert found["monitor"]["up"] == {"repository": "../models"}
    assert defaults_of(Project(root, root / "models"), root, COMMANDS)["serve"] == {
        "repository": "models"
    }


TAKING = [
    "bench",
    "deploy",
    "explore",
    "export",
    "feedback",
    "locust",
    "optimize",
    "perf",
    "predict",
    "publish",
    "release",
    "rollback",
    "serve",
    "train",
    "tune",
]


@pytest.mark.parametrize("command", TAKING)
def test_what_a_command_gets_are_parameters_of_it(command: str) -> None:
    root = Path("/home/me/shop")
    ports = dict.fromkeys(("http", "grpc", "metrics", "supervisor"), 9000)
    given = "/home/me/shop/given"
    project = Project(root, root / "models", given, given, given, ("onnx",), ("shop",), ports)
    module, _, name = COMMANDS[command][0].partition(":")
    takes = inspect.signature(getattr(own_module(module), name)).parameters
    gets = defaults_of(project, root, COMMANDS)[command].keys() - {"repository"}
    assert gets
    assert gets <= takes.keys()
