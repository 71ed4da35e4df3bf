from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trimaran.training.tabular.telephony import (
    EVERYTHING,
    FRAME,
    NUMBERS,
    SCHEMA,
    TARGET,
    TEXTS,
    fitted,
    float32,
    strangers,
)
from trimaran.served.records import Field, RecordReader
from trimaran.served.transform import Transform, TransformData
from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.features.fit import table_of, transform_frame


def test_only_the_rows_given_are_learnt_from() -> None:
    train = np.random.default_rng(8).permutation(len(FRAME))[:250]
    garbage = pd.DataFrame(
        {
            "customer_id": ["?"] * len(FRAME),
            **dict.fromkeys(NUMBERS, 999.0),
            **dict.fromkeys(TEXTS, "garbage"),
        },
        index=FRAME.index,
    )
    other, other_target = garbage.astype(dict.fromkeys(TEXTS, object)), 1 - TARGET
    other = pd.concat([FRAME.loc[train], other.drop(index=train)]).loc[FRAME.index]
    other_target[train] = TARGET[train]
    clean = fitted(EVERYTHING, FRAME.iloc[train], TARGET[train])
    assert fitted(EVERYTHING, other.iloc[train], other_target[train]) == clean
    as_category = other.astype(dict.fromkeys(TEXTS, "category"))
    assert fitted(EVERYTHING, as_category.iloc[train], other_target[train]) == clean


def test_the_index_of_a_frame_means_nothing() -> None:
    shuffled = FRAME.set_axis(np.arange(len(FRAME))[::-1], axis=0)
    assert fitted(EVERYTHING, shuffled, pd.Series(TARGET)) == fitted(EVERYTHING)


def test_a_transform_survives_its_file_bit_for_bit() -> None:
    data = fitted(EVERYTHING).data
    read = TransformData.from_json(data.to_json())
    assert read == data
    first, second = (transform_frame(Transform(each), SCHEMA, FRAME) for each in (data, read))
    assert first.tobytes() == second.tobytes()


def test_training_and_serving_give_the_same_bits() -> None:
    data = fitted(EVERYTHING).data
    transform = Transform(data)
    reader = RecordReader([Field(**field) for field in data.fields], data.identifier)
    records = strangers()[["customer_id", *NUMBERS, *TEXTS]].to_dict("records")
    served = reader.from_json([json.dumps(record) for record in records])
    found = transform.apply(served.numbers, transform.encode(served.categories))
    assert found.tobytes() == transform_frame(transform, SCHEMA, strangers()).tobytes()


TRANSFORM = Transform(fitted(EVERYTHING).data)


@given(
    st.lists(
        st.tuples(
            st.one_of(st.just(np.nan), st.integers(0, 1200).map(float)),
            st.one_of(st.just(np.nan), st.floats(width=32, allow_infinity=False)),
            st.one_of(st.just(np.nan), st.floats(-50, 50, width=32)),
            st.sampled_from(["month", "year", "never seen", None]),
            st.sampled_from(["a", "b", "z", None]),
            st.sampled_from(["no", "yes", "maybe"]),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_a_row_alone_equals_the_row_in_a_batch(rows: list[tuple[Any, ...]]) -> None:
    frame = pd.DataFrame(rows, columns=[*NUMBERS, *TEXTS])
    frame = frame.astype({**dict.fromkeys(NUMBERS, float), **dict.fromkeys(TEXTS, object)})
    together = transform_frame(TRANSFORM, SCHEMA, frame)
    alone = [transform_frame(TRANSFORM, SCHEMA, frame.iloc[[row]]) for row in range(len(rows))]
    assert together.tobytes() == np.concatenate(alone).tobytes()
    assert np.isfinite(together).all()


def test_a_table_holds_what_would_be_served() -> None:
    found = table_of(strangers(), SCHEMA)
    np.testing.assert_array_equal(found.numbers, float32(FRAME[NUMBERS]))
    assert found.categories[1][0] is None
    assert len(table_of(FRAME.drop(columns="customer_id"), SCHEMA)) == len(FRAME)


def test_nullable_and_object_columns_are_read() -> None:
    frame = FRAME.assign(
        tenure=FRAME["tenure"].astype("Int64"),
        calls=[None if np.isnan(v) else v for v in FRAME["calls"]],
        contract=FRAME["contract"].astype("category"),
        region=FRAME["region"].astype("str"),
    ).astype({"calls": object})
    found, expected = table_of(frame, SCHEMA), table_of(FRAME, SCHEMA)
    np.testing.assert_array_equal(found.numbers, expected.numbers)
    assert found.categories == expected.categories


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"tenure": 1201.0}, "row 0: field 'tenure' is 1201; expected between 0 and 1200; correct"),
        ({"charge": np.inf}, "row 0: field 'charge' is inf; expected a finite number"),
        ({"calls": "many"}, "row 0: column 'calls' is 'many'; expected a number"),
        ({"calls": True}, "row 0: column 'calls' is 'True'; expected a number"),
        ({"paper": 3}, "row 0: column 'paper' is '3'; expected text"),
        (
            dict.fromkeys((*NUMBERS, *TEXTS), np.nan),
            "row 0 holds none of the fields; expected: ten",
        ),
    ],
)
def test_a_table_that_would_be_refused_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(TrimaranError, match=f"^{re.escape(message)}"):
        table_of(FRAME.assign(**changed), SCHEMA)


def test_a_table_without_a_field_is_refused() -> None:
    with pytest.raises(TrimaranError, match=r"no column 'calls'.*did you mean 'call'\?"):
        table_of(FRAME.rename(columns={"calls": "call"}), SCHEMA)


def test_a_transform_of_other_fields_is_refused() -> None:
    other = replace(SCHEMA, fields=SCHEMA.fields[:-1])
    with pytest.raises(TrimaranError, match=r"other fields.*'paper'.*fit it again"):
        transform_frame(TRANSFORM, other, FRAME)
