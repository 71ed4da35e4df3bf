"""Telecom customers as flat records, in an order that a seed decides."""

from __future__ import annotations

from typing import Any

from trimaran.training.tabular.data.sources import load

__all__ = ["IDENTIFIER", "draw_records"]

IDENTIFIER = "customer_id"

_TABLE = "mlc_churn"


def draw_records(count: int, seed: int) -> list[dict[str, Any]]:
    """`count` customers of the public table by field, each with its `customer_id`.

    The same seed gives the same customers; at most as many as the table has differ.
    """
    dataset = load(_TABLE)
    names = [field.name for field in dataset.schema.fields]
    frame = dataset.frame.sample(count, random_state=seed, replace=count > len(dataset.frame))
    identifiers = frame[dataset.schema.identifier or IDENTIFIER].tolist()
    rows = frame[names].astype(object).to_numpy().tolist()
    return [
        {IDENTIFIER: identifier, **dict(zip(names, row, strict=True))}
        for identifier, row in zip(identifiers, rows, strict=True)
    ]
