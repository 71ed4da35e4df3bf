"""A table of customers that nobody has: what a new project of the kind `table` trains on first."""

from __future__ import annotations

import csv
import io
import math
import random

__all__ = ["customers_csv"]

_MONTHLY = 1.2
_YEARLY = -1.6
"""Log-odds of leaving, by contract."""


def customers_csv(rows: int = 1200) -> str:
    """The same customers each time. Three in ten left.

    Who leaves is drawn, and likelier with a monthly contract, a short tenure, a high price and
    calls to the support; so no model can know it for certain.
    """
    drawn = random.Random(0)  # noqa: S311 - a table, no secret
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["customer_id", "tenure", "contract", "monthly_charge", "support_calls", "left"]
    )
    for number in range(rows):
        tenure = drawn.randint(0, 72)
        contract = drawn.choice(["month", "year"])
        charge = round(drawn.uniform(20, 100), 2)
        calls = min(drawn.choice([0, 0, 0, 1, 1, 2, 3, 5]), tenure)
        odds = (_MONTHLY if contract == "month" else _YEARLY) - tenure / 18
        odds += (charge - 60) / 40 + 0.6 * calls
        left = "yes" if drawn.random() < 1 / (1 + math.exp(-odds)) else "no"
        writer.writerow([f"c-{number}", tenure, contract, f"{charge:.2f}", calls, left])
    return text.getvalue()
