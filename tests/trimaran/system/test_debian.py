"""Debian's packages without root; `make fresh` proves the same as an ordinary user."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimaran.system.debian import _download, _release, can_unpack, library_path, unpacked
from trimaran.system.downloads import cache_directory
from trimaran.system.errors import TrimaranError

pytestmark = pytest.mark.skipif(not can_unpack(), reason="this distribution has no apt")


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with nothing but the lists of packages that were read before."""
    unpacked("libb64-0d")
    lists = cache_directory() / "debian" / _release() / "apt"
    monkeypatch.setenv("TRIMARAN_CACHE", str(tmp_path / "cache"))
    own = cache_directory() / "debian" / _release()
    own.mkdir(parents=True)
    (own / "apt").symlink_to(lists)
    return own


def test_a_package_is_downloaded_once_and_nothing_is_installed(
    own_cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = Path("/var/lib/dpkg/status").stat().st_mtime
    root = unpacked("libb64-0d")
    assert root == own_cache / "libb64-0d"
    (folder,) = library_path(root).split(":")
    assert (Path(folder) / "libb64.so.0d").exists()
    assert "downloading libb64-0d" in capfd.readouterr().err
    assert unpacked("libb64-0d") == root
    assert not capfd.readouterr().err
    assert Path("/var/lib/dpkg/status").stat().st_mtime == before
    assert not list((own_cache / "archives").iterdir())


def test_a_package_that_there_is_not_is_reported_in_apts_words(own_cache: Path) -> None:
    with pytest.raises(TrimaranError, match="apt-get failed: Unable to locate package no-such"):
        unpacked("no-such-package")
    assert not (own_cache / "no-such-package").exists()


def test_half_an_archive_is_not_taken_for_whole(own_cache: Path) -> None:
    """Apt compares the part with its signed hashes, and downloads the rest."""
    kept = own_cache / "archives" / "libb64-0d"
    _download(("libb64-0d",), own_cache / "apt", kept)
    (archive,) = kept.glob("*.deb")
    half = archive.rename(kept / "partial" / archive.name)
    half.write_bytes(bytes(half.stat().st_size // 2))
    assert list(unpacked("libb64-0d").rglob("libb64.so.0d"))
