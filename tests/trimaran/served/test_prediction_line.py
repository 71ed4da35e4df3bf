"""What a line of the prediction log holds, and what it hides."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trimaran.served.prediction_line import Answered, Keyed, Policy, lines

FIELDS = ["plan", "minutes"]
KEYED = Keyed(b"k" * 32)
ONE = Answered(
    time_s=1_700_000_000.25,
    latency_s=0.0012,
    request_id="",
    ids=[b"c-1"],
    texts=[b'{"plan": "yes", "minutes": 12.5}'],
    outputs={"p": [0.25], "decided": [False]},
)


def written(answered: Answered, policy: Policy) -> list[dict[str, Any]]:
    found = list(lines(answered, "m", "3", policy, KEYED))
    assert all(line.count(b"\n") == 1 and line.endswith(b"\n") for line in found)
    return [json.loads(line) for line in found]


def test_a_line_says_who_answered_what_to_whom() -> None:
    (line,) = written(ONE, Policy("customer"))
    digest = line.pop("input_digest")
    assert len(digest) == 32
    assert line == {
        "time": "2023-11-14T22:13:20.250000+00:00",
        "model": "m",
        "version": "3",
        "id": "c-1",
        "output": {"p": 0.25, "decided": False},
        "latency_ms": 1.2,
    }


def test_rows_of_a_request_are_distinguished() -> None:
    both = replace(
        ONE,
        request_id="r",
        ids=None,
        texts=[ONE.texts[0], b'{"plan": "no", "customer": "c-2"}'],
        outputs={"p": [0.25, 0.75], "decided": [False, True]},
    )
    first, second = written(both, Policy("customer"))
    assert (first["request_id"], first["row"], second["row"]) == ("r", 0, 1)
    assert (first["id"], second["id"]) == (None, "c-2")
    assert second["output"] == {"p": 0.75, "decided": True}
    assert first["input_digest"] != second["input_digest"]


def test_equal_records_have_equal_digests_and_keys_change_them() -> None:
    same = [line["input_digest"] for _ in range(2) for line in written(ONE, Policy(None))]
    assert same[0] == same[1]
    assert Keyed(b"l" * 32).digest(ONE.texts[0]) != same[0]


@pytest.mark.parametrize(
    ("parameters", "shown"),
    [
        ({}, None),
        ({"log_fields": "none"}, None),
        ({"log_fields": "all"}, {"plan": "yes", "minutes": 12.5}),
        ({"log_fields": "minutes"}, {"minutes": 12.5}),
        (
            {"log_fields": "plan, minutes", "log_masked": "plan"},
            {"plan": KEYED.masked("yes"), "minutes": 12.5},
        ),
    ],
)
def test_the_policy_decides_which_fields_are_written(
    parameters: dict[str, str], shown: dict[str, Any] | None
) -> None:
    (line,) = written(ONE, Policy.of(parameters, FIELDS, "customer"))
    assert line.get("input") == shown


def test_the_identifier_is_masked_unless_the_policy_says_otherwise() -> None:
    (hidden,) = written(ONE, Policy.of({}, FIELDS, "customer"))
    assert hidden["id"] == KEYED.masked("c-1")
    assert "c-1" not in json.dumps(hidden)
    (plain,) = written(ONE, Policy.of({"log_masked": "none"}, FIELDS, "customer"))
    assert plain["id"] == "c-1"
    inside = replace(ONE, ids=None, texts=[b'{"plan": "yes", "customer": 17}'])
    (found,) = written(inside, Policy.of({}, FIELDS, "customer"))
    assert found["id"] == KEYED.masked("17")


def test_records_without_an_identifier_have_no_id() -> None:
    (line,) = written(replace(ONE, ids=None), Policy.of({}, FIELDS, None))
    assert line["id"] is None


def test_a_record_that_only_python_reads_as_json_is_logged() -> None:
    nan = replace(ONE, texts=[b'{"plan": "yes", "minutes": NaN}'])
    (line,) = written(nan, Policy.of({"log_fields": "all"}, FIELDS, None))
    assert line["input"] == {"plan": "yes", "minutes": None}


@pytest.mark.parametrize("masked", ["none", "plan,customer"])
def test_what_only_python_can_write_as_json_is_logged(masked: str) -> None:
    strange = b'{"plan": "\\ud800", "minutes": 1%s, "customer": "\\udfff"}' % (b"0" * 30)
    policy = Policy.of({"log_fields": "all", "log_masked": masked}, FIELDS, "customer")
    (line,) = written(replace(ONE, ids=None, texts=[strange]), policy)
    assert line["input"]["minutes"] == 10**30
    assert bool(line["id"].startswith("masked:")) == (masked != "none")


def test_an_escaped_key_is_the_same_key() -> None:
    escaped = replace(ONE, ids=None, texts=[rb'{"\u0063ustomer": "c-1", "plan": "yes"}'])
    (line,) = written(escaped, Policy("customer"))
    assert line["id"] == "c-1"


@pytest.fixture
def pythons_own_recursion_limit() -> Iterator[None]:
    """That of a new process; libraries that compile raise it."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("pythons_own_recursion_limit")
def test_a_row_that_cannot_be_written_is_empty_and_the_others_are_written() -> None:
    deep = b'{"plan": "yes", "customer": ' + b"[" * 1005 + b"]" * 1005 + b"}"
    rows = replace(
        ONE,
        ids=None,
        texts=[ONE.texts[0], deep, ONE.texts[0]],
        outputs={"p": [0.1, 0.2, 0.3], "decided": [False] * 3},
    )
    first, second, third = lines(rows, "m", "3", Policy("customer"), KEYED)
    assert second == b""
    assert [json.loads(line)["row"] for line in (first, third)] == [0, 2]


@pytest.mark.parametrize("parameter", ["log_fields", "log_masked"])
def test_a_name_that_is_no_field_is_refused(parameter: str) -> None:
    with pytest.raises(ValueError, match=f"{parameter}.*'minuts', which is no field"):
        Policy.of({parameter: "plan,minuts"}, FIELDS, "customer")


def test_processes_that_begin_at_once_share_a_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keyed = list(pool.map(lambda _: Keyed.of(tmp_path), range(8)))
    assert len({each.masked("c-1") for each in keyed}) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
