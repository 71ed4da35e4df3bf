"""The configuration that decides a training, and the run's name that follows from it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from trimaran.training.tabular.data.groups import Cuts
from trimaran.training.tabular.features.plan import FeaturePlan
from trimaran.training.tabular.learning.hyperparameters import Hyperparameters
from trimaran.training.tabular.learning.learn import Problem

__all__ = ["Config", "Recipe", "digest_of_frame", "library_versions"]

_OF_SMOTE = ("imbalanced-learn",)
_LIBRARIES = ("lightgbm", "numpy", "pandas", "scikit-learn", "torch")


@dataclass(frozen=True)
class Recipe:
    """How a family's models are trained on one kind of table."""

    family: str
    plan: FeaturePlan
    hyper: Hyperparameters
    cuts: Cuts
    """Number fields by which segments of rows are made."""
    goal: float | None = None
    """The task's main metric on the test part that a model of this table should reach."""
    caveat: str | None = None
    """A warning about the scores, because of how the recipe was chosen."""


@dataclass(frozen=True)
class Config:
    """A training's inputs: equal configurations give equal bits on one kind of machine."""

    recipe: Recipe
    seed: int
    source: str
    """The table's origin; not part of the digest."""
    rows: int
    data_digest: str
    schema: Mapping[str, Any]
    """The schema without ignored columns, which decide nothing."""
    versions: Mapping[str, str]

    @classmethod
    def of(cls, problem: Problem, recipe: Recipe, seed: int) -> Config:
        """The configuration of a recipe on a table, with the installed libraries."""
        schema = asdict(problem.schema)
        del schema["ignored"]
        if problem.schema.time is None:
            del schema["time"]
        if not problem.schema.gap_days:
            del schema["gap_days"]
        if not problem.schema.windows:
            del schema["windows"]
        for field in schema["fields"]:
            if field["kind"] != "date":
                del field["as_of"]
        schema["task"] = problem.task.as_dict()
        return cls(
            recipe,
            seed,
            problem.source,
            len(problem.frame),
            digest_of_frame(problem.frame),
            schema,
            library_versions(*(_OF_SMOTE if recipe.hyper.imbalance == "smote" else ())),
        )

    def as_dict(self) -> dict[str, Any]:
        """The content of `config.json`."""
        decided = self._decided()
        decided["data"]["source"] = self.source
        return {**decided, "digest": self.digest()}

    def digest(self) -> str:
        """SHA-256, in hexadecimal, of everything that decides the outcome."""
        text = json.dumps(self._decided(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def name(self) -> str:
        """The name of the run's directory: `<model>-seed<seed>-<8 hexadecimal digits>`."""
        return f"{self.recipe.hyper.network}-seed{self.seed}-{self.digest()[:8]}"

    def _decided(self) -> dict[str, Any]:
        recipe = self.recipe
        return {
            "family": recipe.family,
            "model": recipe.hyper.network,
            "seed": self.seed,
            "hyperparameters": recipe.hyper.as_dict(),
            "plan": recipe.plan.to_dict(),
            "cuts": {name: list(cuts) for name, cuts in recipe.cuts.items()},
            "goal": recipe.goal,
            "caveat": recipe.caveat,
            "data": {"rows": self.rows, "digest": self.data_digest},
            "schema": dict(self.schema),
            "versions": dict(self.versions),
        }


def digest_of_frame(frame: pd.DataFrame) -> str:
    """SHA-256, in hexadecimal, of a table's columns and values."""
    digest = hashlib.sha256()
    for name in frame.columns:
        column = frame[name]
        digest.update(f"{len(column)} {json.dumps(str(name))}".encode())
        if pd.api.types.is_numeric_dtype(column.dtype):
            digest.update(column.to_numpy(dtype=np.float64).tobytes())
        else:
            texts = [None if pd.isna(value) else str(value) for value in column]
            digest.update(json.dumps(texts).encode())
    return digest.hexdigest()


def library_versions(*more: str) -> dict[str, str]:
    """The versions of Python and of the libraries that compute the numbers, and of `more`."""
    versions = {name: importlib.metadata.version(name) for name in (*_LIBRARIES, *more)}
    return {"python": platform.python_version(), **versions}
