"""How a model's predictions are logged and judged, by what stands in its repository."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from trimaran.checks.raising import checked_config
from trimaran.repository.live import live_release
from trimaran.repository.repository import Repository
from trimaran.served.distribution import Reference
from trimaran.served.judging import Judge, read_judge
from trimaran.system.errors import TrimaranError

__all__ = ["identifier_of", "judge_of", "judged_models", "log_of", "reference_of"]

_PREDICTIONS_OF, _ANSWERS_OF, _IDENTIFIER = "predictions_of", "answers_of", "identifier"
_TRANSFORM, _REFERENCE = "transform.json", "reference.json"


def log_of(repository: Repository, model: str) -> Path:
    """The folder of a model's predictions, which need not be there."""
    return repository.state / "predictions" / model


def judge_of(repository: Repository, model: str) -> Judge | None:
    """How outcomes of a model's predictions are judged; None where no model takes them."""
    for name, parameters in _with_parameter(repository, _PREDICTIONS_OF):
        if model in parameters[_PREDICTIONS_OF].split(","):
            return read_judge(parameters, _live_directory(repository, name))
    return None


def judged_models(repository: Repository) -> list[str]:
    """The models of whose predictions a model takes outcomes."""
    found = _with_parameter(repository, _PREDICTIONS_OF)
    return [each for _, given in found for each in given[_PREDICTIONS_OF].split(",")]


def identifier_of(repository: Repository, model: str) -> str:
    """The name of what identifies a record in a model's log; empty where nothing does."""
    for _, parameters in _with_parameter(repository, _ANSWERS_OF):
        if parameters[_ANSWERS_OF] == model:
            return parameters.get(_IDENTIFIER, "")
    try:
        text = (_live_directory(repository, model) / _TRANSFORM).read_text(encoding="utf-8")
        return str(json.loads(text).get(_IDENTIFIER) or "")
    except (OSError, ValueError):
        return ""


def reference_of(repository: Repository, model: str) -> Reference:
    """The bins of a model's inputs and answers; none where its live version has none."""
    try:
        return Reference.read(_live_directory(repository, model) / _REFERENCE)
    except (OSError, ValueError, KeyError, TypeError):
        return Reference(())


def _with_parameter(
    repository: Repository, parameter: str
) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The models whose configuration has a parameter, with all of theirs."""
    for name in repository.names():
        if repository.has_config(name):
            given = checked_config(repository, name).parameters
            if parameter in given:
                yield name, {key: each.string_value for key, each in given.items()}


def _live_directory(repository: Repository, name: str) -> Path:
    """The directory of a model's live version, or of its newest."""
    live, newest = live_release(repository.live(name)), repository.newest(name)
    if live is None and newest is None:
        raise TrimaranError(f"{name} has no version; publish it again")
    number = live.number if live else newest.number if newest else 0
    return repository.model(name) / str(number)
