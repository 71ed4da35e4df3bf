"""What a user reads where a gateway refuses who asks."""

from __future__ import annotations

import pytest

from trimaran.serving.denial import denial
from trimaran.system.endpoint import Endpoint

_ANYONE = Endpoint.at("https://here:8443")
_SOMEONE = Endpoint("here:8443", "here:8443", "https", {"authorization": "Bearer a.b.c"})


@pytest.mark.parametrize(
    ("endpoint", "status", "said"),
    [
        (_ANYONE, "401", "https://here:8443 asks for a token (401: Jwt is missing); give one in"),
        (_SOMEONE, "401", "https://here:8443 refuses the token (401: Jwt is missing); give anoth"),
        (_ANYONE, "403", "does not allow this without a token (403: Jwt is missing); use a token"),
        (_SOMEONE, "StatusCode.PERMISSION_DENIED", "with this token (PERMISSION_DENIED: Jwt is"),
        (_ANYONE, "StatusCode.UNAUTHENTICATED", "asks for a token (UNAUTHENTICATED: Jwt is miss"),
    ],
)
def test_a_denial_says_which_it_is_and_what_to_do(
    endpoint: Endpoint, status: str, said: str
) -> None:
    words = "UNAUTHENTICATED:Jwt is missing" if "UNAUTH" in status else "Jwt  is\nmissing"
    assert said in str(denial(endpoint, status, words))


@pytest.mark.parametrize(
    ("status", "words"),
    [("400", "shape"), ("StatusCode.UNAVAILABLE", ""), ("403", "This API is restricted")],
)
def test_tritons_own_refusals_are_none(status: str, words: str) -> None:
    assert denial(_SOMEONE, status, words) is None
