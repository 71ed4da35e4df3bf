"""Whose line of a log it is, and what takes its place.

| before | after |
|---|---|
| `{"time":"…","id":"masked:5d…","output":{…}}` | `{"erased":true}`, and spaces to the same length |

The length stays, so all other lines stay where they are: a process that has the file open goes on
writing behind them, and a reader's place in the file stays right.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

__all__ = ["Judged", "Keys", "audit_keys", "erased", "judge", "prediction_keys", "stored_forms"]

Keys = Callable[[Mapping[str, Any]], Iterator[object]]
"""The values of a line by which a person may be found."""

_ERASED = b'{"erased":true}'
_MASKED = re.compile(r"masked:.*|[0-9a-f]{16}")


@dataclass(frozen=True)
class Judged:
    """Whose a line is."""

    id: str | None = None
    """The one of the sought ids that it is of."""
    damaged: bool = False
    """It is no JSON object, and names none of them."""
    hidden: bool = False
    """Its identifier is masked, and the key is not there."""


_OTHER, _DAMAGED, _HIDDEN = Judged(), Judged(damaged=True), Judged(hidden=True)


def stored_forms(ids: Sequence[str], mask: Callable[[str], str] | None) -> dict[str, str]:
    """Each text that a log may have in place of an id, and that id."""
    forms = {each: each for each in ids}
    return {**forms, **{mask(each): each for each in ids}} if mask else forms


def prediction_keys(line: Mapping[str, Any]) -> Iterator[object]:
    """Of a prediction: the record's identifier, the request's id, and `request/row`."""
    yield line.get("id")
    request = line.get("request_id")
    yield request
    if request and "row" in line:
        yield f"{request}/{line['row']}"


def audit_keys(line: Mapping[str, Any]) -> Iterator[object]:
    """Of a request that the gateway let through or refused: its id, and who sent it."""
    yield line.get("request_id")
    yield line.get("subject")


def judge(line: bytes, forms: Mapping[str, str], keys: Keys, *, has_key: bool) -> Judged:
    """Whose a line is. `has_key`: whether `forms` has the masked ones too.

    A damaged line that has one of the forms as a whole JSON text is taken for that person's.
    """
    found = _object(line)
    if found is None:
        named = (each for form, each in forms.items() if orjson.dumps(form) in line)
        theirs = next(named, None)
        return Judged(theirs) if theirs is not None else _DAMAGED
    hidden = False
    for value in keys(found):
        if isinstance(value, str):
            if value in forms:
                return Judged(forms[value])
            hidden |= bool(_MASKED.fullmatch(value))
    return _HIDDEN if hidden and not has_key else _OTHER


def erased(line: bytes) -> bytes:
    """What takes the place of a line, and is as long."""
    end = b"\n" if line.endswith(b"\n") else b""
    room = len(line) - len(end)
    return (_ERASED if len(_ERASED) <= room else b"").ljust(room) + end


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:  # a number of more than 64 bits, or half of a surrogate pair
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            return None
    return found if isinstance(found, dict) else None
