"""Whose tokens are accepted, and with which keys: this machine's own, and the issuers'.

Envoy is given keys, and never asks an issuer itself: it would refuse every token once an issuer had
been silent for a while, and a new key as long as the old ones are in its cache. Here the keys are
fetched again and again, and those known stay while an issuer does not answer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trimaran.gateway.jwks import discovered, fetched, read_keys
from trimaran.gateway.keys import SigningKey
from trimaran.gateway.settings import AUDIENCE, ISSUER, Issuer, Settings
from trimaran.system.errors import TrimaranError
from trimaran.system.logging import logger

__all__ = ["Issuers", "Keys"]

_LOOK_S = 0.25
_FILE_S = 1.0
"""How often a file of keys is read again."""
_AGAIN_S = 5.0
"""How long after it did not answer an issuer is asked again."""

_log = logger("gateway")


@dataclass(frozen=True)
class Keys:
    """An issuer, for whom its tokens are, where they have their scopes, and its keys (a JWKS)."""

    issuer: str
    audience: str
    scope_claim: str
    text: str


@dataclass(frozen=True)
class _Known:
    text: str
    due: float
    """When to fetch them again, by the monotonic clock."""
    silent: bool = False


class Issuers:
    """The keys of all issuers. During its block they are read and fetched again."""

    def __init__(self, folder: Path) -> None:
        """`folder` has this machine's own key, or gets it."""
        self._folder = folder
        self._known: Mapping[Issuer, _Known] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="issuers", daemon=True)

    def __enter__(self) -> Issuers:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def texts(self) -> Sequence[str]:
        """What is known of the issuers' keys."""
        return [known.text for known in self._known.values()]

    def accepted(self, settings: Settings) -> Sequence[Keys]:
        """The keys of every issuer. Raises `TrimaranError` where there are none to be had."""
        found: dict[Issuer, _Known] = {}
        with self._lock:
            for number, issuer in enumerate(settings.issuers, start=1):
                known = self._known.get(issuer)
                found[issuer] = known or _first(issuer, f"[[issuers]] {number}")
            self._known = found
        own = SigningKey(self._folder).public()
        return [
            Keys(ISSUER, AUDIENCE, Issuer.scope_claim, own),
            *(_keys(issuer, known.text) for issuer, known in found.items()),
        ]

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_S):
            for issuer, known in list(self._known.items()):
                if time.monotonic() >= known.due and not self._stop.is_set():
                    self._replace(issuer, _again(issuer, known))

    def _replace(self, issuer: Issuer, known: _Known) -> None:
        with self._lock:
            if issuer in self._known:
                self._known = {**self._known, issuer: known}


def _first(issuer: Issuer, where: str) -> _Known:
    if issuer.issuer == ISSUER:
        raise TrimaranError(f"{where}: {ISSUER!r} is this machine's own issuer; name another")
    try:
        return _Known(_text(issuer), _due(issuer))
    except TrimaranError as error:
        raise TrimaranError(f"{where}: {error}") from None


def _again(issuer: Issuer, known: _Known) -> _Known:
    try:
        found = _text(issuer)
    except (TrimaranError, OSError) as error:
        if not known.silent:
            _log.warning(f"{error}; the keys known before stay")
        return _Known(known.text, time.monotonic() + min(_AGAIN_S, issuer.keys_s), silent=True)
    if known.silent:
        _log.info(f"the keys of {issuer.issuer} can be had again")
    return _Known(found, _due(issuer))


def _due(issuer: Issuer) -> float:
    return time.monotonic() + (_FILE_S if isinstance(issuer.jwks, Path) else issuer.keys_s)


def _keys(issuer: Issuer, text: str) -> Keys:
    return Keys(issuer.issuer, issuer.audience, issuer.scope_claim, text)


def _text(issuer: Issuer) -> str:
    if isinstance(issuer.jwks, str):
        return fetched(issuer.jwks, issuer.ca)
    if issuer.jwks is None:
        return fetched(discovered(issuer), issuer.ca)
    return read_keys(issuer.jwks)
