"""`trimaran monitor dashboard` in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import urllib3

from monitoring.commands.report import Pages
from tests.monitoring.conftest import Watched
from tests.monitoring.test_report import GOOD, ask
from tests.running import Running, wait_for
from tests.trimaran.pages.browser import SHOWN, browsing
from trimaran.system.errors import TrimaranError
from trimaran.system.ports import free_ports


@contextmanager
def page(*arguments: str | Path) -> Iterator[str]:
    """The URL of a served page."""
    port = free_ports().http
    running = Running("monitor", "dashboard", f"--dashboard-port={port}", *arguments)
    try:
        running.until_said("the page is at", 40)
        yield f"http://127.0.0.1:{port}"
    finally:
        running.stop()
    assert running.process.returncode == 0
    assert running.said("stopped")


def test_a_browser_shows_the_models_and_their_plots(churn_watched: Watched, tmp_path: Path) -> None:
    ask(churn_watched, [GOOD] * 20)
    churn_watched.scraped()
    with (
        page("--window", "5m", "--repository", churn_watched.root) as url,
        browsing(tmp_path / "home") as browser,
    ):
        for scheme, width in SHOWN:
            browser.show(url, width, scheme)
            assert browser.problems() == []
        seen = browser.run("document.documentElement.outerHTML")
        assert urllib3.request("GET", f"{url}/etc/passwd").status == 404
    assert "churn_record" in seen
    assert seen.count("<svg") >= 6
    assert 'http-equiv="refresh"' in seen
    assert not re.search(r"(?:src|href)=\"https?://", seen)


def test_the_page_shows_that_prometheus_is_gone() -> None:
    gone = f"http://127.0.0.1:{free_ports().http}"
    with page("--prometheus", gone) as url:
        answer = urllib3.request("GET", url, retries=False)
    assert answer.status == 503
    assert f"no Prometheus answers at {gone}" in answer.data.decode()


def test_a_page_is_made_once_for_many_and_again_when_it_is_old(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[int] = []

    def make() -> str:
        made.append(0)
        if len(made) == 2:
            raise TrimaranError("gone")
        return f"page {len(made)}"

    pages = Pages(make)
    assert [pages.newest(), pages.newest()] == ["page 1", "page 1"]
    monkeypatch.setattr("monitoring.commands.report._FRESH_S", 0.0)
    with pytest.raises(TrimaranError):
        pages.newest()
    assert wait_for(pages.newest, 1, "a page") == "page 3"
