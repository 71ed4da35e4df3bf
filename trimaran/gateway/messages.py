"""Envoy's messages: `any_of` packs one, and `discovery` is a file of them that Envoy watches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.config.core.v3.config_source_pb2 import ApiVersion, ConfigSource, PathConfigSource
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryResponse
from envoy.type.matcher.v3.metadata_pb2 import MetadataMatcher
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from envoy.type.matcher.v3.value_pb2 import ListMatcher, ValueMatcher
from google.protobuf import json_format
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

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
    "seconds",
    "struct",
    "watched",
]

JWT = "envoy.filters.http.jwt_authn"
PAYLOAD = "token"
"""Under which name the claims of a token are kept."""
HEADER = "header"
"""Under which name the header of a token is kept."""


def any_of(message: Message) -> Packed:
    """A message in the field of any type."""
    packed = Packed()
    packed.Pack(message, deterministic=True)
    return packed


def seconds(duration: float) -> Duration:
    """A duration."""
    whole = int(duration)
    return Duration(seconds=whole, nanos=round((duration - whole) * 1e9))


def regex(pattern: str) -> RegexMatcher:
    """A whole text that matches a pattern."""
    return RegexMatcher(regex=pattern)


def header(name: str, value: str) -> HeaderValueOption:
    """A header that is set in place of any other of its name."""
    action = HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    return HeaderValueOption(header=HeaderValue(key=name, value=value), append_action=action)


def struct(values: Mapping[str, Any]) -> Struct:
    """Values as metadata."""
    return json_format.ParseDict(dict(values), Struct())


def claim_is(claim: str, *values: str, part: str = PAYLOAD) -> list[MetadataMatcher]:
    """That a token's claim is one of these texts, as matchers of which one holds."""
    return [_matcher(part, claim, ValueMatcher(string_match=_exact(value))) for value in values]


def claim_holds(claim: str, *values: str) -> list[MetadataMatcher]:
    """That a token's claim, a list, holds one of these texts, as matchers of which one holds."""
    lists = (ListMatcher(one_of=ValueMatcher(string_match=_exact(value))) for value in values)
    return [_matcher(PAYLOAD, claim, ValueMatcher(list_match=each)) for each in lists]


def _exact(text: str) -> StringMatcher:
    return StringMatcher(exact=text)


def _matcher(part: str, claim: str, value: ValueMatcher) -> MetadataMatcher:
    path = [MetadataMatcher.PathSegment(key=key) for key in (part, claim)]
    return MetadataMatcher(filter=JWT, path=path, value=value)


def watched(path: str) -> ConfigSource:
    """A file that Envoy reads again whenever another takes its place."""
    return ConfigSource(
        path_config_source=PathConfigSource(path=path), resource_api_version=ApiVersion.V3
    )


def discovery(resources: Iterable[Message]) -> DiscoveryResponse:
    """The content of such a file, whose version is a digest of what is in it."""
    found = DiscoveryResponse(resources=[any_of(each) for each in resources])
    content = found.SerializeToString(deterministic=True)
    found.version_info = hashlib.sha256(content).hexdigest()[:16]
    return found


def json_text(message: Message) -> str:
    """A message as Envoy and people read it."""
    return json_format.MessageToJson(message, preserving_proto_field_name=True) + "\n"
