"""Which files of `trimaran.served` a version gets, by the imports of its model."""

from __future__ import annotations

from pathlib import Path

import pytest

from ensembles.served_files import served_files
from trimaran.system.errors import TrimaranError

MODEL = "class TritonPythonModel: pass\n"
ENTRY = "trimaran.served.some_model"


def package(root: Path, **modules: str) -> Path:
    directory = root / "trimaran" / "served"
    directory.mkdir(parents=True, exist_ok=True)
    for name, source in modules.items():
        (directory / f"{name}.py").write_text(source)
    return root


def test_the_files_are_the_modules_that_are_imported_directly_or_not() -> None:
    files = served_files("trimaran.served.labels_model")
    assert set(files) == {
        "model.py",
        "trimaran/__init__.py",
        "trimaran/served/__init__.py",
        *(
            f"trimaran/served/{name}.py"
            for name in (
                "labels_model",
                "boundary",
                "refusal",
                "ranking",
                "counters",
                "distribution",
                "failures",
                "metrics",
                "pulse",
                "step_log",
                "logged_predictions",
                "prediction_line",
                "prediction_log",
                "answers",
            )
        ),
    }


def test_every_way_to_import_a_module_is_followed_but_that_of_type_checkers(tmp_path: Path) -> None:
    root = package(
        tmp_path,
        some_model=f"import json\nfrom trimaran.served import first\n{MODEL}",
        first="import trimaran.served.second as other\nfrom .third import name\n",
        second="def later():\n    from trimaran.served.fourth import name\n",
        third="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import trimaran.system\n",
        fourth="from trimaran.served.first import other\n",
        fifth="",
    )
    files = served_files(ENTRY, root)
    copied = {name.rpartition("/")[2] for name in files if name.startswith("trimaran/served/")}
    assert copied == {
        "__init__.py",
        *(f"{name}.py" for name in ("some_model", "first", "second", "third", "fourth")),
    }
    assert files["trimaran/served/first.py"] == (root / "trimaran/served/first.py").read_bytes()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            f"from trimaran.served import gone\n{MODEL}",
            r"some_model needs trimaran\.served\.gone, and there is no file .*/served/gone\.py",
        ),
        (
            f"import trimaran.served.gone\n{MODEL}",
            r"some_model needs trimaran\.served\.gone, and there is no file .*/served/gone\.py",
        ),
        (
            f"from trimaran.served.gone import name\n{MODEL}",
            r"some_model needs trimaran\.served\.gone, and there is no file .*/served/gone\.py",
        ),
        (
            f"from trimaran.system.errors import TrimaranError\n{MODEL}",
            r"some_model needs trimaran\.system\.errors, and a version holds modules of "
            r"trimaran\.served only; move the code there",
        ),
        (f"import trimaran\n{MODEL}", r"some_model needs trimaran, and a version holds"),
        ("import json\n", "some_model has no class TritonPythonModel, which Triton starts"),
        ("class (\n", r"some_model\.py is not valid Python: .*line 1"),
    ],
    ids=[
        "from_package",
        "import",
        "from_module",
        "other_package",
        "whole_package",
        "no_class",
        "no_python",
    ],
)
def test_what_a_version_cannot_hold_is_refused(tmp_path: Path, source: str, words: str) -> None:
    with pytest.raises(TrimaranError, match=words):
        served_files(ENTRY, package(tmp_path, some_model=source))


@pytest.mark.parametrize("entry", ["trimaran.served.gone_model", "somewhere.else", "trimaran"])
def test_an_entry_that_is_no_module_of_the_package_is_refused(tmp_path: Path, entry: str) -> None:
    with pytest.raises(TrimaranError, match=f"publishing needs {entry}, and "):
        served_files(entry, package(tmp_path))
