"""What is live, decided by pure functions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trimaran.versions import model_config
from trimaran.repository.config import ModelConfig, format_config, parse_config
from trimaran.repository.live import (
    LiveRelease,
    live_release,
    live_versions,
    needed_versions,
    pinned_versions,
    render_candidate,
    render_deployed,
    render_step,
    with_generation,
)

NUMBERS = st.integers(1, 10**6)


def ensemble() -> ModelConfig:
    config = ModelConfig(name="e", platform="ensemble", max_batch_size=8)
    for model in ("decode", "classify"):
        config.ensemble_scheduling.step.add(model_name=model, model_version=-1)
    return config


@pytest.mark.parametrize(
    ("deployed", "number", "history"),
    [
        ([1], 1, ()),
        ([1, 2], 2, (1,)),
        ([1, 2, 2, 2], 2, (1,)),
        ([1, 2, 1], 1, (1, 2)),
        ([5, 3, 9], 9, (5, 3)),
        ([*range(1, 31)], 30, tuple(range(10, 30))),
    ],
)
def test_deploying_remembers_what_was_live(
    deployed: list[int], number: int, history: tuple[int, ...]
) -> None:
    live = LiveRelease(deployed[0])
    for release in deployed[1:]:
        live = live.followed_by(release)
    assert live == LiveRelease(number, history)


@pytest.mark.parametrize(
    ("live", "after"),
    [
        (LiveRelease(1), None),
        (LiveRelease(2, (1,)), LiveRelease(1)),
        (LiveRelease(9, (5, 3)), LiveRelease(3, (5,))),
        (LiveRelease(1, (1, 2)), LiveRelease(2, (1,))),
    ],
)
def test_rolling_back_goes_to_the_release_before(
    live: LiveRelease, after: LiveRelease | None
) -> None:
    assert live.rolled_back() == after


@given(NUMBERS, st.lists(NUMBERS, max_size=60))
def test_rolling_back_undoes_each_deployment(first: int, deployed: list[int]) -> None:
    states = [LiveRelease(first)]
    for number in deployed:
        following = states[-1].followed_by(number)
        if following is not states[-1]:
            states.append(following)
    live: LiveRelease | None = states[-1]
    for earlier in reversed(states[:-1][-20:]):
        assert live is not None
        live = live.rolled_back()
        assert live is not None
        assert live.number == earlier.number
    assert live is not None
    assert len(live.history) <= 20


@given(NUMBERS, st.lists(NUMBERS, max_size=20))
def test_a_live_ensemble_says_release_history_and_pins(number: int, history: list[int]) -> None:
    release = LiveRelease(number, tuple(history))
    steps = {"decode": number, "classify": number + 1}
    live = render_deployed(ensemble(), release, steps)
    live = parse_config(format_config(live), "written and read")
    assert live_release(live) == release
    assert live_versions(live) == (number,)
    assert pinned_versions(live) == steps


def test_rendering_leaves_the_configuration_that_people_wrote_alone() -> None:
    config, wiring = model_config("m"), ensemble()
    before = format_config(config), format_config(wiring)
    render_step(config, [3])
    render_deployed(wiring, LiveRelease(4, (3,)), {"decode": 1, "classify": 2})
    with_generation(config, "1")
    assert (format_config(config), format_config(wiring)) == before


def test_a_step_serves_exactly_the_versions_that_are_asked_for() -> None:
    config = model_config("m")
    config.version_policy.latest.num_versions = 2
    live = render_step(config, [4, 3, 4])
    assert live_versions(live) == (3, 4)
    assert live.version_policy.WhichOneof("policy_choice") == "specific"
    live.ClearField("version_policy")
    config.ClearField("version_policy")
    assert live == config


@pytest.mark.parametrize(
    ("config", "versions", "release"),
    [
        (None, (), None),
        (model_config("m"), (), None),
        (render_step(model_config("m"), [2]), (2,), LiveRelease(2)),
        (render_step(model_config("m"), [2, 1]), (1, 2), None),
    ],
)
def test_what_is_live_without_a_single_release(
    config: ModelConfig | None, versions: tuple[int, ...], release: LiveRelease | None
) -> None:
    assert live_versions(config) == versions
    assert live_release(config) == release


def test_a_candidate_is_a_first_version_under_its_own_name() -> None:
    candidate = render_candidate(ensemble(), {"decode": 4, "classify": 7}, "e_canary")
    assert candidate.name == "e_canary"
    assert live_release(candidate) == LiveRelease(1)
    assert pinned_versions(candidate) == {"decode": 4, "classify": 7}


def test_a_generation_makes_an_equal_configuration_another_one() -> None:
    written = model_config("m")
    first, second = with_generation(written, "1"), with_generation(written, "2")
    assert len({format_config(config) for config in (written, first, second)}) == 3
    assert render_step(first, [3]).version_policy == render_step(written, [3]).version_policy


@pytest.mark.parametrize(
    ("model", "pins", "needed"),
    [
        ("a", [], ()),
        ("a", [{"a": 3}], (3,)),
        ("a", [{"a": 3, "b": 1}, {"a": 2}, {"a": 3}], (2, 3)),
        ("a", [{"b": 1}], ()),
    ],
)
def test_needed_versions_are_those_that_a_release_pins(
    model: str, pins: list[dict[str, int]], needed: tuple[int, ...]
) -> None:
    assert needed_versions(model, pins) == needed
