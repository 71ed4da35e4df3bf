"""The public table `card_fraud`: simulated card payments, each with what was known before it.

| field | of |
|---|---|
| `paid_at` | when the payment was; the time by which the rows are split, and no field |
| `amount`, `hour`, `weekend`, `night` | the payment itself |
| `customer_payments_<days>d`, `customer_mean_<days>d` | the customer's earlier payments: how many, and their mean amount |
| `terminal_payments_<days>d`, `terminal_risk_<days>d` | the terminal's payments until a week before: how many, and the share of frauds |

Windows are of 1, 7 and 30 days, as in section 3.4 of the handbook that `card_payments` names, and
end before the payment. Those of a terminal end a week earlier, because so long it takes until a
fraud is known. A mean or share of no payments is missing.
"""  # noqa: E501 - a table's row

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from trimaran.training.tabular.data.card_payments import DAY_S, Payments, simulate

__all__ = ["DELAY_DAYS", "card_fraud", "described"]

DELAY_DAYS = 7
"""How long it takes until it is known whether a payment was fraudulent."""

_BEGIN = np.datetime64("2018-04-01T00:00:00")
"""The first day, a Sunday; the handbook's data begin there, too."""
_WINDOWS = (1, 7, 30)
_WARM_UP_DAYS = DELAY_DAYS + max(_WINDOWS)
_NIGHT_ENDS = 7
_SUNDAY, _SATURDAY = 0, 6

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def card_fraud(
    seed: int = 0, customers: int = 500, terminals: int = 1000, days: int = 120
) -> pd.DataFrame:
    """Simulated payments with what was known before them, in order of time.

    The columns are `transaction_id`, `paid_at`, the fields, and `fraud` (`yes` or `no`).
    Payments of the first 37 days only count in the windows of later ones.
    """
    return described(simulate(seed, customers, terminals, days))


def described(paid: Payments) -> pd.DataFrame:
    """The table of payments: see `card_fraud`."""
    later = paid.day >= _WARM_UP_DAYS
    hour = paid.time_s % DAY_S / 3600
    weekday = paid.day % 7
    rows = np.arange(len(paid.time_s))
    columns = {
        "transaction_id": np.array([f"t-{row:06d}" for row in rows], dtype=object),
        "paid_at": _BEGIN + paid.time_s.astype("timedelta64[s]"),
        "amount": paid.cents / 100,
        "hour": np.round(hour, 2),
        "weekend": np.isin(weekday, (_SUNDAY, _SATURDAY)).astype(np.float64),
        "night": (hour < _NIGHT_ENDS).astype(np.float64),
        **dict(_windows(paid)),
        "fraud": np.where(paid.fraud, "yes", "no").astype(object),
    }
    return pd.DataFrame(columns)[later].reset_index(drop=True)


def _windows(paid: Payments) -> Iterator[tuple[str, Floats]]:
    """The columns on the past of the customer, and of the terminal."""
    frauds = paid.fraud.astype(np.int64)
    for days in _WINDOWS:
        count, cents = _before(paid.customer, paid.time_s, paid.cents, days, 0)
        yield f"customer_payments_{days}d", count
        yield f"customer_mean_{days}d", np.round(_share(cents, count) / 100, 2)
    for days in _WINDOWS:
        count, found = _before(paid.terminal, paid.time_s, frauds, days, DELAY_DAYS)
        yield f"terminal_payments_{days}d", count
        yield f"terminal_risk_{days}d", np.round(_share(found, count), 4)


def _before(
    who: Integers, time_s: Integers, values: Integers, days: int, delay_days: int
) -> tuple[Floats, Floats]:
    """How many earlier rows of the same `who` are in the window, and the sum of their values.

    The window of a row at t is from `t - delay - days`, inclusive, to `t - delay`, exclusive. All
    arrays are `[rows]`, and `time_s` ascends.
    """
    window_s, delay_s = days * DAY_S, delay_days * DAY_S
    apart = int(time_s.max(initial=0)) + window_s + delay_s + 1  # more than any window reaches
    order = np.lexsort((time_s, who))
    places = (who * apart + time_s)[order]
    sums = np.concatenate([[0], np.cumsum(values[order])])
    ends = np.searchsorted(places, who * apart + time_s - delay_s)
    begins = np.searchsorted(places, who * apart + time_s - delay_s - window_s)
    return (ends - begins).astype(np.float64), (sums[ends] - sums[begins]).astype(np.float64)


def _share(total: Floats, count: Floats) -> Floats:
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
