"""A small table of customers whose outcome follows a rule, with noise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from trimaran.training.tabular.data.schema import FieldSchema, Schema
from trimaran.training.tabular.learning.hyperparameters import Hyperparameters
from trimaran.training.tabular.tasks.binary import Binary

if TYPE_CHECKING:  # torch takes seconds to import
    from trimaran.training.tabular.learning.learn import Problem
    from trimaran.training.tabular.runs.config import Recipe

SCHEMA = Schema(
    name="customers",
    target="left",
    task=Binary("yes"),
    identifier="id",
    fields=(
        FieldSchema("calls", "number", least=0, most=100, whole=True),
        FieldSchema("minutes", "number", least=0, most=1000),
        FieldSchema("noise", "number", least=-100, most=100),
        FieldSchema("plan", "category", values=("basic", "full", "family")),
    ),
)

TOML = """
target = "left"
positive = "yes"
identifier = "id"

[fields.calls]
type = "number"
least = 0
most = 100
whole = true

[fields.minutes]
type = "number"
least = 0
most = 1000

[fields.noise]
type = "number"
least = -100
most = 100

[fields.plan]
type = "category"
values = ["basic", "full", "family"]
"""

FAST = Hyperparameters(members=2, hidden=8, depth=1, epochs=12, patience=12, batch_size=64)
FAST_TABNET = Hyperparameters(
    network="tabnet", steps=2, units=4, dropout=0.1, epochs=6, patience=6, batch_size=64
)


def frame(rows: int = 600, seed: int = 0) -> pd.DataFrame:
    """About a quarter of the rows are positive, and one row in twenty is against the rule."""
    generator = np.random.default_rng(seed)
    calls = generator.poisson(2, rows).astype(np.float64)
    minutes = generator.uniform(0, 400, rows).round(2)
    plans = generator.choice(["basic", "full", "family"], rows, p=[0.6, 0.3, 0.1])
    rule = ((calls >= 4) & (minutes < 250)) | ((minutes > 300) & (plans == "basic"))
    left = rule ^ (generator.random(rows) < 0.05)
    minutes[generator.random(rows) < 0.03] = np.nan
    return pd.DataFrame(
        {
            "id": pd.Series([f"c{row}" for row in range(rows)], dtype=object),
            "calls": calls,
            "minutes": minutes,
            "noise": generator.normal(0, 1, rows),
            "plan": pd.Series(plans.tolist(), dtype=object),
            "left": pd.Series(np.where(left, "yes", "no").tolist(), dtype=object),
        }
    )


def problem(rows: int = 600, seed: int = 0) -> Problem:
    from trimaran.training.tabular.learning.learn import Problem

    table = frame(rows, seed)
    return Problem(table, SCHEMA, SCHEMA.outcomes(table), "made-up customers")


def recipe(hyper: Hyperparameters = FAST) -> Recipe:
    from trimaran.training.tabular.features.plan import FeaturePlan
    from trimaran.training.tabular.runs.config import Recipe

    return Recipe("churn", FeaturePlan(outliers="iqr"), hyper, {"calls": (2, 4)})


def write_files(directory: Path, rows: int = 600) -> tuple[Path, Path]:
    """The table as a CSV file, and its schema."""
    table, schema = directory / "customers.csv", directory / "customers.toml"
    frame(rows).to_csv(table, index=False)
    schema.write_text(TOML)
    return table, schema
