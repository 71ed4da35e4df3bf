"""Releases: a release is an ensemble version that records its exact step versions and configs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from trimaran.checks.finding import Severity
from trimaran.checks.raising import checked_config, standing_configs
from trimaran.checks.steps import check_nesting, check_wired
from trimaran.publishing.publish import Publication, publish
from trimaran.repository.config import ModelConfig, format_config, is_ensemble, parse_config
from trimaran.repository.manifest import describe_version
from trimaran.repository.repository import Repository
from trimaran.system.errors import ConfigError, TrimaranError, UsageError
from trimaran.system.files import write_text

__all__ = [
    "Pin",
    "Release",
    "check_wiring",
    "make_release",
    "read_release",
    "step_models",
    "verify_release",
]

_RELEASE_NAME = "release.json"


@dataclass(frozen=True)
class Pin:
    """A step's model version and the digest of its content."""

    version: int
    content: str


@dataclass(frozen=True)
class Release:
    """The content of `release.json`: pinned steps, and the configuration texts of all models."""

    ensemble: str
    steps: Mapping[str, Pin]
    configs: Mapping[str, str]

    @property
    def pins(self) -> dict[str, int]:
        """The version of each step's model."""
        return {model: pin.version for model, pin in self.steps.items()}

    def config(self, model: str) -> ModelConfig:
        """The configuration of the ensemble or of a step as it was when the release was made."""
        if model not in self.configs:
            raise TrimaranError(
                f"a release of {self.ensemble} holds no configuration of {model}; it was changed "
                "after it was made: make another with 'trimaran release'"
            )
        return parse_config(self.configs[model], f"{self.ensemble} release, config of {model}")


def make_release(
    repository: Repository, ensemble: str, wanted: Mapping[str, int] | None = None
) -> Publication:
    """Make the next release from the newest step versions, or from those in `wanted`.

    The same steps and configurations as the newest release make no new one. Raises
    `TrimaranError` where a step has no complete version or the wiring does not fit.
    """
    config = checked_config(repository, ensemble)
    if not is_ensemble(config):
        raise UsageError(
            f"{ensemble} is not an ensemble, and needs no release: make its versions live with "
            f"'trimaran deploy {ensemble}'"
        )
    models = step_models(config)
    unknown = sorted((wanted or {}).keys() - set(models))
    if unknown:
        raise UsageError(f"{ensemble} has no step {unknown[0]!r}; it has {', '.join(models)}")
    configs = standing_configs(repository, models)
    check_wiring(config, configs)
    steps = {name: _pin(repository, ensemble, name, (wanted or {}).get(name)) for name in models}
    texts = {name: format_config(item) for name, item in {**configs, ensemble: config}.items()}
    return _publish(repository, config, Release(ensemble, steps, texts))


def _pin(repository: Repository, ensemble: str, model: str, wanted: int | None) -> Pin:
    version = repository.newest(model) if wanted is None else repository.version(model, wanted)
    if version is None or version.manifest is None:
        raise TrimaranError(
            f"{model} has no complete version to release; publish one with 'trimaran export' or "
            "'trimaran publish'"
        )
    owner = version.manifest.ensemble
    if owner not in (None, ensemble):
        raise TrimaranError(
            f"{model} version {version.number} was made for the ensemble {owner}; choose a version "
            f"made for {ensemble} with --step {model}=VERSION, publish one, or give {ensemble} a "
            "step of its own in its config.pbtxt"
        )
    damage = version.manifest.damage(version.path, hashes=True)
    if damage:
        raise TrimaranError(f"{model} version {version.number} cannot be released: {damage}")
    return Pin(version.number, version.manifest.content)


def _publish(repository: Repository, config: ModelConfig, release: Release) -> Publication:
    with repository.staging() as scratch:
        staged = scratch / "version"
        text = json.dumps(asdict(release), indent=2, sort_keys=True)
        write_text(staged / _RELEASE_NAME, text + "\n")
        manifest = describe_version(staged, "ensemble", repository.root)
        return publish(repository, config, staged, manifest)


def read_release(repository: Repository, ensemble: str, number: int) -> Release:
    """The recorded release. Raises `TrimaranError` if it is missing or damaged."""
    path: Path = repository.version(ensemble, number).path / _RELEASE_NAME
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        steps = {model: Pin(**pin) for model, pin in record["steps"].items()}
        return Release(record["ensemble"], steps, record["configs"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise TrimaranError(f"{path}: is not a release: {error}") from error


def verify_release(repository: Repository, release: Release) -> None:
    """Refuse a release whose step versions are missing or differ from the released ones."""
    for model, pin in release.steps.items():
        version = repository.version(model, pin.version)
        manifest = version.manifest
        if manifest is None or manifest.content != pin.content:
            raise TrimaranError(
                f"{model} version {pin.version} is not the one that the release was made from"
            )
        damage = manifest.damage(version.path, hashes=True)
        if damage:
            raise TrimaranError(f"{model} version {pin.version} cannot be served: {damage}")


def step_models(ensemble: ModelConfig) -> list[str]:
    """The models that an ensemble's steps name, each once, in order."""
    return list(dict.fromkeys(step.model_name for step in ensemble.ensemble_scheduling.step))


def check_wiring(ensemble: ModelConfig, models: Mapping[str, ModelConfig]) -> None:
    """Refuse an ensemble that Triton would refuse, or that would fail on its first request.

    `models` has the configuration of every step's model, by name. Raises `ConfigError` naming
    the step, the tensor, and both sides.
    """
    findings = [
        # Triton serves nested ensembles, but a release cannot pin them.
        *check_nesting(ensemble, models),
        *(f for f in check_wired(ensemble, models) if f.severity is Severity.ERROR),
    ]
    for finding in findings:
        raise ConfigError(f"ensemble {ensemble.name}: {finding.sentence}")
