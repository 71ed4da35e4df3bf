"""The winner in the user's repository: under the model's plain name, or as an ensemble's step."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from trimaran.checks.backends import backend_of
from trimaran.checks.raising import checked_config, standing_configs
from trimaran.publishing.publish import Publication, publish
from trimaran.publishing.releases import check_wiring, step_models
from trimaran.repository.config import ModelConfig, is_ensemble, write_config
from trimaran.repository.manifest import MANIFEST_NAME
from trimaran.repository.repository import Repository
from trimaran.system.errors import ConfigError, TrimaranError, UsageError

__all__ = [
    "Names",
    "find_step",
    "place_in_ensemble",
    "publish_winner",
    "require_plain_name",
    "rewired",
]


@dataclass(frozen=True)
class Names:
    """A model's tensors, in one order, under the names that a format's backend requires."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def require_plain_name(repository: Repository, name: str) -> None:
    """Raise `UsageError` where `name` is an ensemble, so that no version can be published there."""
    if repository.has_config(name) and is_ensemble(checked_config(repository, name)):
        raise UsageError(
            f"{name} is an ensemble in {repository.root}; put the winner into it with --into "
            f"{name}, or give the model another name with --name"
        )


def find_step(repository: Repository, ensemble: str, family: Sequence[str]) -> str:
    """The step's model that is one of `family`. Raises `UsageError` where there is not one."""
    config = checked_config(repository, ensemble)
    if not is_ensemble(config):
        raise UsageError(f"--into {ensemble}: it is not an ensemble")
    models = step_models(config)
    mine = [model for model in models if model in family]
    if len(mine) != 1:
        raise UsageError(
            f"--into {ensemble}: one step must be a format of this model, such as {family[0]}, and "
            f"{len(mine) or 'none'} of its steps is: {', '.join(models)}"
        )
    return mine[0]


def publish_winner(
    work: Repository,
    model: str,
    repository: Repository,
    name: str,
    chosen_for: str,
    beat: Sequence[Mapping[str, Any]],
) -> Publication:
    """Publish the newest version of `model` of `work` as `name`'s next, with what it beat.

    Raises `ConfigError` where the configuration of `name` is for another backend or interface.
    """
    version = work.newest(model)
    if version is None or version.manifest is None:
        raise TrimaranError(f"{work.root}: {model} has no complete version; remove {work.root}")
    damage = version.manifest.damage(version.path, hashes=True)
    if damage:
        raise TrimaranError(f"{version.path}: {damage}; remove {work.root}, and start again")
    config = work.config(model)
    config.name = name
    _require_same_format(repository, name, config, version.manifest.format)
    manifest = replace(
        version.manifest,
        source={**version.manifest.source, "chosen_for": chosen_for},
        beat=[dict(other) for other in beat],
    )
    with repository.staging() as scratch:
        staged = scratch / "version"
        shutil.copytree(version.path, staged, ignore=shutil.ignore_patterns(MANIFEST_NAME))
        return publish(repository, config, staged, manifest)


def _require_same_format(
    repository: Repository, name: str, config: ModelConfig, format: str
) -> None:
    """A model has one configuration for all its versions, so they have one format."""
    if not repository.has_config(name):
        return
    newest = repository.newest(name)
    before = newest.manifest.format if newest and newest.manifest else ""
    other = before and before != format
    if other or backend_of(checked_config(repository, name)) != backend_of(config):
        raise ConfigError(
            f"{repository.config_path(name)} is for {before or 'another backend'}, and the winner "
            f"is {format}; remove that model, or publish under another name with --name"
        )


def place_in_ensemble(
    repository: Repository,
    ensemble: str,
    before: str,
    model: str,
    names: Sequence[Names],
    to: Names,
) -> bool:
    """Make `model` the ensemble's step in place of `before`; whether that changed anything.

    `names` are those of every format, `to` those of `model`. Raises `ConfigError` where the steps
    do not fit then; nothing is written in that case.
    """
    config = checked_config(repository, ensemble)
    changed = rewired(config, before, model, names, to)
    if changed == config:
        return False
    check_wiring(changed, standing_configs(repository, step_models(changed)))
    write_config(repository.config_path(ensemble), changed)
    return True


def rewired(
    ensemble: ModelConfig, before: str, model: str, names: Sequence[Names], to: Names
) -> ModelConfig:
    """A copy of the ensemble in which `model` is the step, under its own tensors' names."""
    changed = ModelConfig()
    changed.CopyFrom(ensemble)
    for step in changed.ensemble_scheduling.step:
        if step.model_name == before:
            step.model_name = model
            step.model_version = -1
            _rename(step.input_map, [each.inputs for each in names], to.inputs, before)
            _rename(step.output_map, [each.outputs for each in names], to.outputs, before)
    return changed


def _rename(wires: Any, names: Sequence[tuple[str, ...]], to: tuple[str, ...], model: str) -> None:
    renamed = {old: new for each in names for old, new in zip(each, to, strict=True)}
    before = dict(wires)
    unknown = sorted(before.keys() - renamed.keys())
    if unknown:
        raise ConfigError(f"the step {model} has a tensor {unknown[0]!r}, which this model lacks")
    wires.clear()
    for tensor, wire in before.items():
        wires[renamed[tensor]] = wire
