"""A folder of the user next to a factory: one of another name is found, one of ours is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import PROJECT
from trimaran.system.own_packages import OWN_PACKAGES

SCRIPT = (str(Path(sys.executable).with_name("trimaran")),)
MODULE = (sys.executable, "-m", "trimaran")
BOTH = pytest.mark.parametrize(
    "command",
    [
        pytest.param(SCRIPT, id="script"),
        pytest.param(MODULE, id="module", marks=pytest.mark.long),
    ],
)

COMMAND_OF = {
    "exporters": ("export", "exporters.mine:model", "--format", "onnx"),
    "ensembles": ("publish", "ensembles.mine:model"),
    "monitoring": ("monitor", "watch"),
    "loadtests": ("bench", "model"),
}


def call(command: tuple[str, ...], folder: Path, *arguments: str) -> tuple[int, str]:
    """The exit status, and the one sentence that was printed as an error."""
    ended = subprocess.run(
        [*command, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in ended.stderr
    errors = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, ended.stderr
    return ended.returncode, errors[0]


def own_folder(folder: Path, name: str) -> Path:
    path = folder / name / "mine.py"
    path.parent.mkdir()
    (path.parent / "__init__.py").touch()  # without it Python takes the package that has one
    path.write_text("def model(): return 'mine'\n")
    (path.parent / "churn.py").write_text("VALUE = 7\n")
    return path


@BOTH
def test_folders_named_as_ours_were_are_the_users_own(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    for name in ("training", "serving", "demo", "rollout"):
        own_folder(tmp_path, name)
    factory = tmp_path / "factory.py"
    factory.write_text("from training.churn import VALUE\ndef made(): return VALUE\n")
    status, error = call(command, tmp_path, "publish", "training.mine:model")
    assert (status, "training.mine:model returned str" in error) == (2, True)
    status, error = call(command, tmp_path, "publish", "factory.py:made")
    assert (status, "factory.py:made returned int" in error) == (2, True)
    status, error = call(command, tmp_path, "publish", "runs/churn/latest")
    assert (status, "trimaran train TABLE" in error) == (1, True), error


@BOTH
def test_a_factory_of_before_is_answered_with_the_new_one(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    status, error = call(command, tmp_path, "publish", "training.churn:ensemble")
    assert status == 2
    assert error.endswith("there is no module 'training'; it is now runs/churn/latest")


@pytest.mark.parametrize(
    "package", ["exporters", pytest.param("ensembles", marks=pytest.mark.long)]
)
def test_the_script_says_how_to_name_a_module_that_is_hidden(package: str, tmp_path: Path) -> None:
    own_folder(tmp_path, package)
    status, error = call(SCRIPT, tmp_path, "publish", f"{package}.mine:model")
    assert status == 2
    assert (
        f"there is no module '{package}.mine' in trimaran's own package '{package}', which hides "
        f"your folder {package}/; write {package}/mine.py:model, or rename the folder"
    ) in error
    status, error = call(SCRIPT, tmp_path, "publish", f"{package}/mine.py:model")
    assert (status, "mine.py:model returned str" in error) == (2, True)


@pytest.mark.parametrize(
    "package",
    [
        "exporters",
        *(
            pytest.param(each, marks=pytest.mark.long)
            for each in OWN_PACKAGES
            if each != "exporters"
        ),
    ],
)
def test_python_m_trimaran_says_which_folder_hides_a_package_of_ours(
    package: str, tmp_path: Path
) -> None:
    own_folder(tmp_path, package)
    status, error = call(MODULE, tmp_path, *COMMAND_OF[package])
    assert status == 1
    assert error == (
        f"error: {tmp_path / package} hides trimaran's own package '{package}'; rename it, or run "
        "'trimaran' in another folder"
    )


@pytest.mark.parametrize(
    ("package", "arguments"), [("monitoring", ("bench", "model")), ("exporters", ("demo",))]
)
def test_a_package_that_a_command_of_another_package_imports_is_named_as_well(
    package: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    own_folder(tmp_path, package)
    status, error = call(MODULE, tmp_path, *arguments)
    assert status == 1
    assert f"{tmp_path / package} hides trimaran's own package '{package}'" in error
    assert not (tmp_path / "model_repository").exists()


def test_a_file_hides_a_package_as_well(tmp_path: Path) -> None:
    (tmp_path / "loadtests.py").touch()
    status, error = call(MODULE, tmp_path, "bench", "model")
    assert (status, f"{tmp_path / 'loadtests.py'} hides" in error) == (1, True)


def test_the_script_ignores_folders_that_nobody_names(tmp_path: Path) -> None:
    for package in OWN_PACKAGES:
        own_folder(tmp_path, package)
    status, error = call(SCRIPT, tmp_path, "monitor", "watch")
    assert (status, "no such model repository" in error) == (1, True)


def test_the_python_api_says_it_too(tmp_path: Path) -> None:
    own_folder(tmp_path, "exporters")
    code = "import trimaran\ntry: trimaran.export\nexcept trimaran.TrimaranError as e: print(e)"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "hides trimaran's own package 'exporters'" in ended.stdout
    assert str(PROJECT) not in ended.stdout
