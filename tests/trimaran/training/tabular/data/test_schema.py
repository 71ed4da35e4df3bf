"""A schema is checked when it is read, and accepts what the serving side accepts."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimaran.served.records import Field, RecordReader
from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.data.inference import schema_text
from trimaran.training.tabular.data.schema import (
    FLOAT32_MAX,
    FieldSchema,
    Schema,
    parse_schema,
    read_schema,
)
from trimaran.training.tabular.data.validation import validate
from trimaran.training.tabular.tasks.binary import Binary
from trimaran.training.tabular.wording import nearest

HEAD = 'target = "churn"\npositive = "yes"\n'
MINUTES = '[fields.minutes]\ntype = "number"\nleast = 0\nmost = 1440\n'
STATE = '[fields.state]\ntype = "category"\nvalues = ["KS", "OH"]\n'


def test_a_schema_with_every_key() -> None:
    schema = parse_schema(
        f'{HEAD}identifier = "customer"\nleaks = ["churn_date"]\nignored = ["comment"]\n'
        f'time = "called"\ngap_days = 7\n{MINUTES}whole = true\n{STATE}'
        '[fields.joined]\ntype = "date"\nleast = 2015-01-01\nmost = "2026-01-01T12:00"\n'
        'as_of = "seen"\n[fields.seen]\ntype = "date"\n',
        "small",
    )
    assert schema == Schema(
        "small",
        "churn",
        Binary("yes"),
        (
            FieldSchema("minutes", "number", 0, 1440, whole=True),
            FieldSchema("state", "category", values=("KS", "OH")),
            FieldSchema("joined", "date", 16436.0, 20454.5, as_of="seen"),
            FieldSchema("seen", "date"),
        ),
        "customer",
        ("churn_date",),
        ("comment",),
        "called",
        7,
    )
    assert schema.columns == ["customer", "minutes", "state", "joined", "seen", "called", "churn"]
    assert schema.date_columns == ["joined", "seen", "called"]
    assert [schema.as_of(field) for field in schema.dates] == ["seen", None]
    assert parse_schema(schema_text(schema), "small") == schema
    assert [field.name for field in schema.numbers] == ["minutes"]
    assert [field.name for field in schema.categories] == ["state"]
    assert schema.records_fields() == [
        Field("minutes", "number", 0.0, 1440.0),
        Field("state", "category"),
        Field("joined", "date", 16436.0, 20454.5),
        Field("seen", "date"),
    ]


def test_everything_but_target_positive_and_fields_may_be_left_out() -> None:
    schema = parse_schema(f'{HEAD}[fields.a]\ntype = "number"\n', "small")
    assert (schema.identifier, schema.leaks, schema.ignored) == (None, (), ())
    assert schema.fields == (FieldSchema("a", "number"),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("target = churn", "not TOML: Invalid value (at line 1"),
        (f"{HEAD}{MINUTES}{MINUTES}", "not TOML: "),
        (HEAD, "fields is missing; expected a table of fields"),
        (f"{HEAD}[fields]\n", "there are no fields"),
        (f'positive = "yes"\n{MINUTES}', "target is missing; expected a column's name"),
        (f'target = "churn"\n{MINUTES}', "positive is missing; expected a value of the target"),
        (f'target = "churn"\npositive = 1\n{MINUTES}', "positive is 1; expected a value"),
        (f'target = ""\npositive = "yes"\n{MINUTES}', "target must not be empty"),
        (f'{HEAD}identifer = "id"\n{MINUTES}', "'identifer'; did you mean 'identifier'?"),
        (
            f'{HEAD}time = "minutes"\n{MINUTES}',
            "time is 'minutes', which is described as something",
        ),
        (f'{HEAD}time = "churn"\n{MINUTES}', "time is 'churn', which is described as something"),
        (f"{HEAD}gap_days = 7\n{MINUTES}", "gap_days is 7, and there is no time to which it"),
        (f'{HEAD}time = "on"\ngap_days = -1\n{MINUTES}', "gap_days is -1; expected a number of"),
        (f'{HEAD}time = "on"\ngap_days = inf\n{MINUTES}', "gap_days is inf; expected a number"),
        (f'{HEAD}time = "on"\ngap_days = "7"\n{MINUTES}', "gap_days is '7'; expected a number"),
        (f'{HEAD}[fields.d]\ntype = "date"\nleast = "soon"', "least is 'soon'; expected a date"),
        (f'{HEAD}[fields.d]\ntype = "date"\nas_of = "d"', "as_of = 'd', which is no other date"),
        (f'{HEAD}leaks = "date"\n{MINUTES}', "leaks is 'date'; expected a list of texts"),
        (f"{HEAD}leaks = [1]\n{MINUTES}", "leaks holds 1; expected text in quotes"),
        (f'{HEAD}ignored = "note"\n{MINUTES}', "ignored is 'note'; expected a list of texts"),
        (f"{HEAD}ignored = [1]\n{MINUTES}", "ignored holds 1; expected text in quotes"),
        (f'{HEAD}ignore = ["note"]\n{MINUTES}', "'ignore'; did you mean 'ignored'?"),
        (f"{HEAD}fields = 3\n", "fields is 3; expected a table of fields"),
        (f'{HEAD}[fields]\nage = "number"\n', "the field 'age': expected a table with a type"),
        (f"{HEAD}[fields.age]\nleast = 1\n", "the field 'age': type is missing"),
        (f'{HEAD}[fields.age]\ntype = "numbr"\n', "no type 'numbr'; did you mean 'number'?"),
        (f"{HEAD}{MINUTES}maximum = 5\n", "for the type number, there is no key 'maximum'"),
        (f"{HEAD}{MINUTES}values = []\n", "for the type number, there is no key 'values'"),
        (f"{HEAD}{STATE}least = 0\n", "for the type category, there is no key 'least'"),
        (f'{HEAD}[fields.a]\ntype = "number"\nleast = "0"\n', "least is '0'; expected a number"),
        (f'{HEAD}[fields.a]\ntype = "number"\nmost = true\n', "most is True; expected a number"),
        (f"{HEAD}{MINUTES}whole = 1\n", "whole is 1; expected true or false"),
        (
            f'{HEAD}[fields.a]\ntype = "number"\nleast = 2\nmost = 1\n',
            "the field 'a' has least = 2, which is more than most = 1; swap the two",
        ),
        (f'{HEAD}[fields.a]\ntype = "number"\nmost = nan\n', "most = nan, which FP32 cannot hold"),
        (f'{HEAD}[fields.a]\ntype = "number"\nleast = -inf\n', "least = -inf, which FP32 cannot"),
        (f'{HEAD}[fields.a]\ntype = "number"\nmost = 1e39\n', "most = 1e+39, which FP32 cannot"),
        (
            f'{HEAD}[fields.a]\ntype = "number"\nmost = 1{"0" * 400}\n',
            f"has most = 1{'0' * 39}…, which FP32 cannot hold; leave most out",
        ),
        (f'{HEAD}[fields.a]\ntype = "number"\nmost = 1{"0" * 5000}\n', "not TOML: Exceeds"),
        (f'{HEAD}[fields.a]\ntype = "category"\nvalues = []\n', "'a' allows no value; leave"),
        (f'{HEAD}[fields.a]\ntype = "category"\nvalues = ["x", "x"]\n', "the value 'x' twice"),
        (f'{HEAD}[fields.a]\ntype = "category"\nvalues = [""]\n', "empty text among its values"),
        (f'{HEAD}[fields.a]\ntype = "category"\nvalues = [1]\n', "values holds 1; expected text"),
        (f'{HEAD}[fields.""]\ntype = "number"\n', "a field has an empty name"),
        (f'{HEAD}[fields.churn]\ntype = "category"\n', "'churn' is among the fields; remove it"),
        (f'{HEAD}identifier = "minutes"\n{MINUTES}', "the identifier 'minutes' is also a field"),
        (f'{HEAD}identifier = "churn"\n{MINUTES}', "the identifier 'churn' is also a field, the"),
        (f'{HEAD}leaks = ["churn"]\n{MINUTES}', "the target or the identifier is among the leaks"),
        (
            f'{HEAD}leaks = ["minutes"]\n{MINUTES}',
            "the field 'minutes' is among the leaks, which are known only after the outcome",
        ),
        (f'{HEAD}ignored = ["churn"]\n{MINUTES}', "the identifier is among the ignored; remove it"),
        (
            f'{HEAD}identifier = "id"\nignored = ["id"]\n{MINUTES}',
            "the target or the identifier is among the ignored; remove it from them",
        ),
        (
            f'{HEAD}ignored = ["minutes"]\n{MINUTES}',
            "the field 'minutes' is among the ignored; remove it from the fields, or from the",
        ),
        (
            f'{HEAD}leaks = ["note"]\nignored = ["note"]\n{MINUTES}',
            "the column 'note' is among the leaks and among the ignored; remove it from one",
        ),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str) -> None:
    with pytest.raises(TrimaranError) as refused:
        parse_schema(text, "small")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"kind": "texts"}, "the type 'texts'; it must be one of number, category"),
        ({"kind": "category", "most": 0}, "is a category, which has no least, most or whole"),
        ({"kind": "category", "whole": True}, "is a category, which has no least"),
        ({"kind": "number", "values": ("a",)}, "is a number, which has no values"),
    ],
)
def test_a_contradiction_made_in_code_is_refused(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(TrimaranError, match=said):
        FieldSchema("a", **arguments)  # type: ignore[arg-type]


def test_the_same_field_twice_is_refused() -> None:
    field = FieldSchema("a", "number")
    with pytest.raises(TrimaranError, match="the field 'a' appears twice"):
        Schema("small", "churn", Binary("yes"), (field, field))


def test_an_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    with pytest.raises(TrimaranError, match=r"mine\.toml cannot be read: No such file"):
        read_schema(path)
    path.write_bytes(b'target = "\xff"')
    with pytest.raises(TrimaranError, match=r"mine\.toml cannot be read: it is not UTF-8"):
        read_schema(path)
    path.write_text(HEAD)
    with pytest.raises(TrimaranError, match=r"mine\.toml: fields is missing"):
        read_schema(path)
    path.write_text(HEAD + MINUTES)
    assert read_schema(path).name == "mine"


def test_many_names_are_not_all_listed() -> None:
    assert nearest("zzz", [f"f{i}" for i in range(100)]).endswith("f10, f11, …")


@pytest.mark.parametrize("name", ["mlc_churn", "wa_churn"])
def test_the_packaged_schemas_are_readable(name: str) -> None:
    schema = read_schema(
        Path(str(files("trimaran.training.tabular.data"))) / "schemas" / f"{name}.toml"
    )
    assert (schema.name, schema.target, schema.identifier) == (name, "churn", "customer_id")
    assert all(field.least is not None and field.most is not None for field in schema.numbers)


finite = st.floats(-FLOAT32_MAX, FLOAT32_MAX)


@given(st.tuples(finite, finite, finite).map(sorted))
def test_a_number_that_is_valid_is_also_served(ordered: list[float]) -> None:
    least, value, most = ordered
    schema = Schema("s", "t", Binary("y"), (FieldSchema("a", "number", least, most),))
    frame = pd.DataFrame({"a": [value] * 40, "t": ["y", "n"] * 20})
    assert [found for found in validate(frame, schema) if found.severity == "error"] == []
    table = RecordReader(schema.records_fields()).from_records([{"a": value}])
    assert table.numbers[0, 0] == np.float32(value)
