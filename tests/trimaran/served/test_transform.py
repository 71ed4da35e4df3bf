from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimaran.served.transform import Bins, Category, Derived, Neighbours, Transform, TransformData

NAN = float("nan")
STORED = np.random.default_rng(5).normal(scale=[10, 100, 1], size=(40, 3)).round(2)
COLUMNS = (
    *("tenure", "charge", "calls", "contract=month", "contract=year", "region"),
    *("charge_missing", "total", "less", "times", "per", "logged", "again"),
    *("tenure<12", "12<=tenure<24", "tenure>=24", "per_bin"),
)
DATA = TransformData(
    fields=[
        *({"name": n, "kind": "number", "least": None, "most": None} for n in COLUMNS[:3]),
        *(
            {"name": n, "kind": "category", "least": None, "most": None}
            for n in ("contract", "region")
        ),
    ],
    identifier=None,
    fill=[1.0, 2.0, 3.0],
    low=[None, -150.0, -2.0],
    high=[None, 150.0, None],
    flags=["charge"],
    neighbours=Neighbours(["charge"], STORED.tolist(), STORED.std(axis=0).tolist(), 5),
    categories=[
        Category(
            "contract",
            ["month", "year"],
            [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 0.0]],
            ["contract=month", "contract=year"],
        ),
        Category("region", ["n", "s"], [[0.1], [0.4], [0.25], [0.3]], ["region"]),
    ],
    derived=[
        Derived("total", "sum", ["tenure", "charge", "calls"]),
        Derived("less", "difference", ["tenure", "charge"]),
        Derived("times", "product", ["contract=year", "charge"]),
        Derived("per", "ratio", ["charge", "tenure"]),
        Derived("logged", "log", ["less"]),
        Derived("again", "sum", ["logged", "charge_missing"]),
    ],
    bins=[
        Bins("tenure", [12.0, 24.0], np.eye(3).tolist(), list(COLUMNS[13:16])),
        Bins("per", [0.0, 1.0], [[0.0], [1.0], [2.0]], ["per_bin"]),
    ],
    outputs=list(COLUMNS),
    shift=[0.25] * len(COLUMNS),
    factor=[1 / 3] * len(COLUMNS),
)
PLAIN = replace(DATA, shift=[0.0] * len(COLUMNS), factor=[1.0] * len(COLUMNS))
NUMBERS = st.one_of(
    st.just(NAN), st.floats(-1e6, 1e6, width=32), st.sampled_from([0.0, 12.0, 24.0])
)
ROWS = st.tuples(
    NUMBERS,
    NUMBERS,
    NUMBERS,
    st.sampled_from(["month", "year", None, "decade"]),
    st.sampled_from(["n", "s", None, ""]),
)


def applied(data: TransformData, rows: list[tuple[Any, ...]]) -> npt.NDArray[np.float32]:
    transform = Transform(data)
    numbers = np.array([row[:3] for row in rows], dtype=np.float64).reshape(len(rows), 3)
    return transform.apply(numbers, transform.encode([[row[at] for row in rows] for at in (3, 4)]))


def named(row: tuple[Any, ...], data: TransformData = PLAIN) -> dict[str, float]:
    return dict(zip(data.outputs, applied(data, [row])[0].tolist(), strict=True))


@given(st.lists(ROWS, min_size=1, max_size=40))
def test_a_row_does_not_depend_on_its_batch(rows: list[tuple[Any, ...]]) -> None:
    together = applied(DATA, rows)
    assert together.dtype == np.float32
    assert np.isfinite(together).all()
    alone = np.concatenate([applied(DATA, [row]) for row in rows])
    assert together.tobytes() == alone.tobytes()


@given(st.lists(ROWS, max_size=20))
def test_a_file_gives_the_very_same_features(rows: list[tuple[Any, ...]]) -> None:
    read = TransformData.from_json(DATA.to_json())
    assert read == DATA
    assert applied(read, rows).tobytes() == applied(DATA, rows).tobytes()


def test_a_transform_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "transform.json"
    path.write_text(DATA.to_json(), encoding="utf-8")
    assert Transform.read(path).data == DATA
    assert Transform.read(path).outputs == list(COLUMNS)


@pytest.mark.parametrize("found", [0, 2, None])
def test_a_file_of_another_format_is_refused(found: int | None) -> None:
    document = {**json.loads(DATA.to_json()), "format": found}
    with pytest.raises(ValueError, match=f"^the transform has format {found}; this code reads 1$"):
        TransformData.from_json(json.dumps(document))


def test_no_file_holds_what_is_not_json() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        replace(DATA, fill=[NAN, 0.0, 0.0]).to_json()


def test_each_column() -> None:
    row = named((6.0, 3.0, 2.0, "year", "s"))
    assert row == {
        "tenure": 6.0,
        "charge": 3.0,
        "calls": 2.0,
        "contract=month": 0.0,
        "contract=year": 1.0,
        "region": float(np.float32(0.4)),
        "charge_missing": 0.0,
        "total": 11.0,
        "less": 3.0,
        "times": 3.0,
        "per": 0.5,
        "logged": float(np.float32(np.log(4))),
        "again": float(np.float32(np.log(4))),
        "tenure<12": 1.0,
        "12<=tenure<24": 0.0,
        "tenure>=24": 0.0,
        "per_bin": 1.0,
    }


