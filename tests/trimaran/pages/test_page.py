from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup
from matplotlib.figure import Figure

from tests.trimaran.pages.browsing import check
from trimaran.pages.figures import draw, label, labels
from trimaran.pages.page import Page, badge, card, facts, figure, legend, table, text
from trimaran.training.tabular.exploring.plots import heatmap


def test_blocks_of_a_page() -> None:
    page = Page("A <title>", "below & beyond")
    page.section(
        "One",
        text("<b>", "warning"),
        facts([("rows", 5000), ("share", None)]),
        table(["name", "value"], [("<i>", 1234.5), ("b", math.nan), (badge("x", "good"), 2)]),
        legend([("left", "positive")]),
    )
    page.section("Two", card("field", "about", text("inside")))
    html = page.html()
    check(html)
    assert "<title>A &lt;title&gt;</title>" in html
    assert "below &amp; beyond" in html
    assert '<p class="text warning">&lt;b&gt;</p>' in html
    assert "<dd>5,000</dd>" in html
    assert '<td class="short">&lt;i&gt;</td><td class="number">1,234</td>' in html
    assert '<span class="badge good">x</span>' in html
    assert html.index('href="#section-2"') < html.index('id="section-1"')


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1, "1"),
        (12345, "12,345"),
        (1234.56, "1,235"),
        (0.99999, "1"),
        (0.123456, "0.1235"),
        (8.5, "8.5"),
        (1e7, "1.000e+07"),
        (1e-9, "1.000e-09"),
        (math.nan, "\N{EN DASH}"),
        (math.inf, "inf"),
    ],
)
def test_numbers_are_shown_short(number: float, shown: str) -> None:
    assert f'<td class="number">{shown}</td>' in table(["n"], [(number,)])


def test_a_figure_has_the_colours_of_the_page() -> None:
    drawn = draw(heatmap(["one", "two"], np.array([[1.0, 0.5], [0.5, 1.0]])), 'a "heat" map')
    assert isinstance(drawn, Markup)
    assert drawn.startswith("<svg")
    assert 'aria-label="a &#34;heat&#34; map"' in drawn
    assert "var(--positive)" in drawn
    assert "metadata" not in drawn
    check(f"<html>{drawn}</html>")


def test_a_large_figure_becomes_pixels() -> None:
    large = Figure(figsize=(3, 2))
    points = np.random.default_rng(0).normal(size=(2, 20_000))
    large.subplots().plot(*points, ".")
    html = figure(large, "many", "points")
    assert "data:image/png;base64," in html
    assert "<figcaption>many</figcaption>" in html
    check(f"<html>{html}</html>")


def test_a_label_is_short_and_on_one_line() -> None:
    assert label("a\nb\t c") == "a b c"
    assert label("x" * 40) == "x" * 25 + "…"
    assert label("$5") == r"\$5"


def test_labels_keep_what_distinguishes_them() -> None:
    names = ["temperature_of_the_left_bearing", "temperature_of_the_right_bearing", "site"]
    assert labels(names, 20) == ["temper…_left_bearing", "temper…right_bearing", "site"]
    assert labels(["a\nb", "a b"], 12) == ["a b", "a b… (2)"]


@given(st.lists(st.text("ab", max_size=40), max_size=12))
def test_labels_of_any_texts_are_short_and_distinct(texts: list[str]) -> None:
    found = labels(texts, 12)
    assert len(set(found)) == len(texts)
    assert max(map(len, found), default=0) <= 12
