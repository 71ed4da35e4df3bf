"""Which tokens may take a route, as Envoy's rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from envoy_data_plane.envoy.config.rbac.v3 import (
    Permission,
    Policy,
    Principal,
    PrincipalSet,
    Rbac,
    RbacAction,
    SourcedMetadata,
)
from envoy_data_plane.envoy.config.route.v3 import Route
from envoy_data_plane.envoy.extensions.filters.http.jwt_authn.v3 import PerRouteConfig
from envoy_data_plane.envoy.extensions.filters.http.rbac.v3 import Rbac as RbacFilter
from envoy_data_plane.envoy.extensions.filters.http.rbac.v3 import RbacPerRoute
from envoy_data_plane.envoy.type.matcher.v3 import MetadataMatcher, StringMatcher

from trimaran.gateway.clients import Client
from trimaran.gateway.messages import HEADER, any_of, claim_holds, claim_is
from trimaran.gateway.settings import ALGORITHMS, Issuer, Settings

__all__ = ["SCOPES", "SCOPES_OF_CALLS", "TOKENS", "guard"]

TOKENS = "envoy.filters.http.jwt_authn"
"""The filter that verifies tokens."""
SCOPES = "trimaran.scopes"
"""The filter that asks for scopes before a message is read."""
SCOPES_OF_CALLS = "trimaran.scopes_of_calls"
"""And the one that does so once the message of a gRPC call named its model."""


def guard(
    route: Route,
    settings: Settings | None,
    scope: str,
    *,
    after_reading: bool = False,
    kept_closed: bool = False,
) -> None:
    """Say who may take a route; without a scope, everybody.

    With `after_reading` the scope is asked for once a message was read. A route that is
    `kept_closed` lets a message be read, and nothing pass.
    """
    config = route.typed_per_filter_config
    if settings is None or not scope:
        config[TOKENS] = any_of(PerRouteConfig(disabled=True))
        config[SCOPES] = any_of(RbacPerRoute())
        config[SCOPES_OF_CALLS] = any_of(RbacPerRoute())
        return
    allowed = RbacPerRoute(rbac=RbacFilter(rules=_rules(settings, scope)))
    where, other = (SCOPES_OF_CALLS, SCOPES) if after_reading else (SCOPES, SCOPES_OF_CALLS)
    config[where] = any_of(allowed)
    if not kept_closed:
        config[other] = any_of(RbacPerRoute())


def _rules(settings: Settings, scope: str) -> Rbac:
    """Tokens that have the scope, and clients that `gateway.toml` gives it."""
    wide = scope.startswith("infer:")
    names = (scope, "infer:*") if wide else (scope,)
    any_model = scope == "infer"
    granted = [
        client
        for client in settings.clients
        if set(names) & set(client.scopes)
        or (any_model and any(each.startswith("infer:") for each in client.scopes))
    ]
    either = [
        *_holding(settings, names, any_model=any_model),
        *(_is(client) for client in granted),
    ]
    signed = _any_of(_each(claim_is("alg", *ALGORITHMS, part=HEADER)))
    policy = Policy(
        permissions=[Permission(any=True)], principals=[_all_of([signed, _any_of(either)])]
    )
    return Rbac(action=RbacAction.ALLOW, policies={scope: policy})


def _is(client: Client) -> Principal:
    """Tokens of a client that `gateway.toml` lists."""
    own = _each(claim_is("sub", client.subject))
    return _all_of([*own, *(_each(claim_is("iss", client.issuer)) if client.issuer else ())])


def _holding(settings: Settings, names: Sequence[str], *, any_model: bool) -> Iterator[Principal]:
    """Tokens that have one of the scopes, where those of their issuer have them."""
    elsewhere = settings.scope_claims()
    others = _each(claim_is("iss", *(each for group in elsewhere.values() for each in group)))
    usual = _any_of(_each(_scopes(Issuer.scope_claim, names, any_model=any_model)))
    yield _all_of([usual, Principal(not_id=_any_of(others))]) if others else usual
    for claim, issuers in elsewhere.items():
        scopes = _scopes(claim, names, any_model=any_model)
        yield _all_of([_any_of(_each(claim_is("iss", *issuers))), _any_of(_each(scopes))])


def _scopes(claim: str, names: Sequence[str], *, any_model: bool) -> list[MetadataMatcher]:
    if any_model:
        return claim_holds(claim, StringMatcher(prefix="infer:"))
    return claim_holds(claim, *(StringMatcher(exact=name) for name in names))


def _each(matchers: Iterable[MetadataMatcher]) -> list[Principal]:
    return [
        Principal(sourced_metadata=SourcedMetadata(metadata_matcher=matcher))
        for matcher in matchers
    ]


def _any_of(ids: list[Principal]) -> Principal:
    return Principal(or_ids=PrincipalSet(ids=ids))


def _all_of(ids: list[Principal]) -> Principal:
    return Principal(and_ids=PrincipalSet(ids=ids))
