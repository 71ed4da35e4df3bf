"""Whose line of a log it is, and what takes its place."""

from __future__ import annotations

import json

import pytest

from trimaran.privacy.lines import Keys, audit_keys, erased, judge, prediction_keys, stored_forms
from trimaran.served.prediction_line import Keyed

KEYED = Keyed(b"k" * 32)
FORMS = stored_forms(["c-1", 'zoë "q"'], KEYED.masked)


def whose(line: object, keys: Keys = prediction_keys) -> str | None:
    text = line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n"
    return judge(text, FORMS, keys, has_key=True).id


@pytest.mark.parametrize(
    ("line", "owner"),
    [
        ({"id": "c-1"}, "c-1"),
        ({"id": KEYED.masked("c-1")}, "c-1"),
        ({"id": 'zoë "q"'}, 'zoë "q"'),
        ({"id": None, "request_id": "c-1", "row": 3}, "c-1"),
        ({"id": "c-10"}, None),
        ({"id": "C-1", "request_id": "c-1/0"}, None),
        ({"id": None, "input": {"friend": "c-1"}, "output": {"label": "c-1"}}, None),
        ({"erased": True}, None),
        (b'{"id":"c-1","output":{\n', "c-1"),
        (b'{"id":"c-10","output":{\n', None),
        (b'{"id":"c-1","n":NaN,"s":"\\ud800"}\n', "c-1"),
    ],
)
def test_a_line_is_of_whom_its_identifier_or_its_request_names(
    line: object, owner: str | None
) -> None:
    assert whose(line) == owner


def test_a_row_of_a_request_is_found_by_both_names() -> None:
    line = json.dumps({"id": None, "request_id": "r", "row": 1}).encode()
    for sought, theirs in (("r", True), ("r/1", True), ("r/0", False), ("1", False)):
        found = judge(line, stored_forms([sought], None), prediction_keys, has_key=False)
        assert (found.id == sought) is theirs, sought


def test_a_request_at_the_gateway_is_of_its_subject_in_any_form() -> None:
    for subject in ("c-1", KEYED.masked("c-1")):
        assert whose({"request_id": "r", "subject": subject}, audit_keys) == "c-1"
    assert whose({"request_id": "c-1", "subject": "service"}, audit_keys) == "c-1"
    assert whose({"request_id": "r", "subject": "service", "id": "c-1"}, audit_keys) is None


def test_what_cannot_be_told_is_said() -> None:
    forms = stored_forms(["c-1"], None)
    masked = json.dumps({"id": KEYED.masked("c-1")}).encode()
    assert judge(masked, forms, prediction_keys, has_key=False).hidden
    subject = b'{"request_id":"r","subject":"0123456789abcdef"}'
    assert judge(subject, forms, audit_keys, has_key=False).hidden
    assert not judge(
        masked, stored_forms(["c-2"], KEYED.masked), prediction_keys, has_key=True
    ).hidden
    for text in (b"\n", b"[1]\n", b'{"id":"c-2"', b"\xff\n", b"[" * 100_000):
        assert judge(text, forms, prediction_keys, has_key=False).damaged


@pytest.mark.parametrize("text", ['{"id":"c-1","output":{"p":0.5}}\n', '{"id":"c-1"}\n', '"c-1"'])
def test_what_takes_a_lines_place_is_as_long_and_says_nothing_of_it(text: str) -> None:
    line = text.encode()
    after = erased(line)
    assert len(after) == len(line)
    assert after.endswith(b"\n") == line.endswith(b"\n")
    assert after.strip() in (b'{"erased":true}', b"")
