"""Which tokens may take a route, as Envoy's rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from envoy.config.rbac.v3.rbac_pb2 import RBAC, Permission, Policy, Principal, SourcedMetadata
from envoy.type.matcher.v3.metadata_pb2 import MetadataMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from trimaran.gateway.messages import HEADER, claim_holds, claim_is
from trimaran.gateway.settings import ALGORITHMS, Issuer, Settings

__all__ = ["rules_of"]


def rules_of(settings: Settings, scope: str) -> RBAC:
    """Tokens that have the scope, and clients that `gateway.toml` gives it."""
    wide = scope.startswith("infer:")
    names = (scope, "infer:*") if wide else (scope,)
    any_model = scope == "infer"
    granted = [
        client.subject
        for client in settings.clients
        if set(names) & set(client.scopes)
        or (any_model and any(each.startswith("infer:") for each in client.scopes))
    ]
    either = [
        *_holding(settings, names, any_model=scope == "infer"),
        *_each(claim_is("sub", *granted)),
    ]
    signed = _any_of(_each(claim_is("alg", *ALGORITHMS, part=HEADER)))
    policy = Policy(
        permissions=[Permission(any=True)], principals=[_all_of([signed, _any_of(either)])]
    )
    return RBAC(action=RBAC.ALLOW, policies={scope: policy})


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
    if not any_model:
        return claim_holds(claim, *names)
    found = claim_holds(claim, "infer:")
    for each in found:
        each.value.list_match.one_of.string_match.CopyFrom(StringMatcher(prefix="infer:"))
    return found


def _each(matchers: Iterable[MetadataMatcher]) -> list[Principal]:
    return [
        Principal(sourced_metadata=SourcedMetadata(metadata_matcher=matcher))
        for matcher in matchers
    ]


def _any_of(ids: Sequence[Principal]) -> Principal:
    return Principal(or_ids=Principal.Set(ids=ids))


def _all_of(ids: Sequence[Principal]) -> Principal:
    return Principal(and_ids=Principal.Set(ids=ids))
