"""The built wheel: what it holds, and that it works where there is no clone."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from ensembles.scaffold import KINDS
from tests.running import PROJECT

PACKAGES = {"trimaran", "exporters", "ensembles", "monitoring", "loadtests"}
SUFFIXES = {
    ".cc",
    ".css",
    ".h",
    ".html",
    ".ini",
    ".js",
    ".json",
    ".lua",
    ".md",
    ".py",
    ".pyi",
    ".toml",
    ".typed",
    ".yml",
}
_TIMEOUT_S = 600


def run(*command: str | Path, cwd: Path) -> str:
    """The standard output of a program that ends with status 0."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", folder, PROJECT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


def tracked_files() -> set[str]:
    listed = run("git", "ls-files", "-z", *PACKAGES, cwd=PROJECT)
    return {name for name in listed.split("\0") if name and (PROJECT / name).is_file()}


def test_it_holds_all_files_of_the_five_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    ours = {name for name in names if not name.partition("/")[0].endswith(".dist-info")}
    assert {name.partition("/")[0] for name in ours} == PACKAGES
    assert tracked_files() <= ours
    assert {Path(name).suffix for name in ours} <= SUFFIXES
    assert not [name for name in ours if "__pycache__" in name]


@pytest.fixture(scope="module")
def bin_folder(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel, and the packages here without the project."""
    folder = tmp_path_factory.mktemp("installed")
    packages = folder / "packages"
    packages.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if "trimaran" not in path.name and path.suffix != ".pth":
            (packages / path.name).symlink_to(path)
    environment = folder / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=folder)
    paths = {"base": str(environment), "platbase": str(environment)}
    installed = Path(sysconfig.get_path("purelib", vars=paths))
    options = ("--quiet", "--no-deps", "--no-index", "--disable-pip-version-check")
    pip = (sys.executable, "-m", "pip", "--python", environment / "bin" / "python", "install")
    run(*pip, *options, wheel, cwd=folder)
    (installed / "packages.pth").write_text(f"{packages}\n")
    return environment / "bin"


FIND = """
import sys
import trimaran
loaded = {"torch", "google", "numpy"} & sys.modules.keys()
print(trimaran.__file__, *loaded)
"""


def test_the_wheel_is_what_runs_and_its_import_loads_no_torch(
    bin_folder: Path, tmp_path: Path
) -> None:
    found = run(bin_folder / "python", "-c", FIND, cwd=tmp_path).split()
    assert len(found) == 1
    assert Path(found[0]).is_relative_to(bin_folder.parent)
    assert run(bin_folder / "trimaran", "--version", cwd=tmp_path).startswith("trimaran ")
    assert "rollback" in run(bin_folder / "trimaran", "--help", cwd=tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_a_project_goes_the_whole_way_without_a_clone(
    bin_folder: Path, tmp_path: Path, kind: str
) -> None:
    """Its own test exports, publishes, releases and serves it, and asks over HTTP and gRPC."""
    run(bin_folder / "trimaran", "init", "shop", "--kind", kind, cwd=tmp_path)
    shown = run(
        bin_folder / "python", "-m", "pytest", "-p", "no:cacheprovider", cwd=tmp_path / "shop"
    )
    assert "4 passed" in shown, shown
    assert not list((tmp_path / "shop" / "model_repository").iterdir())


USE = """
import trimaran
reveal_type(trimaran.release("churn").pins)
reveal_type(trimaran.check().findings)
"""


@pytest.mark.long
def test_a_type_checker_sees_the_types_of_the_api(bin_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "use.py").write_text(USE)
    options = ("--strict", "--cache-dir", os.devnull, "--python-executable", bin_folder / "python")
    shown = run(sys.executable, "-m", "mypy", *options, "use.py", cwd=tmp_path)
    assert "Mapping[str, int]" in shown
    assert "tuple[trimaran.checks.finding.Finding" in shown


@pytest.mark.long
def test_the_demo_runs_without_a_clone(bin_folder: Path, tmp_path: Path) -> None:
    shown = run(bin_folder / "trimaran", "demo", cwd=tmp_path)
    assert "Egyptian cat" in shown
    assert "espresso" in shown
    assert "release 1 is live" in shown
    assert "no errors" in run(bin_folder / "trimaran", "check", cwd=tmp_path)
    assert "image_classifier" in run(bin_folder / "trimaran", "status", cwd=tmp_path)
    served = tmp_path / "model_repository" / "image_labels" / "1" / "trimaran" / "served"
    assert (served / "labels_model.py").is_file()
