"""The versions that serve a run, once its deployment prepared them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trimaran.checks.raising import checked_config
from trimaran.publishing.releases import read_release
from trimaran.repository.config import is_ensemble
from trimaran.repository.manifest import Manifest
from trimaran.repository.repository import Repository
from trimaran.rollout.runs.run import Run

__all__ = ["Served", "onnx_of", "served_by"]

_NETWORK = "onnx"


@dataclass(frozen=True)
class Served:
    """A version of a model."""

    model: str
    number: int
    path: Path
    manifest: Manifest


def served_by(repository: Repository, run: Run) -> Iterator[Served]:
    """The models that a run's deployment makes live, and the steps of its ensembles.

    Raises `TrimaranError` where a release is damaged.
    """
    for model, number in run.parts.items():
        found = {model: number}
        if is_ensemble(checked_config(repository, model)):
            found = {**found, **read_release(repository, model, number).pins}
        for name, version in found.items():
            published = repository.version(name, version)
            if published.manifest is not None:
                yield Served(name, version, published.path, published.manifest)


def onnx_of(repository: Repository, run: Run) -> Path | None:
    """The file of the network that serves a run; None before it is exported."""
    for served in served_by(repository, run):
        path = served.path / "model.onnx"
        if served.manifest.format == _NETWORK and path.is_file():
            return path
    return None
