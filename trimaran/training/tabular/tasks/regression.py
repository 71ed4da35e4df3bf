"""The task of a number: its value, and an interval that holds nine of ten."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor

from trimaran.served.answers import NumberAnswers
from trimaran.served.distribution import Feature, number_edges
from trimaran.training.tabular.evaluation.regression_metrics import (
    METRIC_NAMES,
    NumberScores,
    conformal_margin,
    mae_interval,
    rank_correlation,
    score_numbers,
)
from trimaran.training.tabular.tasks.boosting import LGBMRegressor
from trimaran.training.tabular.tasks.task import (
    BOOSTING,
    FEWEST_OF_EACH,
    FEWEST_ROWS,
    Answered,
    Chosen,
    Contrast,
    Page,
    Segment,
    Strata,
    Task,
)
from trimaran.training.tabular.wording import quote, shown, some

if TYPE_CHECKING:
    from torch import nn

    from trimaran.training.tabular.tasks.heads import Head

__all__ = ["Regression"]

_STRATA = 10
_LEAK = 0.9999
"""A field whose order is so nearly the target's is another form of it."""
_FEWEST_TO_RANK = 20

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Regression(Task):
    """Which number a row's target is."""

    name = "regression"
    numeric = True
    metrics = METRIC_NAMES
    main = "mae"
    greater_is_better = False
    most = None
    loss = "squared error / variance"
    judged = ("rise of RMSE", "rise of MAE")
    objectives = {"squared_error": "loss", "mae": "score"}  # noqa: RUF012
    chosen = ("margin",)
    served = ("mean", "sd", "margin")

    def findings(self, column: pd.Series) -> Iterator[str]:
        """No number, an infinite one, always the same one, or too few."""
        present = column.dropna()
        if not pd.api.types.is_numeric_dtype(present.dtype) or present.dtype == bool:
            if len(present):
                yield (
                    f"{quote(present.iloc[0])} is not a number; convert the column, or predict "
                    'its values with task = "multiclass"'
                )
            return
        if len(present) < 2 * FEWEST_OF_EACH:
            yield (
                f"{some(len(present), 'row')} there; to train, validate and test it takes "
                f"{2 * FEWEST_OF_EACH} or more, so add records"
            )
        elif not np.isfinite(present).all():
            yield f"{some(int((~np.isfinite(present)).sum()), 'value')} infinite; remove those rows"
        elif present.nunique() == 1:
            yield (
                f"every value is {quote(float(present.iloc[0]))}, so there is nothing to predict; "
                "name another target"
            )

    def encode(self, column: pd.Series) -> Floats:
        """The numbers, float64 `[rows]`; NaN for anything else."""
        return pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)

    def strata(self, target: Floats) -> Strata:
        """Up to ten groups of equally many rows, from the smallest numbers to the largest."""
        groups = max(1, min(_STRATA, len(target) // (2 * FEWEST_OF_EACH)))
        place = np.empty(len(target), np.int64)
        place[np.argsort(target, kind="stable")] = np.arange(len(target))
        return Strata(place * groups // max(1, len(target)), [""] * groups, "rows of similar size")

    def contrast(self, column: pd.Series) -> Contrast:
        """Whether a number is above the median."""
        numbers = self.encode(column)
        middle = float(np.median(numbers)) if len(numbers) else 0.0
        above = f"above {middle:g}"
        return Contrast(numbers > middle, f"{column.name} {above}", above, "the others")

    def leaks(self, column: pd.Series, target: Floats) -> Iterator[str]:
        """A field in the same order as the target, or in the reverse."""
        if not pd.api.types.is_numeric_dtype(column.dtype):
            return
        known = column.notna().to_numpy()
        if known.sum() < _FEWEST_TO_RANK:
            return
        found = rank_correlation(column[known].to_numpy(dtype=np.float64), target[known])
        if abs(found) >= _LEAK:
            yield f"its value alone predicts the target (rank correlation {found:.4f})"

    def effect(self, target: Floats) -> Floats:
        """The numbers themselves."""
        return target

    def tree(self, leaf_nodes: int, min_leaf: int, seed: int) -> DecisionTreeRegressor:
        """By squared error."""
        return DecisionTreeRegressor(
            max_leaf_nodes=leaf_nodes, min_samples_leaf=min_leaf, random_state=seed
        )

    def head(self, target: Floats) -> Head:
        """One output, standardised by this target's mean and standard deviation."""
        from trimaran.training.tabular.tasks.heads import NumberHead

        return NumberHead(float(np.mean(target)), float(np.std(target)) or 1.0)

    @property
    def baselines(self) -> Mapping[str, Callable[[int], Any]]:
        """With the libraries' defaults."""
        return {
            "ridge regression": lambda seed: Ridge(random_state=seed),
            "random forest": lambda seed: RandomForestRegressor(random_state=seed),
            "gradient boosting": lambda seed: LGBMRegressor(random_state=seed, **BOOSTING),
        }

    def guess(self, estimator: Any, features: npt.NDArray[np.float32]) -> Numbers:
        """The numbers, float32 `[rows]`."""
        found: Floats = estimator.predict(features)
        return found.astype(np.float32)

    def choose(self, target: Floats, predictions: Numbers) -> Chosen:
        """The half-width of the intervals."""
        return {"margin": conformal_margin(target, predictions)}

    def score(self, target: Floats, predictions: Numbers, chosen: Chosen) -> NumberScores:
        """With intervals of the margin."""
        return score_numbers(target, predictions, chosen["margin"])

    def main_value(self, target: Floats, predictions: Numbers, chosen: Chosen) -> float:
        """The MAE."""
        del chosen
        return float(np.mean(np.abs(predictions.astype(np.float64) - target)))

    def interval(
        self, target: Floats, predictions: Numbers, chosen: Chosen, seed: int
    ) -> tuple[float, float]:
        """Of the MAE."""
        del chosen
        return mae_interval(target, predictions, seed)

    def plain(self, train: Floats, test: Floats) -> Mapping[str, float]:
        """The MAE of the training part's mean, and of its median."""
        return {
            "mean_mae": float(np.mean(np.abs(test - np.mean(train)))),
            "median_mae": float(np.mean(np.abs(test - np.median(train)))),
        }

    def loss_of(self, target: Floats, predictions: Numbers) -> float:
        """The RMSE."""
        return score_numbers(target, predictions, 0.0).rmse

    def segment(
        self, field: str, group: str, target: Floats, predictions: Numbers, chosen: Chosen
    ) -> Segment:
        """The MAE, the mean error, and how often the interval held the number."""
        found = score_numbers(target, predictions, chosen["margin"])
        scores = {
            "mae": found.mae,
            "mean_error": float(np.mean(predictions.astype(np.float64) - target)),
            "coverage": found.coverage,
        }
        return Segment(field, group, found.rows, scores, found.rows < FEWEST_ROWS)

    @property
    def answers(self) -> NumberAnswers:
        """A number and the bounds of its interval."""
        return NumberAnswers()

    def module(self, network: nn.Module, chosen: Chosen) -> nn.Module:
        """The network with the scale of its numbers and the margin of its intervals."""
        from trimaran.training.tabular.tasks.heads import IntervalRegressor

        return IntervalRegressor(network, chosen["mean"], chosen["sd"], chosen["margin"])

    def answered(
        self, name: str, predictions: Numbers, chosen: Chosen, test: NumberScores | None
    ) -> Answered:
        """The predicted numbers by deciles, and the sums of errors."""
        del chosen
        edges = tuple(number_edges(predictions.astype(np.float64)).tolist())
        features = [Feature(f"{name}_value", "answer", (), edges)]
        return Answered(features, [predictions], _totals(test) if test else {})

    def columns(self, target: Floats, predictions: Numbers) -> Mapping[str, Sequence[Any]]:
        """Both numbers in full."""
        return {"target": list(map(str, target)), "value": list(map(str, predictions))}

    def summary(self, metrics: Mapping[str, Any]) -> str:
        """The MAE with its interval, and what the prediction intervals hold."""
        test = metrics["test"]
        low, high = test["mae_interval"]
        return (
            f"MAE {shown(test['mae'])} on the test part, 95 % interval {shown(low)} to "
            f"{shown(high)}; predictions ± {shown(metrics['margin'])} hold "
            f"{test['coverage']:.1%} of it"
        )

    @property
    def page(self) -> Page:
        """Errors and intervals."""
        from trimaran.training.tabular.tasks.regression_page import RegressionPage

        return RegressionPage()


def _totals(test: NumberScores) -> dict[str, float]:
    held = round(test.coverage * test.rows)
    return {
        "held": held,
        "outside": test.rows - held,
        "absolute_error": test.mae * test.rows,
        "squared_error": test.rmse**2 * test.rows,
    }
