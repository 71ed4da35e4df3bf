"""Made-up records for a model of a table, and users for a recommender.

Of records each field is drawn as it was distributed in training.

The version of a model that was trained on a table has the distribution of each field
(`reference.json`) and its bounds (`transform.json`). Fields are drawn one by one, so a record is
plausible field by field, and nobody's record is in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trimaran.repository.config import ModelConfig
from trimaran.repository.repository import Repository
from trimaran.repository.served_files import find_served
from trimaran.served.dates import DAYS, Date, as_text
from trimaran.served.distribution import Feature, Reference
from trimaran.served.histories import USERS
from trimaran.served.transform import TransformData

__all__ = ["draw_records", "draw_users", "find_histories", "find_table"]

REFERENCE, TRANSFORM = "reference.json", "transform.json"
_DIGITS = 6


def find_table(repository: Repository, config: ModelConfig) -> Path | None:
    """The served version, of the model or of a step of it, that knows its table."""
    return find_served(repository, config, (REFERENCE, TRANSFORM))


def find_histories(repository: Repository, config: ModelConfig) -> Path | None:
    """The served version, of the model or of a step of it, that knows what users chose."""
    return find_served(repository, config, (USERS,))


def draw_users(version: Path, count: int, seed: int) -> list[str]:
    """`count` names of users whom the version knows; the same seed gives the same ones."""
    names = (version / USERS).read_text(encoding="utf-8").splitlines()
    drawn = np.random.default_rng(seed).integers(len(names), size=count)
    return [names[place] for place in drawn]


def draw_records(version: Path, count: int, seed: int) -> list[dict[str, Any]]:
    """`count` records by field, with an identifier if the table has one.

    A date is drawn by its days before another date, or before the newest in training; one that has
    only a weekday is in the last week of training. A field that is missing in a record is left out
    of it. The same seed gives the same records.
    """
    data = TransformData.from_json((version / TRANSFORM).read_text(encoding="utf-8"))
    reference = Reference.read(version / REFERENCE)
    generator = np.random.default_rng(seed)
    known = {feature.name: feature for feature in reference.of_kind("number", "category")}
    columns = {
        field["name"]: _column(known[field["name"]], field, count, generator)
        for field in data.fields
        if field["name"] in known and known[field["name"]].rows
    }
    columns |= _dates(data, known, count, generator)
    columns |= _texts(data, known, count, generator)
    drawn = (
        {name: column[row] for name, column in columns.items() if column[row] is not None}
        for row in range(count)
    )
    usable = [record for record in drawn if record] or [{}]  # a served model refuses an empty one
    records = [dict(usable[row % len(usable)]) for row in range(count)]
    if data.identifier:
        for row, record in enumerate(records):
            record[data.identifier] = f"made-up-{row}"
    return records


def _dates(
    data: TransformData, known: Mapping[str, Feature], count: int, generator: np.random.Generator
) -> dict[str, Sequence[str | None]]:
    """The columns of dates, as texts; those to which the days of others count come first."""
    fields = {field["name"]: field for field in data.fields}
    days: dict[str, list[float | None]] = {}
    for date in sorted(data.dates, key=lambda each: each.as_of is not None):
        if date.counted not in known or not known[date.counted].rows:
            continue
        unbounded = {"least": None, "most": None}
        drawn = _column(known[date.counted], unbounded, count, generator)
        ends = days.get(date.as_of or "", [None] * count)
        days[date.name] = [
            None
            if value is None
            else _within(_date(date, value, date.newest if end is None else end), fields[date.name])
            for value, end in zip(drawn, ends, strict=True)
        ]
    return {
        name: [None if each is None else as_text(each) for each in column]
        for name, column in days.items()
    }


def _date(date: Date, drawn: float, end: float) -> float:
    """The date whose counted part is what was drawn; a weekday is in the last week of training."""
    days = end - drawn
    if date.counted_part != DAYS:
        days = np.floor(date.newest) - (np.floor(date.newest) + 4 - np.floor(drawn)) % 7
    return days if "time_sin" in date.parts else float(np.floor(days))


def _within(days: float, field: Mapping[str, Any]) -> float:
    least, most = field["least"], field["most"]
    days = days if least is None else max(days, least)
    return days if most is None else min(days, most)


def _texts(
    data: TransformData, known: Mapping[str, Feature], count: int, generator: np.random.Generator
) -> dict[str, Sequence[str | None]]:
    """The columns of texts: as many known terms as training's texts have words."""
    made: dict[str, Sequence[str | None]] = {}
    for text in data.texts:
        if text.counted in known and known[text.counted].rows and text.terms:
            bounds = {"least": 1.0, "most": None}
            lengths = _column(known[text.counted], bounds, count, generator)
            made[text.name] = [
                None if each is None else " ".join(generator.choice(text.terms, int(each)))
                for each in lengths
            ]
    return made


def _column(
    feature: Feature, field: Mapping[str, Any], count: int, generator: np.random.Generator
) -> Sequence[Any]:
    counts = np.array(feature.counts, np.float64)
    if feature.kind == "category":
        counts[-1] = 0  # unknown: there is no such value
    drawn = generator.choice(len(counts), count, p=counts / counts.sum())
    if feature.kind == "category":
        values = [*feature.values, None, None]
        return [values[place] for place in drawn]
    bounds = _bounds(feature.edges, field["least"], field["most"])
    within = generator.random(count)
    missing = len(counts) - 1
    return [
        None if place == missing else _between(bounds[place], share)
        for place, share in zip(drawn.tolist(), within.tolist(), strict=True)
    ]


def _bounds(
    edges: Sequence[float], least: float | None, most: float | None
) -> list[tuple[float, float]]:
    """The range of each bin; the outer ones are as wide as the whole inside, within the bounds."""
    if not edges:
        low = 0.0 if least is None else least
        return [(low, low + 1.0 if most is None else most)]
    width = (edges[-1] - edges[0]) or 1.0
    first = edges[0] - width if least is None else max(least, edges[0] - width)
    last = edges[-1] + width if most is None else min(most, edges[-1] + width)
    return list(zip([first, *edges], [*edges, last], strict=True))


def _between(bounds: tuple[float, float], share: float) -> float:
    low, high = bounds
    return float(f"{low + (high - low) * share:.{_DIGITS}g}")
