"""The families that there are, and whose a run is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from trimaran.rollout.runs.families.choices import CHOICES
from trimaran.rollout.runs.families.family import Family, Frozen
from trimaran.rollout.runs.families.photographs import PHOTOGRAPHS
from trimaran.rollout.runs.families.tables import TABLES
from trimaran.rollout.runs.families.texts import TEXTS
from trimaran.rollout.runs.figures import Figures
from trimaran.rollout.runs.readiness import Readiness, measured
from trimaran.system.errors import TrimaranError

__all__ = ["figures_of", "frozen_of", "readiness_of"]

_FAMILIES = (TEXTS, PHOTOGRAPHS, CHOICES, TABLES)
"""A table's run has no file of its own kind, so it is the last that is asked."""


def readiness_of(directory: Path, exported: Path | None) -> Readiness:
    """Measure what is served of a trained run; `exported` is its ONNX file, once there is one."""
    found = _weights(directory)
    if found is None:
        raise TrimaranError(f"{directory} has no weights; bring it back, or train again")
    return measured(_family_of(directory).trial(directory), found, exported)


def figures_of(directory: Path) -> Figures:
    """The figures of a run by its directory. Raises `TrimaranError` where a file is damaged."""
    found = _family_of(directory).figures(directory)
    weights = _weights(directory)
    return replace(found, size=weights.stat().st_size) if weights else found


def frozen_of(directory: Path, run: str) -> Frozen:
    """The trained run in a directory, `run` of the ledger, as one that predicts.

    Raises `TrimaranError` for one of a family that does not.
    """
    family = _family_of(directory)
    if family.frozen is None:
        raise TrimaranError(f"{run} cannot be persisted: {family.instead}; leave --persist out")
    return family.frozen(directory)


def _family_of(directory: Path) -> Family:
    """The family of the run in a directory."""
    return next(family for family in _FAMILIES if family.owns(directory))


def _weights(directory: Path) -> Path | None:
    return next(iter(directory.glob("weights.*")), None)
