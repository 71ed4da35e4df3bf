"""The stubs' environment: what a stub needs to start is found, downloaded, or named."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from trimaran.serving.runtime import install
from trimaran.serving.stubs import _LIBRARY, _STUB, _python_libraries, _require_start
from trimaran.system.debian import read_lacking
from trimaran.system.errors import TrimaranError


@pytest.fixture(scope="module")
def environment() -> Mapping[str, str]:
    return install().environment


@pytest.fixture
def stub() -> Path:
    (option,) = (a for a in install().arguments if a.startswith("--backend-directory="))
    return Path(option.partition("=")[2]) / "python" / _STUB


def changed_stub(stub: Path, tmp_path: Path, library: str) -> Path:
    """A copy of the stub that is linked with another library than this interpreter's."""
    content = stub.read_bytes()
    assert content.count(_LIBRARY.encode()) == 1
    path = tmp_path / "a" / "b" / "c" / "d" / _STUB
    path.parent.mkdir(parents=True)
    path.write_bytes(content.replace(_LIBRARY.encode(), library.encode()))
    path.chmod(0o755)
    (tmp_path / "nvidia_pytriton.libs").symlink_to(
        stub.parents[4] / "nvidia_pytriton.libs", target_is_directory=True
    )
    return path


def test_a_library_that_is_missing_is_reported_by_name_and_not_after_a_timeout(
    stub: Path, environment: Mapping[str, str], tmp_path: Path
) -> None:
    lost = changed_stub(stub, tmp_path, _LIBRARY.replace("libpython3", "libqython3"))
    with pytest.raises(TrimaranError, match=r"cannot start: it needs libqython3\.\d+\.so\.1\.0,"):
        _require_start(lost, environment)


def test_a_missing_libpython_names_debians_package_and_an_interpreter_that_has_it(
    stub: Path, environment: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = _LIBRARY.replace("libpython3.1", "libpython3.8")
    lost = changed_stub(stub, tmp_path, missing)
    monkeypatch.setattr("trimaran.serving.stubs._LIBRARY", missing)
    for shared in (1, 0):
        monkeypatch.setattr("sysconfig.get_config_var", lambda name, value=shared: value)
        with pytest.raises(TrimaranError, match=r"'apt-get install libpython3\.8") as refused:
            _require_start(lost, environment, "no network")
        assert ("--enable-shared" in str(refused.value)) == (not shared)
        assert str(refused.value).endswith("(no network)")


def test_a_library_that_is_too_old_is_reported_though_a_stub_that_starts_has_the_same_status(
    tmp_path: Path,
) -> None:
    """The loader ends a program with 1, as the stub itself ends."""
    words = f"{tmp_path}/my stub: libc.so.6: version `GLIBC_2.99' not found (required by my stub)"
    assert read_lacking(words).versions == ("GLIBC_2.99",)
    stub = tmp_path / _STUB
    stub.write_text("#!/bin/sh\necho 'version GLIBC_2.99 not found' >&2\nexit 1\n")
    stub.chmod(0o755)
    with pytest.raises(TrimaranError, match=r"ends with status 1: version GLIBC_2\.99"):
        _require_start(stub, {})


def test_a_stub_that_ends_otherwise_is_reported_with_its_words(tmp_path: Path) -> None:
    stub = tmp_path / _STUB
    stub.write_text("#!/bin/sh\necho no licence >&2\nexit 3\n")
    stub.chmod(0o755)
    with pytest.raises(TrimaranError, match="ends with status 3: no licence"):
        _require_start(stub, {})


def test_what_triton_took_from_a_stub_is_given_back_at_the_next_start(stub: Path) -> None:
    stub.chmod(0o100)
    install()
    assert stat.S_IMODE(stub.stat().st_mode) == 0o755


def test_the_interpreters_own_library_is_taken_and_nothing_next_to_it(
    stub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a conda environment, where Triton must not find another libssl or libstdc++."""
    prefix = tmp_path / "conda"
    (prefix / "lib").mkdir(parents=True)
    for name in (_LIBRARY, "libssl.so.3"):
        (prefix / "lib" / name).touch()
    monkeypatch.setattr("sysconfig.get_config_var", lambda name: str(prefix / "lib" / "gone"))
    monkeypatch.setattr(sys, "base_prefix", str(prefix))
    found = _python_libraries(tmp_path, stub)[0].split(os.pathsep)[0]
    assert [path.name for path in Path(found).iterdir()] == [_LIBRARY]
    assert (Path(found) / _LIBRARY).readlink() == prefix / "lib" / _LIBRARY


def test_a_models_own_directory_wins_over_a_project_that_has_files_of_the_same_names(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    """Triton appends a model's directory to a path on which the user's project may stand."""
    for folder in ("project", "version"):
        (tmp_path / folder).mkdir()
        for name in ("model", "json"):
            (tmp_path / folder / f"{name}.py").write_text(f"PLACE = {folder!r}\n")
    (tmp_path / "project" / "json.py").unlink()
    code = (
        "import sys; sys.path.append(sys.argv[1]); import json, model, numpy, trimaran; "
        "print(model.PLACE, hasattr(json, 'PLACE'), numpy.__version__)"
    )
    found = subprocess.run(
        ["python", "-c", code, str(tmp_path / "version")],
        env={**environment, "PYTHONPATH": str(tmp_path / "project")},
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == ["version", "False", "1.26.4"]
