"""What is asked of the generators, without running one."""

from __future__ import annotations

import pytest

from loadtests import closed_loop
from trimaran.errors import TrimaranError


def test_a_missing_generator_is_named_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(TrimaranError, match="'apt-get install wrk nghttp2-client'"):
        closed_loop.require_generators()
    with pytest.raises(TrimaranError, match="are not installed"):
        closed_loop.http_ceiling("http://127.0.0.1:1", ["{}"], connections=1, seconds=1)
