"""Where downloads are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimaran.system.downloads import cache_directory
from trimaran.system.errors import TrimaranError


def test_the_environment_names_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TRIMARAN_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_directory() == tmp_path / "home" / ".cache" / "trimaran"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_directory() == tmp_path / "xdg" / "trimaran"
    monkeypatch.setenv("TRIMARAN_CACHE", "~/mine")
    assert cache_directory() == tmp_path / "home" / "mine"


def test_a_cache_that_cannot_be_written_is_told_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Root may write into every folder; `make fresh` tries those of others as an ordinary user."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("TRIMARAN_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(TrimaranError, match="file is not a directory"):
        cache_directory()


def test_a_user_without_a_home_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
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
