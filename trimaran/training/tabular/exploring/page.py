"""The page of `trimaran explore`: a table's fields, its errors, and which fields predict."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup

from trimaran.pages.page import Cell, Page, badge, beside, card, facts, figure, legend, table, text
from trimaran.training.tabular.data.schema import FLOAT32_MAX, FieldSchema, Schema
from trimaran.training.tabular.data.sources import Dataset
from trimaran.training.tabular.data.validation import Finding, validate
from trimaran.training.tabular.evaluation.separation import Flags, value_auc
from trimaran.training.tabular.exploring.description import category_rates, number_rates
from trimaran.training.tabular.exploring.plots import category_figures, number_figures
from trimaran.training.tabular.exploring.sections import (
    associations,
    category_table,
    correlations,
    date_table,
    missing_values,
    number_table,
    outlying,
    percent,
)

__all__ = ["Overview", "explore", "overview"]

_MOST_CARDS = 60


@dataclass(frozen=True)
class Overview:
    """A table in a few numbers."""

    rows: int
    missing: int
    """Cells of fields without a value."""
    cells: int
    question: str
    """What `positives` answer, such as `left = yes`."""
    positives: int
    target_known: int
    """Rows with a target."""
    findings: list[Finding]
    strengths: list[tuple[str, float | None]]
    """Each field's own ROC AUC, 0.5 to 1, the strongest first; None if it has too few rows."""

    @property
    def target_share(self) -> float:
        """The positive share of the rows that have a target, 0 to 1; NaN without any."""
        return self.positives / self.target_known if self.target_known else math.nan


@np.errstate(over="ignore", invalid="ignore")
def overview(dataset: Dataset) -> Overview:
    """The overview of a table with at least the columns of its schema."""
    frame, schema = dataset.frame, dataset.schema
    known = frame[frame[schema.target].notna()]
    contrast = schema.contrast(known)
    positive = contrast.flags
    strengths = [(field.name, value_auc(known[field.name], positive)) for field in schema.fields]
    fields = frame[[field.name for field in schema.fields]]
    return Overview(
        rows=len(frame),
        missing=int(fields.isna().to_numpy().sum()),
        cells=fields.size,
        question=contrast.question,
        positives=int(positive.sum()),
        target_known=len(known),
        findings=validate(frame, schema),
        strengths=sorted(strengths, key=lambda item: -(item[1] or 0.0)),
    )


@np.errstate(over="ignore", invalid="ignore")
def explore(
    dataset: Dataset, summary: Overview, advance: Callable[[str], None] = lambda field: None
) -> str:
    """The page as HTML; `advance` is called with the name of each field that is drawn."""
    schema = dataset.schema
    frame = dataset.frame[dataset.frame[schema.target].notna()]
    page = Page(f"Data of {schema.name}", dataset.source)
    page.section("Summary", *_summary(dataset, summary))
    page.section("Findings", *_findings(summary.findings))
    page.section("Fields, strongest first", *_fields(frame, schema, summary, advance))
    page.section("Missing values", *missing_values(frame, schema))
    page.section("Numbers", number_table(frame, schema))
    if schema.dates:
        page.section("Dates", date_table(frame, schema))
    page.section("Categories", category_table(frame, schema))
    page.section("Correlations of numbers", *correlations(frame, schema))
    page.section("Associations of categories", *associations(frame, schema))
    page.section("Outliers", *outlying(frame, schema))
    return page.html()


def _summary(dataset: Dataset, summary: Overview) -> list[Markup]:
    schema = dataset.schema
    tiles: list[tuple[str, Cell]] = [
        ("rows", summary.rows),
        ("number fields", len(schema.numbers)),
        ("category fields", len(schema.categories)),
        *([("date fields", len(schema.dates))] if schema.dates else []),
        *([("text fields", len(schema.texts))] if schema.texts else []),
        ("missing values", percent(summary.missing / max(1, summary.cells))),
        (summary.question, summary.positives),
        (f"{schema.target} share", percent(summary.target_share)),
    ]
    return [facts(tiles), *(text(f"Note: {note}.") for note in dataset.notes)]


def _findings(findings: Sequence[Finding]) -> list[Markup]:
    if not findings:
        return [text("There are no errors and no warnings.", "good")]
    errors = sum(finding.severity == "error" for finding in findings)
    verdict = (
        text(f"Errors to correct before training: {errors}.", "error")
        if errors
        else text("There are no errors: this table can be trained on.", "good")
    )
    rows = [
        (badge(found.severity, found.severity), found.column or "(rows)", found.message)
        for found in findings
    ]
    return [verdict, table(["severity", "column", "finding"], rows)]


def _fields(
    frame: pd.DataFrame, schema: Schema, summary: Overview, advance: Callable[[str], None]
) -> list[Markup]:
    contrast = schema.contrast(frame)
    positive = contrast.flags
    by_name = {field.name: field for field in schema.fields}
    blocks = [
        text(
            "Strength is how well a field alone predicts the outcome: 0.5 is chance, 1 certainty. "
            "It is a ROC AUC; groups are tested on other rows than their rates come from. Bars "
            "show a 95 % interval (Wilson), the dashed line is the rate of all rows."
        ),
        legend(
            [
                (f"{schema.target}: {contrast.positive}", "positive"),
                (f"{schema.target}: {contrast.negative}", "negative"),
            ]
        ),
    ]
    for name, strength in summary.strengths[:_MOST_CARDS]:
        blocks.append(_field_card(frame[name], by_name[name], positive, strength))
        advance(name)
    left_out = [name for name, _ in summary.strengths[_MOST_CARDS:]]
    if left_out:
        blocks.append(text(f"Weaker fields, not drawn: {', '.join(left_out)}."))
    return blocks


def _field_card(
    column: pd.Series, field: FieldSchema, positive: Flags, strength: float | None
) -> Markup:
    if field.kind == "text":
        column = column.map(lambda text: len(text.split()), na_action="ignore").astype(np.float64)
    missing = float(column.isna().mean())
    kind = "words of a text" if field.kind == "text" else field.kind
    about = f"{kind} · {'no strength' if strength is None else f'strength {strength:.3f}'}"
    about += f" · {percent(missing)} missing" if missing else ""
    drawable = (
        column.notna() if field.kind == "category" else column.abs() <= FLOAT32_MAX
    ).to_numpy()
    if not drawable.any():
        return card(field.name, about, text("There is no value to draw."))
    overall = float(positive.mean())
    if field.kind != "category":
        numbers, positive = column[drawable].to_numpy(dtype=np.float64), positive[drawable]
        rates = number_rates(column[drawable], positive)
        drawn = number_figures(numbers, positive, rates, overall, dates=field.kind == "date")
    else:
        drawn = category_figures(category_rates(column, positive), overall)
    alts = f"distribution of {field.name} within each outcome", f"positive rate by {field.name}"
    both = (figure(each, "", alt) for each, alt in zip(drawn, alts, strict=True))
    return card(field.name, about, beside(*both))
