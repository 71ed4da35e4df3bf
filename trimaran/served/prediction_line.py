"""One prediction as a line of JSON, with only the parts of a record that the policy allows.

| key | what |
|---|---|
| `time` | when it was answered, UTC, to the microsecond |
| `model`, `version` | which one answered |
| `id` | the record's identifier, from its input or from the record itself; null without one |
| `request_id` | the request's, where the client gave one |
| `row` | the row's place in its request, from 0, where that had several |
| `input_digest` | of the record's text: equal texts have equal digests |
| `input` | the fields that the policy names, where it names any |
| `output` | the answers by name |
| `latency_ms` | the model's time for the row's batch, without the wait in Triton's queue |

The last step of an ensemble sees neither the record nor the time of the steps before it, so its
lines have no `input_digest`, `input` and `latency_ms`.

Digests and masked values are keyed (BLAKE2b), so that nobody can undo them by trying
all telephone numbers without the key.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import repeat
from pathlib import Path
from typing import Any

import orjson

__all__ = ["TRIAL", "Answered", "Keyed", "Policy", "lines"]

TRIAL = "trimaran-golden-request"
"""The id of requests that try a release before it goes live: what they answer is not logged."""

_KEY_FILE = "key"
_KEY_BYTES = 32
_DIGEST_BYTES = 16


@dataclass(frozen=True)
class Answered:
    """One request that was answered."""

    time_s: float
    """Since the epoch."""
    request_id: str
    ids: Sequence[bytes] | None
    """The rows' identifiers, where they came as an input."""
    outputs: Mapping[str, Sequence[Any]]
    """Each output's values, one for each row."""
    texts: Sequence[bytes] | None = None
    """The rows' records, as JSON text, where the model sees them."""
    latency_s: float | None = None
    """The whole time for the rows, where the model knows it."""

    @property
    def rows(self) -> int:
        """How many rows the request had."""
        return len(next(iter(self.outputs.values())) if self.texts is None else self.texts)


@dataclass(frozen=True)
class Policy:
    """Which fields of a record are written; those in `masked` as a keyed digest."""

    identifier: str | None
    fields: Sequence[str] = ()
    masked: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls, parameters: Mapping[str, str], names: Sequence[str], identifier: str | None
    ) -> Policy:
        """From a model's parameters `log_fields` and `log_masked`, for records with fields `names`.

        `log_fields` is `none`, the default, `all` or names with commas between them; `log_masked`
        is `none` or names, by default the identifier's. Raises `ValueError` for a name that is no
        field.
        """
        known = [*names, *([identifier] if identifier and identifier not in names else [])]
        named = parameters.get("log_fields", "none")
        fields = list(names) if named == "all" else _names("log_fields", named, known)
        masked = _names("log_masked", parameters.get("log_masked", identifier or "none"), known)
        return cls(identifier, [name for name in fields if name != identifier], frozenset(masked))


def _names(parameter: str, text: str, known: Sequence[str]) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    names = [name for name in names if name and name != "none"]
    for name in names:
        if name not in known:
            raise ValueError(
                f"the parameter {parameter} in config.pbtxt names {name!r}, which is no field; "
                f"fields: {', '.join(known)}"
            )
    return names


class Keyed:
    """Digests with a key."""

    def __init__(self, key: bytes) -> None:
        self._empty = hashlib.blake2b(digest_size=_DIGEST_BYTES, key=key)

    @classmethod
    def of(cls, directory: Path) -> Keyed:
        """With the key of a directory, which is made where it is missing."""
        path = directory / _KEY_FILE
        if not path.exists():
            # Complete before it has its name: two processes may begin at once.
            made = directory / f"{_KEY_FILE}.{os.getpid()}.{secrets.token_hex(4)}"
            try:
                made.touch(mode=0o600)
                made.write_bytes(secrets.token_bytes(_KEY_BYTES))
                with suppress(FileExistsError):
                    os.link(made, path)
            finally:
                made.unlink(missing_ok=True)
        return cls(path.read_bytes())

    @classmethod
    def at(cls, directory: Path) -> Keyed | None:
        """With the key that a directory has, or None. Raises `ValueError` for half a key."""
        path = directory / _KEY_FILE
        if not path.exists():
            return None
        key = path.read_bytes()
        if len(key) != _KEY_BYTES:
            raise ValueError(f"{path} has {len(key)} bytes")
        return cls(key)

    def digest(self, data: bytes) -> str:
        """32 hexadecimal digits."""
        found = self._empty.copy()
        found.update(data)
        return found.hexdigest()

    def masked(self, value: str) -> str:
        """The text in the log for a masked value."""
        return f"masked:{self.digest(value.encode(errors='replace'))}"


