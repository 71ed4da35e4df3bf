"""Live configurations, as pure functions: which versions they serve and need.

A live configuration is the one that people write plus a `version_policy`. After a deployment a
parameter in it records the releases before; an ensemble's live configuration also pins its steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trimaran.repository.config import ModelConfig

__all__ = [
    "LiveRelease",
    "is_deployed",
    "live_release",
    "live_versions",
    "needed_versions",
    "pinned_versions",
    "render_candidate",
    "render_deployed",
    "render_step",
    "with_generation",
]

_HISTORY = "trimaran_previous_releases"
_GENERATION = "trimaran_generation"
_REMEMBERED = 20


@dataclass(frozen=True)
class LiveRelease:
    """The live release of an ensemble and the ones before it, the latest last.

    For a model that is not an ensemble, these are version numbers.
    """

    number: int
    history: tuple[int, ...] = ()

    def followed_by(self, number: int) -> LiveRelease:
        """The state after `number` is deployed; deploying the live release changes nothing."""
        if number == self.number:
            return self
        return LiveRelease(number, (*self.history, self.number)[-_REMEMBERED:])

    def rolled_back(self) -> LiveRelease | None:
        """The state after a rollback, or `None` if nothing was live before."""
        if not self.history:
            return None
        return LiveRelease(self.history[-1], self.history[:-1])


def live_versions(config: ModelConfig | None) -> tuple[int, ...]:
    """The versions that a live configuration names, sorted; none without a policy."""
    if config is None:
        return ()
    return tuple(sorted(config.version_policy.specific.versions))


def live_release(config: ModelConfig | None) -> LiveRelease | None:
    """The live release of a configuration, if it serves a single version."""
    versions = live_versions(config)
    if config is None or len(versions) != 1:
        return None
    history = config.parameters[_HISTORY].string_value if _HISTORY in config.parameters else ""
    return LiveRelease(versions[0], tuple(int(item) for item in history.split(",") if item))


def is_deployed(config: ModelConfig | None) -> bool:
    """Whether a deployment wrote a live configuration; starting with the newest does not count."""
    return config is not None and _HISTORY in config.parameters


def pinned_versions(config: ModelConfig) -> dict[str, int]:
    """The step versions that an ensemble's live configuration pins, by model."""
    return {step.model_name: step.model_version for step in config.ensemble_scheduling.step}


def render_step(config: ModelConfig, versions: Iterable[int]) -> ModelConfig:
    """`config` serving exactly `versions`."""
    live = _copy(config)
    live.version_policy.Clear()
    live.version_policy.specific.versions.extend(sorted(set(versions)))
    return live


def render_deployed(
    config: ModelConfig, release: LiveRelease, pins: Mapping[str, int] | None = None
) -> ModelConfig:
    """`config` serving `release`; an ensemble's with its steps pinned to `pins`."""
    live = render_step(config, [release.number])
    for step in live.ensemble_scheduling.step:
        step.model_version = (pins or {})[step.model_name]
    live.parameters[_HISTORY].string_value = ",".join(map(str, release.history))
    return live


def render_candidate(config: ModelConfig, pins: Mapping[str, int], name: str) -> ModelConfig:
    """An ensemble's `config` under another name and as version 1, its steps pinned to `pins`."""
    candidate = render_deployed(config, LiveRelease(1), pins)
    candidate.name = name
    return candidate


def with_generation(config: ModelConfig, generation: str) -> ModelConfig:
    """`config` with a meaningless parameter changed, so that Triton reloads an unchanged model."""
    fresh = _copy(config)
    fresh.parameters[_GENERATION].string_value = generation
    return fresh


def needed_versions(model: str, pins_by_release: Iterable[Mapping[str, int]]) -> tuple[int, ...]:
    """The versions of `model` that any of the releases pins, sorted."""
    return tuple(sorted({pins[model] for pins in pins_by_release if model in pins}))


def _copy(config: ModelConfig) -> ModelConfig:
    copy = ModelConfig()
    copy.CopyFrom(config)
    return copy
