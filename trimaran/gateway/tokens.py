"""How Envoy verifies tokens.

It is a file of its own to Envoy, so that new keys count at once, for open connections too.
"""

from __future__ import annotations

from collections.abc import Sequence

from envoy_data_plane.envoy.config.core.v3 import DataSource
from envoy_data_plane.envoy.config.route.v3 import RouteMatch
from envoy_data_plane.envoy.extensions.filters.http.jwt_authn.v3 import (
    JwtAuthentication,
    JwtCacheConfig,
    JwtClaimToHeader,
    JwtHeader,
    JwtProvider,
    JwtProviderNormalizePayload,
    JwtRequirement,
    JwtRequirementOrList,
    RequirementRule,
)

from trimaran.gateway.issuers import Keys
from trimaran.gateway.messages import HEADER, PAYLOAD
from trimaran.gateway.route import ISSUED_BY, SUBJECT
from trimaran.gateway.settings import ANYBODY

__all__ = ["tokens_of"]

_CACHED_TOKENS = 1000
_SKEW_S = 30
"""How far the clocks of issuers may differ from this one."""


def tokens_of(keys: Sequence[Keys]) -> JwtAuthentication:
    """How tokens are verified: signature, issuer, audience and time."""
    providers = {f"issuer {number}": _provider(each) for number, each in enumerate(keys, 1)}
    requirements = [JwtRequirement(provider_name=name) for name in providers]
    required = (
        JwtRequirement(requires_any=JwtRequirementOrList(requirements=requirements))
        if len(requirements) > 1
        else requirements[0]
    )
    return JwtAuthentication(
        providers=providers,
        rules=[RequirementRule(match=RouteMatch(prefix="/"), requires=required)],
    )


def _provider(keys: Keys) -> JwtProvider:
    return JwtProvider(
        issuer=keys.issuer,
        audiences=[] if keys.audience == ANYBODY else [keys.audience],
        require_expiration=True,
        clock_skew_seconds=_SKEW_S,
        payload_in_metadata=PAYLOAD,
        header_in_metadata=HEADER,
        normalize_payload_in_metadata=JwtProviderNormalizePayload(
            space_delimited_claims=[keys.scope_claim]
        ),
        from_headers=[JwtHeader(name="authorization", value_prefix="Bearer ")],
        claim_to_headers=[
            JwtClaimToHeader(header_name=SUBJECT, claim_name="sub"),
            JwtClaimToHeader(header_name=ISSUED_BY, claim_name="iss"),
        ],
        clear_route_cache=True,
        jwt_cache_config=JwtCacheConfig(jwt_cache_size=_CACHED_TOKENS),
        local_jwks=DataSource(inline_string=keys.text),
    )
