"""`import trimaran`: each function once, as docs/python.md calls it, on a repository of its own."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

import trimaran
from proofs.pages import blocks
from tests.running import PROJECT
from trimaran.system.errors import TrimaranError, UsageError

PAGE = PROJECT / "docs" / "python.md"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the page's examples have assigned, and `folder`, where they ran."""
    folder = tmp_path_factory.mktemp("python_api")
    names: dict[str, Any] = {"folder": folder}
    before = list(sys.path), set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        with chdir(folder):
            for block in blocks(PAGE):
                text = "\n".join(block.lines)
                file = re.match(r"# (\S+\.py)$", block.lines[0])
                if file:
                    Path(file[1]).parent.mkdir(exist_ok=True)
                    Path(file[1]).write_text(text)
                else:
                    exec(compile(text, f"{PAGE.name}:{block.line}", "exec"), names)  # noqa: S102
        yield names
    finally:
        sys.path[:] = before[0]
        sys.modules.pop("model", None)


def test_an_import_loads_nothing_heavy() -> None:
    code = (
        "import json, sys, trimaran\n"
        "print(json.dumps([sorted({name.partition('.')[0] for name in sys.modules}),"
        " dir(trimaran)]))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    loaded, names = json.loads(shown.stdout)
    heavy = {"torch", "numpy", "google", "onnx", "tritonclient", "rich", "typer", "exporters"}
    assert "trimaran" in loaded
    assert heavy.isdisjoint(loaded)
    assert set(trimaran.__all__) <= set(names)


def test_type_checkers_see_the_same_names() -> None:
    stub = ast.parse((PROJECT / "trimaran" / "__init__.pyi").read_text())
    imported = {
        alias.asname: f"{node.module}:{alias.name}"
        for node in ast.walk(stub)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == trimaran._PLACES


@pytest.mark.parametrize("name", trimaran.__all__)
def test_every_name_is_there_and_documented(name: str) -> None:
    found = getattr(trimaran, name)
    assert found.__name__ == name
    assert found.__doc__


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'trimaran' has no attribute 'exprot'"):
        _ = trimaran.exprot  # type: ignore[attr-defined]


def test_export_publishes_a_verified_version(page: dict[str, Any]) -> None:
    (result,) = page["exported"]
    assert str(result.publication) == "scorer_onnx version 1"
    assert result.parity.passed


def test_add_takes_a_file(page: dict[str, Any]) -> None:
    assert str(page["added"].publication) == "scorer_copy version 1"
    assert page["added"].config.max_batch_size == 32


def test_publish_makes_the_models_and_the_wiring(page: dict[str, Any]) -> None:
    assert [str(publication) for publication in page["published"]] == ["double version 1"]
    assert (page["folder"] / "model_repository" / "doubled_scorer" / "config.pbtxt").is_file()


def test_release_deploy_and_rollback(page: dict[str, Any]) -> None:
    released = page["released"]
    assert (released.number, released.unchanged) == (1, False)
    assert released.pins == {"scorer_onnx": 1, "double": 1}
    assert page["deployment"].release == 1
    assert page["rolled_back"].release == 1


def test_check_and_status(page: dict[str, Any]) -> None:
    assert page["report"].models == ("double", "doubled_scorer", "scorer_copy", "scorer_onnx")
    found = {(each.model, each.version): each for each in page["status"].models}
    assert found["doubled_scorer", 1].live
    assert not found["doubled_scorer", 2].live
    assert found["scorer_onnx", 1].parity is not None
    assert page["status"].servers == []


def test_an_equal_model_of_a_function_is_unchanged(page: dict[str, Any]) -> None:
    double = page["double"]

    def again() -> Any:
        return double

    root = page["folder"] / "model_repository"
    with chdir(page["folder"]):
        (publication,) = trimaran.publish(again, root)
    assert publication.unchanged


def test_what_was_exported_before_a_failure_is_in_the_error(
    page: dict[str, Any], tmp_path: Path
) -> None:
    from exporters.api import NotAllExportedError

    with pytest.raises(NotAllExportedError, match="TorchScript is not exported in int8") as refused:
        trimaran.export(
            page["model"], ["torchscript"], tmp_path, precisions=["fp32", "int8"], name="named"
        )
    assert [str(r.publication) for r in refused.value.results] == ["named_torchscript version 1"]
    assert refused.value.exit_status == 1


def test_the_default_formats_are_those_that_a_precision_has() -> None:
    from exporters.api import exports_of

    assert exports_of(None, ["fp32", "int8"]) == [
        ("onnx", "fp32"),
        ("onnx", "int8"),
        ("aoti", "fp32"),
    ]
    assert exports_of(None, "int8") == [("onnx", "int8")]
    assert exports_of("aoti", ["int8", "int8"]) == [("aoti", "int8")]


def test_a_wrong_word_or_object_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no format 'tensorflow'"):
        trimaran.export(str, "tensorflow", tmp_path)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"builtins:str returned str, not an exporters\.ModelSpec"):
        trimaran.export(str, "onnx", tmp_path)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="returned str, neither an"):
        trimaran.publish(str, tmp_path)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="has no model 'missing'"):
        trimaran.check(tmp_path, ["missing"])
    with pytest.raises(TrimaranError, match="no such model repository"):
        trimaran.status(tmp_path / "nowhere")
