"""Which rows a model is trained on, which it is tuned on, and which it is tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedKFold, train_test_split

from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.tasks.task import FEWEST_OF_EACH, Strata

__all__ = ["Indices", "Split", "stratified_folds", "stratified_split"]

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Row numbers of the three parts, int64; no row is in two of them, and some may be in none."""

    train: Indices
    validation: Indices
    test: Indices

    def parts(self) -> dict[str, Indices]:
        """The parts by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def stratified_split(strata: Strata, seed: int) -> Split:
    """70 % to train, 15 % to validate, 15 % to test, each with the same share of each stratum.

    Raises `TrimaranError` where one is too rare.
    """
    target = strata.of_row
    _refuse_rare(strata, "the table has")
    train, rest = train_test_split(
        np.arange(len(target)), test_size=0.3, stratify=target, random_state=seed
    )
    validation, test = train_test_split(
        rest, test_size=0.5, stratify=target[rest], random_state=seed
    )
    return Split(train, validation, test)


def stratified_folds(strata: Strata, rows: Indices, folds: int, seed: int) -> Sequence[Split]:
    """`folds` splits of `rows`: each row is in the test part of exactly one.

    Of the remaining rows, 15 in 85 are for validation, as in `stratified_split`, so that the tested
    rows decide neither when a fit ends nor what is chosen. Raises `TrimaranError`.
    """
    target, own = strata.of_row, strata.at(rows)
    _refuse_rare(own, "the rows to cross-validate, which are all but the test part, have")
    fewest = min(own.counts())
    if not 2 <= folds <= fewest:
        raise TrimaranError(
            f"{folds} folds were requested; with {fewest} {own.rarest} it must be between 2 and "
            f"{fewest}"
        )
    splits = []
    divided = StratifiedKFold(folds, shuffle=True, random_state=seed).split(rows, target[rows])
    for learnt, tested in divided:
        train, validation = train_test_split(
            rows[learnt], test_size=0.15 / 0.85, stratify=target[rows[learnt]], random_state=seed
        )
        splits.append(Split(train, validation, rows[tested]))
    return splits


def _refuse_rare(strata: Strata, who: str) -> None:
    for name, count in reversed([*zip(strata.names, strata.counts(), strict=True)]):
        if count < FEWEST_OF_EACH:
            raise TrimaranError(
                f"{who} {count} {name + ' ' if name else ''}rows; to train, validate and test it "
                f"takes {FEWEST_OF_EACH} or more, so add records"
            )