def test_missing_and_unknown_have_rows_of_their_own() -> None:
    missing, unknown = named((NAN, 1.0, NAN, None, None)), named((1.0, 1.0, 1.0, "x", "x"))
    assert (missing["tenure"], missing["calls"]) == (1.0, 3.0)
    assert (missing["contract=month"], missing["contract=year"]) == (1.0, 0.0)
    assert missing["region"] == 0.25
    assert (unknown["contract=month"], unknown["contract=year"]) == (0.0, 0.0)
    assert unknown["region"] == float(np.float32(0.3))


def test_outliers_are_clipped_after_filling_and_before_deriving() -> None:
    row = named((10.0, 1000.0, -7.0, "year", "s"))
    assert (row["charge"], row["calls"], row["total"]) == (150.0, -2.0, 158.0)


def test_a_ratio_by_zero_is_zero() -> None:
    assert named((0.0, 3.0, 1.0, "year", "n"))["per"] == 0.0


@pytest.mark.parametrize(("value", "place"), [(11.9, 0), (12.0, 1), (23.9, 1), (24.0, 2), (1e9, 2)])
def test_a_bin_holds_its_lower_edge(value: float, place: int) -> None:
    row = named((value, 1.0, 1.0, "year", "n"))
    assert [row[name] for name in COLUMNS[13:16]] == np.eye(3)[place].tolist()


def test_scaling_shifts_and_then_multiplies() -> None:
    scaled = named((7.0, 1.0, 1.0, "year", "n"), DATA)
    assert scaled["tenure"] == float(np.float32((7.0 - 0.25) * (1 / 3)))


def test_neighbours_equal_brute_force() -> None:
    for row in np.random.default_rng(6).normal(scale=[10, 100, 1], size=(30, 3)):
        spread = STORED.std(axis=0)
        far = [
            sum(((stored[at] - row[at]) / spread[at]) ** 2 for at in (0, 2)) for stored in STORED
        ]
        nearest = sorted(range(len(STORED)), key=lambda place: far[place])[:5]
        expected = np.clip(np.mean([STORED[place][1] for place in nearest]), -150, 150)
        found = named((row[0], NAN, row[2], "year", "n"))
        assert found["charge"] == pytest.approx(expected, rel=1e-6)
        assert found["charge_missing"] == 1.0


def test_a_row_without_numbers_has_no_neighbours() -> None:
    assert named((NAN, NAN, NAN, "year", "n"))["charge"] == 2.0


def test_features_are_finite_for_any_float32() -> None:
    most = float(np.finfo(np.float32).max)
    data = replace(
        PLAIN,
        low=[None] * 3,
        high=[None] * 3,
        derived=[Derived("square", "product", ["tenure", "tenure"])],
        bins=[],
        outputs=["square", "tenure"],
        shift=[0.0, 0.0],
        factor=[1.0, 10.0],
    )
    assert applied(data, [(-most, 1.0, 1.0, "year", "n")]).tolist() == [[most, -most]]


def test_missing_and_unknown_are_counted_by_field() -> None:
    transform = Transform(DATA)
    numbers = np.array([[1.0, NAN, 2.0], [1.0, NAN, NAN], [1.0, 2.0, 3.0]])
    codes = transform.encode([["month", None, "x"], ["n", "s", "n"]])
    assert codes.tolist() == [[0, 2, 3], [0, 1, 0]]
    assert transform.missing(numbers, codes) == {"charge": 2, "calls": 1, "contract": 1}
    assert transform.unknown(codes) == {"contract": 1}


def test_spaces_around_a_category_are_no_part_of_it() -> None:
    transform = Transform(DATA)
    assert transform.encode([["month\xa0", " ", " x"], [" n", "s ", ""]]).tolist() == [
        [0, 2, 3],
        [0, 1, 2],
    ]
    padded = replace(DATA.categories[0], vocabulary=[" month", "year"])
    older = Transform(replace(DATA, categories=[padded, *DATA.categories[1:]]))
    assert older.encode([["month", " month", "\tyear"], ["n", "n", "n"]])[0].tolist() == [0, 0, 1]


def test_an_empty_batch_has_no_features() -> None:
    assert applied(DATA, []).shape == (0, len(COLUMNS))


def test_fields_of_one_kind_only() -> None:
    numbers = replace(
        PLAIN,
        fields=DATA.fields[:3],
        categories=[],
        derived=[],
        bins=[],
        outputs=["calls"],
        shift=[0.0],
        factor=[1.0],
    )
    transform = Transform(numbers)
    assert transform.apply(np.ones((2, 3)), transform.encode([])).tolist() == [[1.0], [1.0]]
    texts = replace(
        numbers,
        fields=DATA.fields[3:],
        categories=DATA.categories,
        flags=[],
        neighbours=None,
        outputs=["region"],
        fill=[],
        low=[],
        high=[],
    )
    transform = Transform(texts)
    features = transform.apply(np.empty((1, 0)), transform.encode([["x"], [None]]))
    assert features.tolist() == [[0.25]]
