"""Tables of choices: what is left out, what is refused, and the parts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trimaran.system.errors import TrimaranError, UsageError
from trimaran.training.recommender.data import Choices, from_table, load_csv
from trimaran.training.recommender.movielens import movielens
from trimaran.training.recommender.split import histories, split, wanted

COLUMNS = {"user": "who", "item": "what", "rating": "stars", "time": "when"}
Row = tuple[str, str, object, object]


def many(users: int = 30, items: int = 25) -> list[Row]:
    """Each user chose five items, at the times 10 to 14, the later ones better."""
    return [
        (f"u{user}", f"i{(user + place) % items}", 1 + place, 10 + place)
        for user in range(users)
        for place in range(5)
    ]


def table_of(rows: Sequence[Row], **options: float) -> Choices:
    frame = pd.DataFrame(rows, columns=list(COLUMNS.values()), dtype=object)
    frame.index = pd.Index(range(2, len(rows) + 2), name="line")
    return from_table("t", frame, COLUMNS, "t.csv", **options)


def test_the_films_and_their_parts() -> None:
    data = movielens()
    assert (len(data.users), len(data.items), len(data.user)) == (943, 1663, 99_684)
    assert "Toy Story (1995)" in data.items
    parts = split(data)
    rows = {name: int(part.sum()) for name, part in parts.by_name().items()}
    assert rows == {"train": 70_545, "validation": 9_567, "test": 19_572}
    assert (sum(map(np.asarray, parts.by_name().values())) == 1).all()
    place = data.users.index("196")
    given, sought = histories(data, ~parts.test)[place], wanted(data, parts.test)[place]
    assert len(given) == 32
    assert not set(abs(given) - 1) & set(sought)


def test_the_last_choices_are_for_the_test_and_nothing_is_in_two_parts() -> None:
    data = table_of(sorted(many(), key=lambda row: str(row[3]), reverse=True))
    parts = split(data)
    assert parts.test.sum() == parts.validation.sum() == 30
    place = data.users.index("u3")
    names = [data.items[each] for each in wanted(data, parts.test)[place]]
    assert names == ["i7"]  # the fifth choice
    given = histories(data, parts.train | parts.validation)[place]
    assert [data.items[abs(each) - 1] for each in given] == ["i3", "i4", "i5", "i6"]
    assert (given > 0).tolist() == [False, False, True, True]  # the median rating is 3


def test_of_repeated_choices_the_first_counts_and_unusable_rows_are_left_out() -> None:
    extra: list[Row] = [
        ("u3", "i3", 5, 99),
        (" u3\u200b", "i3", 5, 98),
        ("", "i1", 5, 1),
        ("u1", " \x00", "", ""),
    ]
    data = table_of([*many(), *extra], liked=4.0)
    assert len(data.user) == 150
    assert data.notes[0] == "2 rows without a usable user or item were left out"
    assert data.notes[1].startswith("2 rows repeat a user and an item")
    assert data.notes[2] == "an item is liked from the rating 4: 40% of the rows"
    first = histories(data, np.ones(150, np.bool_))[data.users.index("u3")][0]
    assert data.items[abs(first) - 1] == "i3"
    assert first < 0


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (many(users=1), "t.csv has 1 user; a recommender takes 20 users or more"),
        (many(items=19), "t.csv has 19 items; a recommender takes 20 items or more"),
        ([*many(), ("u", "i", "good", 1)], r"t.csv, line 152: the rating is 'good'; write a num"),
        ([*many(), ("u", "i", 1, "")], r"t.csv, line 152: the time is ''; write numbers in all"),
        ([*many(), ("u", "i", 1, "2026-01-31")], r"line 152: the time is '2026-01-31'; write"),
    ],
    ids=["one user", "few items", "no rating", "no time", "a date among numbers"],
)
def test_a_table_that_does_not_fit_is_refused(rows: list[Row], message: str) -> None:
    with pytest.raises(TrimaranError, match=message):
        table_of(rows)


def test_users_with_few_rows_are_not_tested() -> None:
    rows = [row for row in many() if not (row[3] == 14 and row[0] > "u2")]
    with pytest.raises(TrimaranError, match="users with 5 rows or more and a liked item in the te"):
        split(table_of(rows))


def test_a_csv_file_with_dates_or_without_a_time(tmp_path: Path) -> None:
    path = tmp_path / "my plays.csv"
    lines = [f"{who},{what},2026-01-{when}T10:00:00" for who, what, _, when in reversed(many())]
    path.write_text("\n".join(["who,what,when", *lines]))
    data = load_csv(path, "who", "what", time="when")
    assert (data.name, len(data.user), data.notes) == ("my_plays", 150, ())
    first = data.item[data.starts[data.users.index("u3")]]
    assert data.items[first] == "i3"
    orders = {load_csv(path, "who", "what", seed=seed).digest() for seed in (0, 0, 1)}
    assert len(orders) == 2
    with pytest.raises(UsageError, match="no column 'user' for --user; its columns are who, what"):
        load_csv(path, "user", "what")
