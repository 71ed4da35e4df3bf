"""Where downloads are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimaran.cache import cache_directory


def test_the_environment_names_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TRIMARAN_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_directory() == tmp_path / "home" / ".cache" / "trimaran"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_directory() == tmp_path / "xdg" / "trimaran"
    monkeypatch.setenv("TRIMARAN_CACHE", "~/mine")
    assert cache_directory() == tmp_path / "home" / "mine"
