"""A simulator of card payments, some of them fraudulent. Nothing of it is about a real person.

It follows the transaction data simulator of Y.-A. Le Borgne, W. Siblini, B. Lebichot and
G. Bontempi, "Reproducible Machine Learning for Credit Card Fraud Detection - Practical Handbook"
(2022), chapter 3, with its distributions and its three kinds of fraud. Its simulator has 5,000
customers and 10,000 terminals; of fewer, as few in proportion are compromised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["DAY_S", "Payments", "simulate"]

DAY_S = 86_400

_SIDE = 100.0
_RADIUS = 5.0
_MEAN_AMOUNTS = (5.0, 100.0)
_MOST_DAILY = 4.0
_NOON_S, _SPREAD_S = DAY_S / 2, 20_000
_LARGE_CENTS = 22_000
_TERMINALS_DAILY, _TERMINAL_DAYS = 2 / 10_000, 28
_CUSTOMERS_DAILY, _CUSTOMER_DAYS = 3 / 5_000, 14
_STOLEN_FACTOR = 5

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Payments:
    """Payments in order of time; every array is `[rows]`."""

    time_s: Integers
    """Seconds since the first day's midnight, a Sunday's."""
    customer: Integers
    terminal: Integers
    cents: Integers
    """The amount, in hundredths."""
    kind: Integers
    """0 of a payment by the customer; of a fraud 1, 2 or 3: see `simulate`."""

    @property
    def day(self) -> Integers:
        """The day of each payment, from 0."""
        return self.time_s // DAY_S

    @property
    def fraud(self) -> npt.NDArray[np.bool_]:
        """Whether each payment is fraudulent."""
        return self.kind > 0


def simulate(seed: int, customers: int, terminals: int, days: int) -> Payments:
    """The payments of so many customers at so many terminals; equal arguments give equal ones.

    A customer pays at terminals that are near, up to four times a day on average, around noon, and
    amounts around an own mean between 5 and 100. Frauds are: (1) all payments above 220; (2) all
    payments at a compromised terminal, for 28 days; (3) a third of the payments of a customer whose
    data are stolen, for 14 days, with five times the amount.
    """
    draw = np.random.default_rng(seed)
    near, first = _near(draw, customers, terminals)
    reach = np.diff(first)
    mean = draw.uniform(*_MEAN_AMOUNTS, customers)
    daily = draw.uniform(0, _MOST_DAILY, customers) * (reach > 0)
    counts = draw.poisson(daily[:, np.newaxis], (customers, days))
    customer = np.repeat(np.arange(customers), counts.sum(axis=1))
    day = np.repeat(np.tile(np.arange(days), customers), counts.ravel())
    second = np.rint(draw.normal(_NOON_S, _SPREAD_S, len(day))).astype(np.int64)
    amount = draw.normal(mean[customer], mean[customer] / 2)
    amount = np.where(amount < 0, draw.uniform(0, 2 * mean[customer]), amount)
    terminal = near[first[customer] + (draw.random(len(day)) * reach[customer]).astype(np.int64)]
    kept = np.flatnonzero((second > 0) & (second < DAY_S))
    time_s = day * DAY_S + second
    order = kept[np.argsort(time_s[kept], kind="stable")]
    cents = np.rint(100 * amount[order]).astype(np.int64)
    paid = Payments(time_s[order], customer[order], terminal[order], cents, np.zeros_like(order))
    return _with_frauds(draw, paid, customers, terminals, days)


def _near(draw: np.random.Generator, customers: int, terminals: int) -> tuple[Integers, Integers]:
    """The terminals near each customer, one after the other; and where each one's begin."""
    homes = draw.uniform(0, _SIDE, (customers, 2))
    places = draw.uniform(0, _SIDE, (terminals, 2))
    apart = homes[:, np.newaxis] - places
    who, near = np.nonzero((apart * apart).sum(axis=2) < _RADIUS**2)
    first = np.concatenate([[0], np.cumsum(np.bincount(who, minlength=customers))])
    return near, first


def _with_frauds(
    draw: np.random.Generator, paid: Payments, customers: int, terminals: int, days: int
) -> Payments:
    cents, day = paid.cents.copy(), paid.day
    kind = (cents > _LARGE_CENTS).astype(np.int64)
    for begins in range(days):
        among = draw.choice(terminals, _few(draw, _TERMINALS_DAILY, terminals), replace=False)
        within = (day >= begins) & (day < begins + _TERMINAL_DAYS)
        kind[within & np.isin(paid.terminal, among)] = 2
    for begins in range(days):
        among = draw.choice(customers, _few(draw, _CUSTOMERS_DAILY, customers), replace=False)
        within = (day >= begins) & (day < begins + _CUSTOMER_DAYS)
        theirs = np.flatnonzero(within & np.isin(paid.customer, among))
        stolen = draw.choice(theirs, len(theirs) // 3, replace=False)
        cents[stolen] *= _STOLEN_FACTOR
        kind[stolen] = 3
    return Payments(paid.time_s, paid.customer, paid.terminal, cents, kind)


def _few(draw: np.random.Generator, share: float, of: int) -> int:
    return min(of, int(draw.poisson(share * of)))
