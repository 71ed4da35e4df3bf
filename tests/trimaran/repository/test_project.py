"""`trimaran.toml`: what is read from it, and what is refused in one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trimaran.repository import project as project_module
from trimaran.repository.project import parse_project, read_project
from trimaran.system.errors import TrimaranError
from trimaran.system.project_file import PROJECT_FILE, find_project_file

FULL = """
repository = "models"
export = "nets/model.py:network"
formats = ["onnx", "aoti"]
publish = "ensembles.churn:ensemble"
models = ["shop", "shop_record"]

[ports]
http = 9000
"""


def test_what_is_read_and_that_everything_may_be_left_out(tmp_path: Path) -> None:
    project = parse_project(FULL, tmp_path)
    assert project.repository == tmp_path / "models"
    assert project.export == f"{tmp_path}/nets/model.py:network"
    assert project.publish == "ensembles.churn:ensemble"
    assert project.formats == ("onnx", "aoti")
    assert project.models == ("shop", "shop_record")
    assert project.ports == {"http": 9000}
    run = parse_project("export = 'runs/shop/latest'", tmp_path)
    assert run.export == f"{tmp_path}/runs/shop/latest"
    assert parse_project("", tmp_path).repository == tmp_path / "model_repository"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("repositry = 'models'", "there is no key 'repositry'; did you mean 'repository'?"),
        ("[ports]\nhtpp = 1", "[ports]: there is no key 'htpp'; did you mean 'http'?"),
        ("repository = 3", "repository is 3; expected the path of a folder"),
        ("models = 'shop'", "models is 'shop'; expected a list of texts"),
        ("models = ['a', 'a']", "models holds 'a' twice; remove one"),
        ("models = ['../a']", "models: '../a' cannot name a model"),
        ("ports = 8000", "ports is 8000; expected a table [ports]"),
        ("[ports]\nhttp = true", "[ports]: http is True; expected a number from 1 to 65535"),
        ("[ports]\nhttp = 65536", "[ports]: http is 65536; expected a number from 1 to 65535"),
        ("repository = '../models'", "repository is '../models', which leads out of the project"),
        ("repository = '/models'", "repository is '/models', which leads out of the project"),
        ("repository = 'link/models'", "repository is 'link/models', which leads out"),
        ("repository = 'a/..'", "repository is 'a/..', the project's folder itself"),
        ("repository = ''", "repository is ''; expected a path in the project's folder"),
        ('repository = "a\\u0000"', "repository is 'a\\x00'; expected a path in the project's"),
        ("export = '../model.py:network'", "export is '../model.py', which leads out"),
        ("export = 'model.py'", "export is 'model.py'; expected path/to/file.py:function"),
        ("publish = 'os:getcwd'", "publish is 'os:getcwd', a module that is not trimaran's"),
        ("export = ", "not TOML: Invalid value"),
        ("a = " + "[" * 5000, "not TOML: it is nested too deeply"),
    ],
)
def test_one_sentence_says_what_is_wrong_and_where(
    tmp_path: Path, text: str, sentence: str
) -> None:
    (tmp_path / "link").symlink_to("/")
    path = tmp_path / PROJECT_FILE
    path.write_text(text)
    with pytest.raises(TrimaranError) as refused:
        read_project(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / PROJECT_FILE
    path.write_bytes(b"repository = '\xff'")
    with pytest.raises(TrimaranError, match="cannot be read: it is not UTF-8 text"):
        read_project(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(TrimaranError, match="cannot be read: Is a directory"):
        read_project(path)


def test_another_users_file_in_a_folder_of_everyone_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / PROJECT_FILE
    path.write_text("")
    if os.getuid() == 0:
        os.chown(path, 4711, -1)
    monkeypatch.setattr(project_module.os, "getuid", lambda: 4712)
    assert read_project(path).root == tmp_path
    tmp_path.chmod(0o777)
    with pytest.raises(TrimaranError, match="belongs to another user"):
        read_project(path)


def test_the_nearest_file_above_is_found(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    outer = tmp_path / PROJECT_FILE
    outer.touch()
    assert find_project_file(below) == outer
    (tmp_path / "a" / PROJECT_FILE).touch()
    assert find_project_file(below) == tmp_path / "a" / PROJECT_FILE
