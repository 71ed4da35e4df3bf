"""The data report of a run: a table as `trimaran explore` shows it, or other data in figures."""

from __future__ import annotations

from collections.abc import Callable

from trimaran.pages.page import Page, facts, table, text
from trimaran.rollout.runs.figures import Figures
from trimaran.training.tabular.data.sources import Dataset
from trimaran.training.tabular.exploring.page import explore, overview
from trimaran.training.tabular.exploring.sections import (
    category_table,
    missing_values,
    number_table,
)

__all__ = ["page_of_figures", "page_of_table"]


def page_of_table(dataset: Dataset, advance: Callable[[str], None] = lambda field: None) -> str:
    """The page of a table as HTML; of one without outcomes, what its fields hold."""
    frame, schema = dataset.frame, dataset.schema
    known = frame[schema.target].dropna()
    if len(known) and known.nunique() > 1 and not list(schema.task.findings(known)):
        return explore(dataset, overview(dataset), advance)
    page = Page(f"Data of {schema.name}", dataset.source)
    notes = [text(f"Note: {note}.") for note in dataset.notes]
    unknown = text("The outcomes are not known, or too few, so no field is compared with them.")
    page.section("Summary", facts([("rows", len(frame)), ("with an outcome", len(known))]), unknown)
    page.section("Missing values", *notes, *missing_values(frame, schema))
    page.section("Numbers", number_table(frame, schema))
    page.section("Categories", category_table(frame, schema))
    return page.html()


def page_of_figures(name: str, figures: Figures) -> str:
    """The page of texts, photographs or choices, as HTML."""
    page = Page(f"Data of {name}", figures.source)
    page.section(
        "Parts",
        facts([("rows", sum(figures.rows.values())), ("digest", figures.digest[:16])]),
        table(["part", "rows"], list(figures.rows.items())),
        text(f"The parts were drawn {figures.split}."),
    )
    page.section("Notes", *(text(note, "warning") for note in figures.notes or ["none"]))
    return page.html()
