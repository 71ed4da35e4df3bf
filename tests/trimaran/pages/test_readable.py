"""Every kind of page in a real browser, light and dark, on a wide screen and on a telephone."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trimaran.pages.browser import SHOWN, Browser, Scheme, browsing
from tests.trimaran.pages.browsing import check
from tests.trimaran.pages.kinds import PAGES, VERSIONS
from trimaran.pages.figures import SERIES

QUICK = ("training", "tuning", "monitoring", "everything")
"""Shown also in the short form, on a telephone in light and on a wide screen in dark."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("browser") / "home") as found:
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The file of a page by its name."""
    made: dict[str, Path] = {}

    def found(name: str) -> Path:
        if name not in made:
            directory = tmp_path_factory.mktemp(name)
            made[name] = directory / f"{name}.html"
            made[name].write_text(PAGES[name](directory / "made"), encoding="utf-8")
        return made[name]

    return found


def shown(path: Path, browser: Browser, looks: Iterable[tuple[Scheme, int]]) -> None:
    """Nothing keeps the page from being read, in each scheme and at each width."""
    found = {}
    for scheme, width in looks:
        browser.show(path.as_uri(), width, scheme)
        if problems := browser.problems():
            found[f"{scheme}, {width} px"] = problems
        photograph = browser.photograph()
        path.with_name(f"{path.stem}-{scheme}-{width}.png").write_bytes(photograph)
        with Image.open(io.BytesIO(photograph)) as picture:
            assert picture.width == width
            dark = np.asarray(picture.convert("L")).mean() < 128
        assert dark == (scheme == "dark")
    assert found == {}


@pytest.mark.parametrize("name", QUICK)
def test_a_page_can_be_read(name: str, browser: Browser, page: Callable[[str], Path]) -> None:
    path = page(name)
    if name != "monitoring":  # it names the address of Prometheus
        check(path.read_text())
    shown(path, browser, SHOWN[1:3])


@pytest.mark.long
@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_read_on_every_screen(
    name: str, browser: Browser, page: Callable[[str], Path]
) -> None:
    path = page(name)
    if name not in QUICK:
        check(path.read_text())
    shown(path, browser, SHOWN)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('<p style="font-size: 10.9px">small</p>', "text of 10.9 px"),
        ('<p style="color: #777">faint</p>', "contrast 4.48"),
        ('<p style="opacity: .5">faint</p>', "contrast"),
        ('<div style="width: 500px">wide</div>', "the page scrolls sideways"),
        ('<p style="overflow: hidden; width: 2em; white-space: nowrap">cut off</p>', "text cut"),
        ('<svg viewBox="0 0 100 100" width="40"><text y="50">small</text></svg>', "text of 6.4"),
        (
            '<svg width="99"><rect width="99" height="99"/><text y="50">black</text></svg>',
            "contrast 1.00",
        ),
        ('<svg width="99"><text x="80" y="50">cut off</text></svg>', "cut off by its drawing"),
        ('<svg><text y="50">one</text><text y="52">other</text></svg>', "text on text"),
        (
            '<svg><text y="50">words</text><path d="M0 0L40 90" stroke="red" fill="none"/></svg>',
            "text on a curve",
        ),
        ('<img alt="a" src="data:image/png;base64,">', "a picture"),
    ],
)
def test_what_cannot_be_read_is_measured(
    content: str, problem: str, browser: Browser, tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    path.write_text(f"<!doctype html><title>t</title>{content}", encoding="utf-8")
    browser.show(path.as_uri(), 420, "light")
    assert any(problem in found for found in browser.problems()), browser.problems()


def test_a_training_report_has_the_words_of_its_table(page: Callable[[str], Path]) -> None:
    html = page("training").read_text()
    assert not re.search(r"churn|customer|minute", html, re.IGNORECASE)
    assert "Positive means state = failed." in html


@pytest.mark.long
def test_a_benchmark_begins_with_the_ceiling_and_the_load_that_matters(
    page: Callable[[str], Path],
) -> None:
    verdict = page("benchmark").read_text().partition("<h2>Verdict</h2>")[2].partition("<h2>")[0]
    ceiling, _, loaded = verdict.partition("The ceiling: 4 connections in a closed loop")[
        2
    ].partition("At 70 % of the ceiling: ")
    assert "answers/s" in ceiling
    assert "(70%) in an open loop" in loaded
    assert loaded.count("<dl") == 1


def test_no_two_series_of_a_figure_look_alike(page: Callable[[str], Path]) -> None:
    assert len({look.colour for look in SERIES}) == len(SERIES)
    neighbours = itertools.pairwise(look.style for look in SERIES)
    assert all(one != other for one, other in neighbours)
    html = page("monitoring").read_text()
    assert f"The {len(SERIES)} busiest of {VERSIONS} versions." in html
    plot = html.partition("<svg")[2].partition("</svg>")[0]
    lines = re.findall(r'd="M[^"]{200,}" [^>]*style="([^"]*)"', plot)
    colours = [re.search(r"stroke: ([^;]+)", style)[1] for style in lines]  # type: ignore[index]
    assert len(colours) == len(set(colours)) == len(SERIES)
