"""Where a repository keeps a job's files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from proofs.jobs.job import PHOTOGRAPH, RECORD, JobFiles
from trimaran.publishing.releases import read_release
from trimaran.repository.repository import Repository
from trimaran.system.errors import TrimaranError

__all__ = ["photograph_files", "record_files"]

_PARTS = {
    "preprocess": "trimaran/served/decoding.py",
    "classifier": "model.onnx",
    "labels": "trimaran/served/ranking.py",
}
"""The file that identifies each part of an image ensemble."""


def photograph_files(
    repository: Repository, ensemble: str = "image_classifier", number: int | None = None
) -> JobFiles:
    """The step versions of an image ensemble's release, by default the newest.

    Raises `TrimaranError` where there is no release, or no ONNX file in it.
    """
    newest = repository.newest(ensemble)
    if newest is None:
        raise TrimaranError(
            f"{repository.root}: {ensemble} has no release; make one with "
            f"'trimaran release {ensemble}'"
        )
    release = read_release(repository, ensemble, number or newest.number)
    steps = {model: repository.version(model, pin).path for model, pin in release.pins.items()}
    parts = {part: _step_with(file, steps, ensemble) for part, file in _PARTS.items()}
    top = release.config(parts["labels"]).output[0].dims[0]
    return JobFiles(PHOTOGRAPH, {part: str(steps[step]) for part, step in parts.items()}, top)


def record_files(
    repository: Repository, model: str = "churn_record", number: int | None = None
) -> JobFiles:
    """A version of a model that scores records, by default the newest.

    Raises `TrimaranError` where there is none, or it lacks the transform or the ONNX file.
    """
    version = repository.newest(model) if number is None else repository.version(model, number)
    if version is None:
        raise TrimaranError(
            f"{repository.root} has no version of {model}; publish one with "
            "'trimaran publish runs/churn/latest'"
        )
    sources = ("trimaran/served/records.py", "trimaran/served/transform.py")
    for file in (*sources, "transform.json", "model.onnx"):
        if not (version.path / file).is_file():
            raise TrimaranError(f"{version.path} holds no {file}; name a model that scores records")
    return JobFiles(RECORD, {"record": str(version.path)})


def _step_with(file: str, steps: Mapping[str, Path], ensemble: str) -> str:
    for model, directory in steps.items():
        if (directory / file).is_file():
            return model
    raise TrimaranError(f"{ensemble}: no step's version holds {file}; it has {', '.join(steps)}")
