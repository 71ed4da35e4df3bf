"""A small table of customers, and the settings of its runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tests.rollout.project import Project, answers

SETTINGS = """
[shop]
table = "shop.csv"
approvals = 2

[shop.train]
target = "left"
model = "linear"

[roles]
review = ["anna", "bo"]
deploy = ["bo"]
"""


def customers(rows: int, seed: int, *, first: int = 0, shift: float = 0.0) -> pd.DataFrame:
    """Customers of whom those with many calls and a monthly plan are likely to leave."""
    drawn = np.random.default_rng(seed)
    calls = drawn.poisson(3, rows) + shift
    plan = drawn.choice(["month", "year"], rows)
    risk = 1 / (1 + np.exp(-(calls - 4 + 2 * (plan == "month"))))
    return pd.DataFrame(
        {
            "customer_id": [f"c-{first + number}" for number in range(rows)],
            "calls": calls,
            "plan": plan,
            "left": np.where(drawn.random(rows) < risk, "yes", "no"),
        }
    )


def make_shop(folder: Path) -> Project:
    """A folder with the table, its settings, and answers to the checklist."""
    folder.mkdir(parents=True, exist_ok=True)
    customers(400, 0).to_csv(folder / "shop.csv", index=False)
    (folder / "rollout.toml").write_text(SETTINGS)
    (folder / "answers.toml").write_text(answers())
    return Project(folder, "shop")
