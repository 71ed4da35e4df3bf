"""Envoy's messages: `any_of` packs one, and `discovery` is a file of them that Envoy watches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import cache
from typing import Any

from betterproto2 import Enum, Message, MessagePool
from envoy_data_plane.envoy.config.core.v3 import (
    ApiVersion,
    ConfigSource,
    HeaderValue,
    HeaderValueOption,
    HeaderValueOptionHeaderAppendAction,
    PathConfigSource,
)
from envoy_data_plane.envoy.service.discovery.v3 import DiscoveryResponse
from envoy_data_plane.envoy.type.matcher.v3 import (
    ListMatcher,
    MetadataMatcher,
    MetadataMatcherPathSegment,
    RegexMatcher,
    StringMatcher,
    ValueMatcher,
)
from envoy_data_plane.google.protobuf import Any as Packed
from envoy_data_plane.google.protobuf import Duration, Struct
from envoy_data_plane.message_pool import default_message_pool

__all__ = [
    "HEADER",
    "JWT",
    "PAYLOAD",
    "any_of",
    "claim_holds",
    "claim_is",
    "discovery",
    "header",
    "json_text",
    "regex",
    "struct",
    "watched",
]

JWT = "envoy.filters.http.jwt_authn"
PAYLOAD = "token"
"""Under which name the claims of a token are kept."""
HEADER = "header"
"""Under which name the header of a token is kept."""


class _Packed(Packed):
    """A message that is packed as it is: it is only ever written as JSON."""

    def __init__(self, message: Message) -> None:
        super().__init__(type_url=default_message_pool.type_to_url[type(message)])
        self._message = message

    def unpack(self, message_pool: MessagePool | None = None) -> Message:
        return self._message


def any_of(message: Message) -> Packed:
    """A message in the field of any type."""
    return _Packed(message)


def regex(pattern: str) -> RegexMatcher:
    """A whole text that matches a pattern."""
    return RegexMatcher(regex=pattern)


def header(name: str, value: str) -> HeaderValueOption:
    """A header that is set in place of any other of its name."""
    action = HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD
    return HeaderValueOption(header=HeaderValue(key=name, value=value), append_action=action)


def struct(values: Mapping[str, Any]) -> Struct:
    """Values as metadata."""
    return Struct.from_dict(dict(values))


def claim_is(claim: str, *values: str, part: str = PAYLOAD) -> list[MetadataMatcher]:
    """That a token's claim is one of these texts, as matchers of which one holds."""
    return [
        _matcher(part, claim, ValueMatcher(string_match=StringMatcher(exact=value)))
        for value in values
    ]


def claim_holds(claim: str, *values: StringMatcher) -> list[MetadataMatcher]:
    """That a token's claim, a list, holds one of these texts, as matchers of which one holds."""
    lists = (ListMatcher(one_of=ValueMatcher(string_match=value)) for value in values)
    return [_matcher(PAYLOAD, claim, ValueMatcher(list_match=each)) for each in lists]


def _matcher(part: str, claim: str, value: ValueMatcher) -> MetadataMatcher:
    path = [MetadataMatcherPathSegment(key=key) for key in (part, claim)]
    return MetadataMatcher(filter=JWT, path=path, value=value)


def watched(path: str) -> ConfigSource:
    """A file that Envoy reads again whenever another takes its place."""
    return ConfigSource(
        path_config_source=PathConfigSource(path=path), resource_api_version=ApiVersion.V3
    )


def discovery(resources: Iterable[Message]) -> DiscoveryResponse:
    """The content of such a file, whose version is a digest of what is in it."""
    found = DiscoveryResponse(resources=[any_of(each) for each in resources])
    content = json.dumps(_json(found)).encode()
    found.version_info = hashlib.sha256(content).hexdigest()[:16]
    return found


def json_text(message: Message) -> str:
    """A message as Envoy and people read it."""
    return json.dumps(_json(message), indent=2) + "\n"


def _json(value: Any) -> Any:
    """A value in protobuf's JSON, with the names that fields have in Envoy's documentation.

    `Message.to_dict` has other names (`consecutive_5_xx`), and takes milliseconds for a message,
    since it validates each again.
    """
    if isinstance(value, Packed):
        return {"@type": value.type_url, **_json(value.unpack())}
    if isinstance(value, Struct):
        return value.to_dict()
    if isinstance(value, Message):
        unset = _unset(type(value))
        return {name: _json(found) for name, found in vars(value).items() if found != unset[name]}
    if isinstance(value, timedelta):
        return Duration.from_wrapped(value).to_dict()
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, list):
        return [_json(each) for each in value]
    if isinstance(value, dict):
        return {key: _json(each) for key, each in value.items()}
    return value


@cache
def _unset(kind: type[Message]) -> Mapping[str, Any]:
    """What each field of a message is where it is not set."""
    return vars(kind())
