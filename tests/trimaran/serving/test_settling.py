"""Which models a server must load again so that it serves what is live on disk."""

from __future__ import annotations

from trimaran.repository.config import ModelConfig, parse_config
from trimaran.serving.settling import unsettled


def live(name: str, *versions: int, more: str = "") -> ModelConfig:
    listed = ", ".join(map(str, versions))
    policy = f"version_policy {{ specific {{ versions: [ {listed} ] }} }}" if versions else ""
    return parse_config(f'name: "{name}" {policy} {more}', "here")


ENSEMBLE = live("a", 2, more='platform: "ensemble" ensemble_scheduling { }')
LIVE = {"a": ENSEMBLE, "step": live("step", 1, 2), "any": live("any")}


def test_what_differs_is_loaded_steps_first() -> None:
    assert unsettled(LIVE, {"a": [1], "step": [1], "any": [7]}) == ["step", "a"]


def test_what_agrees_or_is_not_served_is_left_alone() -> None:
    assert unsettled(LIVE, {"a": [2], "step": [2, 1]}) == []
    assert unsettled(LIVE, {"loaded_by_hand": [3]}) == []