def lines(
    answered: Answered, model: str, version: str, policy: Policy, keyed: Keyed
) -> Iterator[bytes]:
    """A line for each row of a request, each with its end; empty for one that cannot be written.

    Lines are joined from pieces: a dictionary for each row would cost several times as much, and
    the thread that writes must leave the interpreter to the one that answers.
    """
    time = datetime.fromtimestamp(answered.time_s, UTC).isoformat(timespec="microseconds")
    head = orjson.dumps({"time": time, "model": model, "version": version})[:-1] + b',"id":'
    request = b',"request_id":' + orjson.dumps(answered.request_id) if answered.request_id else b""
    rows = answered.rows
    names = [b'"%b":' % name.encode() for name in answered.outputs]
    columns = [map(orjson.dumps, values) for values in answered.outputs.values()]
    tail = b"}}\n"
    if answered.latency_s is not None:
        tail = b'},"latency_ms":%b}\n' % orjson.dumps(round(answered.latency_s * 1e3, 3))
    ids: Iterable[bytes | None] = answered.ids or repeat(None, rows)
    texts: Iterable[bytes | None] = answered.texts or repeat(None, rows)
    each = zip(ids, texts, zip(*columns, strict=True), strict=True)
    for row, (name, text, values) in enumerate(each):
        try:
            record = {}
            if text is not None and (policy.fields or _is_inside(name, text, policy)):
                record = _parsed(text)
            line = b"".join(
                (
                    head,
                    _identifier(name, record, policy, keyed),
                    request,
                    b',"row":%d' % row if rows > 1 else b"",
                    b"" if text is None else b',"input_digest":"%b"' % keyed.digest(text).encode(),
                    b',"input":' + _fields(record, policy, keyed) if policy.fields else b"",
                    b',"output":{',
                    b",".join(map(bytes.__add__, names, values)),
                    tail,
                )
            )
        except Exception:  # a record is answered that nothing can write, such as a deep identifier
            line = b""
        yield line


def _parsed(text: bytes) -> dict[str, Any]:
    """The record of a text that was answered."""
    try:
        found: dict[str, Any] = orjson.loads(text)
    except orjson.JSONDecodeError:  # NaN, which Python writes
        found = json.loads(text)
    return found


def _is_inside(given: bytes | None, text: bytes, policy: Policy) -> bool:
    """Whether the identifier can only be in the record; a backslash may spell its name."""
    if given is not None or policy.identifier is None:
        return False
    return policy.identifier.encode() in text or b"\\" in text


def _fields(record: Mapping[str, Any], policy: Policy, keyed: Keyed) -> bytes:
    """The fields that the policy names, those that it masks hidden."""
    shown = {}
    for name in policy.fields:
        value = record.get(name)
        hidden = value is not None and name in policy.masked
        shown[name] = keyed.masked(str(value)) if hidden else value
    return _json(shown)


def _identifier(
    given: bytes | None, record: Mapping[str, Any], policy: Policy, keyed: Keyed
) -> bytes:
    """The identifier as JSON."""
    if policy.identifier is None:
        return b"null"
    found = record.get(policy.identifier) if given is None else given.decode(errors="replace")
    if found is None:
        return b"null"
    name = str(found)
    masked = policy.identifier in policy.masked
    return b'"%b"' % keyed.masked(name).encode() if masked else _json(name)


def _json(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # a number of more than 64 bits, or half of a surrogate pair
        return json.dumps(value).encode()
