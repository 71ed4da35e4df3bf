"""The task of one outcome that is or is not: a probability, and a decision by a threshold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.tree import DecisionTreeClassifier

from trimaran.served.answers import BinaryAnswers
from trimaran.served.distribution import Feature
from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.evaluation.costs import KEYS
from trimaran.training.tabular.evaluation.metrics import (
    FEWEST_POSITIVES,
    METRIC_NAMES,
    Confusion,
    Flags,
    Probabilities,
    Scores,
    always_yes_f1,
    choose_threshold,
    decide,
    f1_interval,
    score,
)
from trimaran.training.tabular.evaluation.separation import LEAK_AUC, missingness_auc, value_auc
from trimaran.training.tabular.tasks.boosting import LGBMClassifier
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
from trimaran.training.tabular.wording import nearest, quote, some

if TYPE_CHECKING:
    from torch import nn

    from trimaran.training.tabular.tasks.heads import Head

__all__ = ["Binary"]

_MOST_ITERATIONS = 5000
_PROBABILITY_EDGES = tuple(tenth / 10 for tenth in range(1, 10))
_DECISION_EDGES = (0.5,)


@dataclass(frozen=True)
class Binary(Task):
    """Whether a row's target has one of its two values. Raises `TrimaranError`."""

    positive: str
    """The value whose probability is predicted."""

    name = "binary"
    keys = {"positive": True, **dict.fromkeys(KEYS, False)}  # noqa: RUF012
    metrics = METRIC_NAMES
    main = "f1"
    loss = "log loss"
    judged = ("rise of log loss", "fall of F1")
    objectives = {"log_loss": "loss", "f1": "score"}  # noqa: RUF012
    chosen = ("threshold",)
    served = ("threshold",)

    def __post_init__(self) -> None:
        if not self.positive:
            raise TrimaranError("positive must not be empty; name the value that is predicted")

    def as_dict(self) -> dict[str, Any]:
        """As in a schema."""
        return {"task": self.name, "positive": self.positive}

    def findings(self, column: pd.Series) -> Iterator[str]:
        """Not two values, another positive one, or too few rows of one."""
        values = sorted(map(str, column.dropna().unique()))
        if len(values) != 2:
            listed = ", ".join(map(quote, values[:5])) + (", …" if len(values) > 5 else "")
            yield (
                f"a target has exactly two values, and this has {len(values)} "
                f"({listed or 'none'}); join or remove some"
            )
        if values and self.positive not in values:
            yield f"no row has the positive value {self.positive!r}; " + nearest(
                self.positive, values
            )
        elif len(values) == 2:
            counts = column.value_counts()
            for value in values:
                if counts[value] < FEWEST_OF_EACH:
                    yield (
                        f"{some(int(counts[value]), 'row')} {quote(value)}; to train, validate "
                        f"and test it takes {FEWEST_OF_EACH} or more of each outcome, so add "
                        "records"
                    )

    def encode(self, column: pd.Series) -> Flags:
        """Whether each row is positive, bool `[rows]`; false where the target is missing."""
        return (column == self.positive).to_numpy(dtype=bool)

    def strata(self, target: Flags) -> Strata:
        """Both outcomes."""
        names = ("negative", "positive")
        return Strata(target.astype(np.int64), names, "rows of the rarer outcome")

    def contrast(self, column: pd.Series) -> Contrast:
        """The target itself."""
        others = [str(value) for value in column.unique() if value != self.positive]
        other = others[0] if len(others) == 1 else "other"
        question = f"{column.name} = {self.positive}"
        return Contrast(self.encode(column), question, self.positive, other)

    def leaks(self, column: pd.Series, target: Flags) -> Iterator[str]:
        """A ROC AUC of nearly 1."""
        for what, auc in (
            ("its value", value_auc(column, target)),
            ("whether it is missing", missingness_auc(column, target)),
        ):
            if auc is not None and auc >= LEAK_AUC:
                yield f"{what} alone predicts the outcome (ROC AUC {auc:.3f})"

    def effect(self, target: Flags) -> npt.NDArray[np.float64]:
        """1 for a positive row, 0 for another."""
        return np.asarray(target, np.float64)

    def tree(self, leaf_nodes: int, min_leaf: int, seed: int) -> DecisionTreeClassifier:
        """By Gini's impurity."""
        return DecisionTreeClassifier(
            max_leaf_nodes=leaf_nodes, min_samples_leaf=min_leaf, random_state=seed
        )

    def head(self, target: Flags) -> Head:
        """One logit."""
        del target
        from trimaran.training.tabular.tasks.heads import BinaryHead

        return BinaryHead()

    @property
    def baselines(self) -> Mapping[str, Callable[[int], Any]]:
        """With the libraries' defaults."""
        return {
            "logistic regression": lambda seed: LogisticRegression(max_iter=_MOST_ITERATIONS),
            "random forest": lambda seed: RandomForestClassifier(random_state=seed),
            "gradient boosting": lambda seed: LGBMClassifier(random_state=seed, **BOOSTING),
        }

    def guess(self, estimator: Any, features: npt.NDArray[np.float32]) -> Probabilities:
        """The probability of each row, float32 `[rows]`."""
        found: npt.NDArray[np.float64] = estimator.predict_proba(features)[:, 1]
        return found.astype(np.float32)

    def choose(self, target: Flags, predictions: Probabilities) -> Chosen:
        """The threshold: see `choose_threshold`."""
        return {"threshold": choose_threshold(target, predictions)}

    def score(self, target: Flags, predictions: Probabilities, chosen: Chosen) -> Scores:
        """At the threshold."""
        return score(target, predictions, chosen["threshold"])

    def main_value(self, target: Flags, predictions: Probabilities, chosen: Chosen) -> float:
        """F1."""
        return Confusion.of(target, decide(predictions, chosen["threshold"])).f1

    def interval(
        self, target: Flags, predictions: Probabilities, chosen: Chosen, seed: int
    ) -> tuple[float, float]:
        """Of F1."""
        return f1_interval(Confusion.of(target, decide(predictions, chosen["threshold"])), seed)

    def plain(self, train: Flags, test: Flags) -> Mapping[str, float]:
        """The F1 of deciding positive for every row."""
        del train
        return {"always_yes_f1": always_yes_f1(test)}

    def loss_of(self, target: Flags, predictions: Probabilities) -> float:
        """The log loss, in nats per row."""
        return float(log_loss(target, predictions.astype(np.float64), labels=[False, True]))

    def segment(
        self, field: str, group: str, target: Flags, predictions: Probabilities, chosen: Chosen
    ) -> Segment:
        """F1 where a row is positive or was decided so, precision and recall where they are."""
        found = Confusion.of(target, decide(predictions, chosen["threshold"]))
        positives = found.true_positive + found.false_negative
        decided = found.true_positive + found.false_positive
        scores = {
            "f1": found.f1 if positives or decided else None,
            "positives": positives,
            "precision": found.precision if decided else None,
            "recall": found.recall if positives else None,
        }
        small = found.rows < FEWEST_ROWS or positives < FEWEST_POSITIVES
        return Segment(field, group, found.rows, scores, small)

    @property
    def answers(self) -> BinaryAnswers:
        """A probability and a decision."""
        return BinaryAnswers()

    def module(self, network: nn.Module, chosen: Chosen) -> nn.Module:
        """The network with its threshold."""
        from trimaran.training.tabular.tasks.heads import ThresholdClassifier

        return ThresholdClassifier(network, chosen["threshold"])

    def answered(
        self, name: str, predictions: Probabilities, chosen: Chosen, test: Scores | None
    ) -> Answered:
        """Probabilities by tenths, decisions, and the confusion matrix."""
        features = [
            Feature(f"{name}_probability", "answer", (), _PROBABILITY_EDGES),
            Feature(f"{name}_prediction", "answer", (), _DECISION_EDGES),
        ]
        decided = decide(predictions, chosen["threshold"])
        judged = test.as_dict()["confusion"] if test else {}
        return Answered(features, [predictions, decided], judged)

    def columns(self, target: Flags, predictions: Probabilities) -> Mapping[str, Sequence[Any]]:
        """1 or 0, and the probability in full."""
        return {"target": target.astype(int).tolist(), "probability": list(map(str, predictions))}

    def summary(self, metrics: Mapping[str, Any]) -> str:
        """F1 with its interval, and the threshold."""
        low, high = metrics["test"]["f1_interval"]
        return (
            f"F1 {metrics['test']['f1']:.3f} on the test part, 95 % interval {low:.3f} to "
            f"{high:.3f}, at the threshold {metrics['threshold']:g}"
        )

    @property
    def page(self) -> Page:
        """Decisions and probabilities."""
        from trimaran.training.tabular.tasks.binary_page import BinaryPage

        return BinaryPage(self.positive)
