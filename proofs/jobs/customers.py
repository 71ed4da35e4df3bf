"""Customers of the public table `mlc_churn`, as records."""

from __future__ import annotations

from typing import Any

from trimaran.training.tabular.data.sources import load

__all__ = ["draw_customers"]


def draw_customers(count: int, seed: int) -> list[dict[str, Any]]:
    """`count` customers by field, each with its `customer_id`.

    The same seed gives the same customers. They repeat beyond the length of the table.
    """
    dataset = load("mlc_churn")
    names = ["customer_id", *(field.name for field in dataset.schema.fields)]
    frame = dataset.frame.sample(count, random_state=seed, replace=count > len(dataset.frame))
    rows = frame[names].astype(object).to_numpy().tolist()
    return [dict(zip(names, row, strict=True)) for row in rows]
