"""A profile that is ended in its turns says so, and keeps what was measured."""

from __future__ import annotations

import pytest

from loadtests.bench.block import Block, Settings
from loadtests.bench.plan import profile
from loadtests.bench.target import Target
from loadtests.gates import Gates
from tests.loadtests.knowing import known_server, one_request


@pytest.mark.long
@pytest.mark.parametrize("blocks", [2, 6])
def test_a_profile_that_is_interrupted_keeps_what_was_measured(blocks: int) -> None:
    blocks_done: list[Block] = []

    def on_block(block: Block) -> None:
        blocks_done.append(block)
        if len(blocks_done) == blocks:
            raise KeyboardInterrupt

    with known_server(0.01) as (_, port):
        target = Target("known", "http", one_request(port), "an empty object")
        settings = Settings(0.15, 0, 2, Gates(), float("inf"), on_block)
        measured = profile(target, settings)
    assert measured.invalid == "interrupted"
    assert len(blocks_done) == blocks
    kept = [block.run.load for block in measured.blocks]
    assert kept[:2] == ["2 connections", "1 connection"]
    assert len(kept) >= min(blocks, 5)
