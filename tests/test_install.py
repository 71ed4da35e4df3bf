"""How `.venv` is made: what is refused at once, and what counts as finished."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from importlib.metadata import distributions
from pathlib import Path

import pytest

import install
from tests.running import PROJECT
from trimaran.system.errors import TrimaranError, UsageError


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished `.venv` of this interpreter, in which the extras of `run` were installed."""
    path = tmp_path / ".venv"
    monkeypatch.setattr(install, "ENVIRONMENT", path)
    (path / "bin").mkdir(parents=True)
    (path / "bin" / "python").symlink_to(sys.executable)
    (path / "pyvenv.cfg").write_text(f"home = /x\nexecutable = {Path(sys.executable).resolve()}\n")
    (path / ".made").write_text(install.place_of(path))
    install.stamp_of("run").write_text(install.digest_of("run"))
    return path


def test_what_was_begun_is_not_taken_for_finished(environment: Path) -> None:
    assert install.done("run")
    assert not install.done("test")
    (environment / ".made").unlink()
    assert not install.done("run")


def test_what_another_target_installed_is_not_installed_again(environment: Path) -> None:
    install.stamp_of("run").unlink()
    install.stamp_of("bench").write_text(install.digest_of("bench"))
    assert install.done("run")
    assert install.done("train")
    assert not install.done("monitor")


def test_an_environment_whose_interpreter_went_away_is_not_finished(environment: Path) -> None:
    (environment / "bin" / "python").unlink()
    (environment / "bin" / "python").symlink_to("/usr/bin/python3.99")
    assert not install.made()


def test_a_link_to_another_environment_is_not_emptied(environment: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    environment.rename(own)
    environment.symlink_to(own)
    held = sorted(own.rglob("*"))
    with pytest.raises(TrimaranError, match=r"is a link to .*own, which trimaran did not make"):
        install.make_environment()
    assert sorted(own.rglob("*")) == held


def test_a_folder_that_was_moved_has_no_finished_environment(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commands name the interpreter by the old path."""
    moved = environment.rename(environment.with_name("moved"))
    monkeypatch.setattr(install, "ENVIRONMENT", moved)
    assert (moved / "bin" / "python").exists()
    assert not install.made()


def test_changed_requirements_are_installed_again(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = install.digest_of("run")
    monkeypatch.setitem(install.EXTRAS, "run", ("export", "serve", "train"))
    assert install.digest_of("run") != before
    assert not install.done("run")


def test_another_interpreter_is_refused_where_it_is_named(environment: Path) -> None:
    install.require_named_interpreter(named=True)
    (environment / "pyvenv.cfg").write_text("executable = /usr/bin/python3.99\n")
    install.require_named_interpreter(named=False)
    with pytest.raises(UsageError, match=r"but \.venv was made with /usr/bin/python3\.99; remove"):
        install.require_named_interpreter(named=True)


def test_a_place_without_room_is_reported_with_what_is_needed(tmp_path: Path) -> None:
    install.require_room(tmp_path / "not" / "there", 1)
    with pytest.raises(TrimaranError, match=r"MB free and 999999999 MB are needed"):
        install.require_room(tmp_path / "not" / "there", 999_999_999)


def test_every_target_of_the_makefile_is_known_with_its_room() -> None:
    text = (PROJECT / "Makefile").read_text()
    assert set(re.findall(r"^\t\$\(call ready,(\w+)\)", text, re.M)) == install.EXTRAS.keys()
    assert install.EXTRAS.keys() == install._ROOM_MB.keys()


@pytest.mark.parametrize("arguments", [[], ["--help"], ["runs"]])
def test_an_unknown_target_is_refused_with_those_there_are(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert install.main(arguments) == 2
    assert "is no target; choose from run, train," in capsys.readouterr().err


@pytest.mark.parametrize("target", ["demo", "lint"])
def test_a_missing_interpreter_is_said_to_be_missing(target: str) -> None:
    made = subprocess.run(
        ["make", target, "PYTHON=python3.99"],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 2
    assert made.stderr.startswith("error: there is no python3.99 here; install Python 3.11 or 3.12")


def test_no_two_installed_packages_own_the_same_file() -> None:
    """The one installed last would break the other, here or where a user adds another package."""
    owners: dict[str, set[str]] = defaultdict(set)
    for package in distributions():
        name = package.name
        for line in (package.read_text("RECORD") or "").splitlines():
            path = line.rsplit(",", 2)[0]
            if not path.startswith("..") and "__pycache__" not in path:
                owners[path].add(name)
    assert not {path: names for path, names in owners.items() if len(names) > 1}
