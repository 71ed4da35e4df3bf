"""Who chose what, and when: a public table by name, or a CSV file.

| found | result |
|---|---|
| a cell without a user or an item | the row is left out, with a note |
| the same user and item again | the first one counts, with a note for the others |
| a rating below `liked` | the item is seen, and not liked |
| no rating | every item of a row is liked |
| no time | the rows of a user are in an order by the seed |
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from trimaran.served.histories import MOST_NAME_BYTES
from trimaran.served.refusal import RefusedError
from trimaran.served.texts import read_text
from trimaran.system.csv_rows import number_in
from trimaran.system.csv_table import read_csv
from trimaran.system.errors import TrimaranError, UsageError

__all__ = ["MOST_ITEMS", "Choices", "from_table", "load_csv"]

MOST_ITEMS = 50_000
_FEWEST = 20
"""Users, and items."""

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Choices:
    """What users chose: rows sorted by user, and those of a user by time."""

    name: str
    users: tuple[str, ...]
    items: tuple[str, ...]
    user: Numbers
    """Int64 `[rows]`: places in `users`; ascending."""
    item: Numbers
    """Int64 `[rows]`: places in `items`. No user has an item twice."""
    liked: Flags
    """Bool `[rows]`."""
    source: str
    """Where the table is from, for people."""
    notes: tuple[str, ...] = ()
    """What was left out or decided, a sentence each."""

    @property
    def starts(self) -> Numbers:
        """Where the rows of each user begin, and where the last ones end: int64 `[users + 1]`."""
        return np.searchsorted(self.user, np.arange(len(self.users) + 1)).astype(np.int64)

    def digest(self) -> str:
        """SHA-256, in hexadecimal, of everything in the table that decides a training."""
        content = [self.users, self.items, self.user.tolist(), self.item.tolist()]
        return hashlib.sha256(json.dumps([*content, self.liked.tolist()]).encode()).hexdigest()


def load_csv(
    place: str | Path,
    user: str,
    item: str,
    rating: str = "",
    time: str = "",
    liked: float | None = None,
    name: str = "",
    seed: int = 0,
) -> Choices:
    """A CSV file, of which two to four columns are named.

    `name` is what its models are called; by default that is the file's. Raises `UsageError` for a
    file or a column that is not there, and `TrimaranError` for a table that does not fit.
    """
    path = Path(place)
    if not path.is_file():
        raise UsageError(
            f"{str(place)!r} is neither a CSV file nor a public table; the public table of choices "
            "is movielens"
        )
    frame = read_csv(path)
    columns = {"user": user, "item": item, "rating": rating, "time": time}
    for option, column in columns.items():
        if (column or option in ("user", "item")) and column not in frame.columns:
            listed = ", ".join(map(str, frame.columns))
            raise UsageError(
                f"{path} has no column {column!r} for --{option}; its columns are {listed}"
            )
    called = name or re.sub(r"\W+", "_", path.stem, flags=re.ASCII)
    return from_table(called, frame, columns, str(path), liked, seed)


def from_table(
    name: str,
    frame: pd.DataFrame,
    columns: Mapping[str, str],
    source: str,
    liked: float | None = None,
    seed: int = 0,
) -> Choices:
    """Choices from the columns that are called `user`, `item`, and perhaps `rating` and `time`.

    Items are liked from the rating `liked`, by default the median of all. Raises `TrimaranError`
    for a cell that is no rating or no time, and for fewer than twenty users or items.
    """
    cells = {what: frame[column].tolist() for what, column in columns.items() if column}
    lines = frame.index.tolist()
    names = {what: _names(cells[what]) for what in ("user", "item")}
    usable = [row for row in range(len(frame)) if all(each[row] for each in names.values())]
    notes = []
    if len(usable) < len(frame):
        notes.append(f"{len(frame) - len(usable)} rows without a usable user or item were left out")
    ratings = _ratings(cells, lines, usable, source) if columns.get("rating") else None
    if ratings is None and liked is not None:
        raise UsageError("--liked is the rating from which an item is liked; add --rating COLUMN")
    if liked is not None and not np.isfinite(liked):
        raise UsageError(f"--liked is {liked}; give a rating")
    times = _times(cells, lines, usable, source) if columns.get("time") else None
    users, user = _numbered([names["user"][row] for row in usable])
    items, item = _numbered([names["item"][row] for row in usable])
    generator = np.random.default_rng(seed)
    chance = generator.random(len(usable))  # decides between rows of one time
    order = np.lexsort((chance, chance if times is None else times, user))
    pairs = pd.Series(user[order] * max(1, len(items)) + item[order])
    first = order[~pairs.duplicated().to_numpy()]
    if len(first) < len(order):
        notes.append(
            f"{len(order) - len(first)} rows repeat a user and an item and were left out; the "
            "first of them counts"
        )
    if times is None:
        notes.append("there is no time, so the order of a user's rows is by the seed")
    likes = np.ones(len(usable), np.bool_)
    if ratings is not None:
        least = float(np.median(ratings)) if liked is None else liked
        likes = ratings >= least
        notes.append(
            f"an item is liked from the rating {least:g}: {likes[first].mean():.0%} of the rows"
        )
    for what, found in (("users", users), ("items", items)):
        if len(found) < _FEWEST:
            few = f"1 {what[:-1]}" if len(found) == 1 else f"{len(found)} {what}"
            raise TrimaranError(
                f"{source} has {few}; a recommender takes {_FEWEST} {what} or more, so add some"
            )
    if len(items) > MOST_ITEMS:
        raise TrimaranError(
            f"{source} has {len(items):,} items, and {MOST_ITEMS:,} are the most; leave out those "
            "that few users chose"
        )
    return Choices(name, users, items, user[first], item[first], likes[first], source, tuple(notes))


def _names(cells: Sequence[object]) -> list[str]:
    """Each cell as the served model reads a name; empty where that would be refused."""
    found: dict[object, str] = {}
    for cell in cells:
        if cell not in found:
            text = "" if cell is None or cell != cell else str(cell)
            try:
                found[cell] = read_text(text.encode(errors="surrogatepass"), MOST_NAME_BYTES)
            except RefusedError:
                found[cell] = ""
    return [found[cell] for cell in cells]


def _numbered(names: Sequence[str]) -> tuple[tuple[str, ...], Numbers]:
    """The different names, sorted, and the place of each among them."""
    different = sorted(set(names))
    places = {name: place for place, name in enumerate(different)}
    return tuple(different), np.array([places[name] for name in names], np.int64)


def _ratings(
    cells: Mapping[str, Sequence[object]],
    lines: Sequence[int],
    rows: Sequence[int],
    source: str,
) -> npt.NDArray[np.float64]:
    found = np.empty(len(rows))
    for place, row in enumerate(rows):
        number = number_in(str(cells["rating"][row]).strip(), np.inf)
        if number is None or not np.isfinite(number):
            raise TrimaranError(
                f"{source}, line {lines[row]}: the rating is {str(cells['rating'][row])!r}; write "
                "a number, or leave the row out"
            )
        found[place] = number
    return found


def _times(
    cells: Mapping[str, Sequence[object]],
    lines: Sequence[int],
    rows: Sequence[int],
    source: str,
) -> npt.NDArray[np.float64]:
    """Seconds: numbers as they are, and dates of ISO 8601 since 1970, those without a zone UTC."""
    texts = [str(cells["time"][row]).strip() for row in rows]
    numbers = [number_in(text, np.inf) for text in texts]
    seconds = np.array([np.nan if each is None else each for each in numbers], np.float64)
    if not np.isfinite(seconds).any():
        dates = pd.to_datetime(
            pd.Series(texts), format="ISO8601", utc=True, errors="coerce"
        ).dt.as_unit("ns")
        valid = dates.notna().to_numpy()
        seconds = np.where(valid, dates.astype("int64").to_numpy() / 1e9, np.nan)
    wrong = np.flatnonzero(~np.isfinite(seconds))
    if len(wrong):
        raise TrimaranError(
            f"{source}, line {lines[rows[wrong[0]]]}: the time is {texts[wrong[0]]!r}; write "
            "numbers in all rows, or dates such as 2026-01-31T12:00:00"
        )
    return seconds
