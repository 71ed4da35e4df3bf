"""A page's figures in a dark browser."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from tests.monitoring.test_dashboard import browse
from trimaran.pages.page import Page, figure

ASK = '<script>document.body.append(getComputedStyle(document.querySelector("svg text")).fill)'
INK = "rgb(228, 232, 237)"


def test_text_that_a_figure_draws_in_black_is_light_on_a_dark_page(tmp_path: Path) -> None:
    drawn = Figure()
    drawn.text(0.5, 0.5, "drawn in black")
    page = Page("A page", "")
    page.section("A section", figure(drawn, "", ""))
    path = tmp_path / "page.html"
    path.write_text(f"{page.html()}{ASK}</script>", encoding="utf-8")
    dark = "--blink-settings=preferredColorScheme=0"
    assert INK in browse(path.as_uri(), "--dump-dom", dark, home=tmp_path / "home")
