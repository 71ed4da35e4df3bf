"""One prediction as a line of JSON, holding no more of a record than the policy allows.

| key | what |
|---|---|
| `time` | when it was answered, UTC, to the microsecond |
| `model`, `version` | who answered |
| `id` | the record's identifier, from its input or from the record itself; null without one |
| `request_id` | the request's, where the client gave one |
| `row` | the row's place in its request, from 0, where that had several |
| `input_digest` | of the record's text: equal texts have equal digests |
| `input` | the fields that the policy names, where it names any |
| `output` | the answers by name |
| `latency_ms` | what the model took for the row's batch; waiting in Triton's queue not included |

Digests and masked values are keyed (BLAKE2b), so that a list of all telephone numbers does not
undo them for those who have the log and not its key.

Self-contained: this file is copied into the versions of the models that log.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

__all__ = ["Answered", "Keyed", "Policy", "lines"]

_KEY_FILE = "key"
_KEY_BYTES = 32
_DIGEST_BYTES = 16


@dataclass(frozen=True)
class Answered:
    """One request that was answered."""

    time_s: float
    """Since the epoch."""
    latency_s: float
    request_id: str
    ids: Sequence[bytes] | None
    """The rows' identifiers, where they came as an input."""
    texts: Sequence[bytes]
    """The rows' records, as JSON text."""
    outputs: Mapping[str, Sequence[Any]]
    """Each output's values, one for each row."""


@dataclass(frozen=True)
class Policy:
    """What of a record is written: `fields` by name, those in `masked` as a keyed digest."""

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
        self._key = key

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

    def digest(self, data: bytes) -> str:
        """32 hexadecimal digits."""
        return hashlib.blake2b(data, digest_size=_DIGEST_BYTES, key=self._key).hexdigest()

    def masked(self, value: str) -> str:
        """What stands in the log for a value that is masked."""
        return f"masked:{self.digest(value.encode())}"


def lines(
    answered: Answered, model: str, version: str, policy: Policy, keyed: Keyed
) -> Iterator[bytes]:
    """A line for each row of a request, each with its end."""
    time = datetime.fromtimestamp(answered.time_s, UTC).isoformat(timespec="microseconds")
    shared = {"time": time, "model": model, "version": version}
    request = {"request_id": answered.request_id} if answered.request_id else {}
    latency = {"latency_ms": round(answered.latency_s * 1e3, 3)}
    several = len(answered.texts) > 1
    ids: Sequence[bytes | None] = answered.ids or [None] * len(answered.texts)
    for row, text in enumerate(answered.texts):
        record = _once(text)
        line: dict[str, Any] = {
            **shared,
            "id": _identifier(ids[row], text, record, policy, keyed),
            **request,
            **({"row": row} if several else {}),
            "input_digest": keyed.digest(text),
        }
        if policy.fields:
            line["input"] = {
                name: _shown(name, record().get(name), policy, keyed) for name in policy.fields
            }
        line["output"] = {name: values[row] for name, values in answered.outputs.items()}
        yield orjson.dumps({**line, **latency}, option=orjson.OPT_APPEND_NEWLINE)


def _once(text: bytes) -> Callable[[], dict[str, Any]]:
    """The record of a text that was answered, parsed when it is first asked for."""
    parsed: list[dict[str, Any]] = []

    def record() -> dict[str, Any]:
        if not parsed:
            try:
                parsed.append(orjson.loads(text))
            except orjson.JSONDecodeError:  # NaN, which Python writes
                parsed.append(json.loads(text))
        return parsed[0]

    return record


def _identifier(
    given: bytes | None,
    text: bytes,
    record: Callable[[], dict[str, Any]],
    policy: Policy,
    keyed: Keyed,
) -> str | None:
    if policy.identifier is None:
        return None
    if given is not None:
        return _shown(policy.identifier, given.decode(errors="replace"), policy, keyed)
    if policy.identifier.encode() not in text:
        return None
    found = record().get(policy.identifier)
    return None if found is None else _shown(policy.identifier, str(found), policy, keyed)


def _shown(name: str, value: Any, policy: Policy, keyed: Keyed) -> Any:
    if value is None or name not in policy.masked:
        return value
    return keyed.masked(str(value))
