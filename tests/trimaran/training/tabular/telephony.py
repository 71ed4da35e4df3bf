"""A table of a telephone company's customers, with gaps of every kind, and plans for it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from trimaran.served.transform import Derived, Transform
from trimaran.training.tabular.data.schema import FieldSchema, Schema
from trimaran.training.tabular.features.fit import FittedFeatures, fit_features, transform_frame
from trimaran.training.tabular.features.plan import Binning, FeaturePlan
from trimaran.training.tabular.tasks.binary import Binary

NUMBERS = ["tenure", "charge", "calls"]
TEXTS = ["contract", "region", "paper"]

# No customer has the contract "life", and the schema lists no regions: a plan may name columns of
# either, and only the data shows that there are none.
SCHEMA = Schema(
    name="telephony",
    target="churn",
    task=Binary("yes"),
    identifier="customer_id",
    fields=(
        FieldSchema("tenure", "number", least=0, most=1200, whole=True),
        FieldSchema("charge", "number"),
        FieldSchema("calls", "number"),
        FieldSchema("contract", "category", values=("month", "year", "two_years", "life")),
        FieldSchema("region", "category"),
        FieldSchema("paper", "category", values=("no", "yes")),
    ),
)


def table(rows: int, seed: int = 0) -> pd.DataFrame:
    """Customers of whom some are new (a tenure of 0), and some charges and calls are outliers.

    `tenure` and `paper` are never missing, the others sometimes. Charges are positive and not
    exact in float32; calls are few different numbers.
    """
    rng = np.random.default_rng(seed)
    tenure = rng.integers(0, 73, rows).astype(np.float64)
    tenure[rng.random(rows) < 0.03] = 0
    charge = rng.normal(65, 12, rows).clip(20, 110)
    odd = rng.random(rows)
    charge = np.where(odd < 0.01, rng.uniform(1, 3, rows), charge)
    charge = np.where(odd > 0.99, rng.uniform(250, 400, rows), charge).round(2)
    calls = rng.poisson(2, rows).astype(np.float64)
    calls[rng.random(rows) < 0.015] += 20
    charge[rng.random(rows) < 0.1] = np.nan
    calls[rng.random(rows) < 0.1] = np.nan
    contract = rng.choice(["month", "year", "two_years"], rows, p=[0.5, 0.3, 0.2]).tolist()
    region = rng.choice(["a", "b", "c", "d"], rows, p=[0.2, 0.4, 0.25, 0.15]).tolist()
    paper = rng.choice(["no", "yes"], rows, p=[0.4, 0.6]).tolist()
    texts = {
        "contract": [None if rng.random() < 0.08 else value for value in contract],
        "region": [None if rng.random() < 0.06 else value for value in region],
        "paper": paper,
    }
    identifiers = [f"customer-{row:04d}" for row in range(rows)]
    return pd.DataFrame(
        {
            "customer_id": pd.Series(identifiers, dtype=object),
            "tenure": tenure,
            "charge": charge,
            "calls": calls,
            **{name: pd.Series(values, dtype=object) for name, values in texts.items()},
        }
    )


def _outcomes(frame: pd.DataFrame) -> npt.NDArray[np.int64]:
    """1 for a customer who left: each category, and a missing one, has a share of its own."""
    chance = frame["contract"].map({"month": 0.45, "year": 0.2, "two_years": 0.05}).fillna(0.6)
    chance += frame["region"].map({"a": 0.2, "b": -0.04, "c": 0.05, "d": 0.1}).fillna(0.3)
    chance += np.where(frame["paper"] == "yes", 0.08, 0.0) - frame["tenure"] / 400
    return (np.random.default_rng(1).random(len(frame)) < chance).to_numpy(dtype=np.int64)


FRAME = table(400)
TARGET = _outcomes(FRAME)

RAW = FeaturePlan(scale=None, flag_missing=False)
"""Every column as it is: missing values are imputed, categories one-hot encoded, and no more."""

EVERYTHING = FeaturePlan(
    impute="mode",
    outliers="iqr",
    scale="minmax",
    missing="category",
    smoothing=4.0,
    flag_missing=True,
    max_missing=0.6,
    derived=(
        Derived("ratio", "ratio", ("charge", "tenure")),
        Derived("logged", "log", ("ratio",)),
        Derived("yearly", "product", ("contract=year", "calls")),
        Derived("apart", "difference", ("yearly", "charge_missing")),
        Derived("total", "sum", ("tenure", "charge", "calls")),
        Derived("shares", "sum", ("region", "paper", "contract_missing")),
    ),
    bins=(
        Binning("tenure", edges=(12, 24.5, 48)),
        Binning("charge", count=4),
        Binning("logged", count=5, encode="ordinal"),
    ),
    overrides={
        "tenure": {"impute": "mean", "outliers": None, "scale": "standard"},
        "charge": {"impute": "neighbours", "outliers": "quantile", "scale": "minmax"},
        "calls": {"outliers": "zscore", "scale": None},
        "region": {"encode": "target", "missing": "mode", "scale": "standard"},
        "paper": {"encode": "binary"},
        "total": {"scale": None},
    },
    leave_out=("ratio", "contract=month"),
)
"""Something of everything that a plan can say, hardly any of it a default.

All imputations are at work (a charge without neighbours becomes the median), and all encodings
but `ordinal`, which only bins have.
"""


def strangers() -> pd.DataFrame:
    """`FRAME` with categories that training lacks, and with each form of a missing one."""
    found = FRAME.copy()
    changed = {
        "contract": ["life", "", None, np.nan, "month", "never seen"],
        "region": ["", "z", np.nan, None, "zz", "a"],
        "paper": ["no", "maybe", "", None, np.nan, "yes"],
    }
    for name, values in changed.items():
        rest = found[name].tolist()[len(values) :]
        found[name] = pd.Series([*values, *rest], index=found.index, dtype=object)
    return found


def fitted(
    plan: FeaturePlan, frame: pd.DataFrame = FRAME, target: npt.ArrayLike = TARGET
) -> FittedFeatures:
    return fit_features(plan, SCHEMA, frame, target, seed=7)


def features(plan: FeaturePlan, rows: pd.DataFrame = FRAME) -> pd.DataFrame:
    """The features of the rows, float64, by the plan fitted to `FRAME`."""
    transform = Transform(fitted(plan).data)
    found = transform_frame(transform, SCHEMA, rows).astype(np.float64)
    return pd.DataFrame(found, columns=transform.outputs, index=rows.index)


def float32(frame: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Numbers as a server gets them: rounded to float32."""
    return frame.to_numpy(dtype=np.float32).astype(np.float64)
