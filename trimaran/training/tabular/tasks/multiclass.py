"""The task of one of several classes: a probability for each, and the most probable one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.tree import DecisionTreeClassifier

from trimaran.served.answers import ClassAnswers
from trimaran.served.distribution import Feature
from trimaran.served.judging import class_totals
from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.evaluation.multiclass_metrics import (
    METRIC_NAMES,
    Codes,
    MulticlassScores,
    Probabilities,
    confusion_of,
    macro_f1,
    macro_f1_interval,
    majority_confusion,
    score_classes,
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
from trimaran.training.tabular.wording import nearest, quote, shown, some

if TYPE_CHECKING:
    from torch import nn

    from trimaran.training.tabular.tasks.heads import Head

__all__ = ["Multiclass"]

_MOST_ITERATIONS = 5000
_NAME_LIKE = 0.5
_FEW_VALUES = 20
_PROBABILITY_EDGES = tuple(tenth / 10 for tenth in range(1, 10))


@dataclass(frozen=True)
class Multiclass(Task):
    """Which class a row's target is. Raises `TrimaranError` for a class that is there twice."""

    classes: tuple[str, ...] = ()
    """In the order of the answers; none means the target's values, sorted."""

    name = "multiclass"
    keys = {"classes": False}  # noqa: RUF012
    metrics = METRIC_NAMES
    main = "macro_f1"
    loss = "log loss"
    judged = ("rise of log loss", "fall of macro F1")
    objectives = {"log_loss": "loss", "macro_f1": "score"}  # noqa: RUF012

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))
        for label, count in Counter(self.classes).items():
            if count > 1 or not label:
                wrong = f"{label!r} twice" if label else "empty text"
                raise TrimaranError(f"the classes hold {wrong}; remove it")

    def as_dict(self) -> dict[str, Any]:
        """As in a schema."""
        return {"task": self.name, "classes": list(self.classes)}

    def resolved(self, column: pd.Series) -> Multiclass:
        """With the classes of a table's target, where the schema leaves them open."""
        return replace(self, classes=self._labels(column))

    def findings(self, column: pd.Series) -> Iterator[str]:
        """One class, names instead of classes, a class of few rows, or of none, or unknown."""
        counts = {str(label): int(rows) for label, rows in column.value_counts().items()}
        if len(counts) < 2:
            only = f", {quote(next(iter(counts)))}" if counts else ""
            yield f"a target has two classes or more, and this has {len(counts)}{only}; add records"
            return
        if len(counts) > _FEW_VALUES and len(counts) > _NAME_LIKE * len(column):
            yield (
                f"nearly as many values as rows ({len(counts)} in {len(column)}): it looks like a "
                'name, or a number, which is predicted with task = "regression"; name another '
                "target"
            )
            return
        for label, rows in counts.items():
            if self.classes and label not in self.classes:
                yield (
                    f"{some(rows, 'row')} {quote(label)}, which is not among the schema's "
                    f"classes; {nearest(label, self.classes)}"
                )
            elif "\n" in label:
                yield f"the class {quote(label)} has a line break; rename it"
        for label in self.classes or sorted(counts):
            rows = counts.get(label, 0)
            if rows < FEWEST_OF_EACH:
                yield (
                    f"{some(rows, 'row')} {quote(label)}; to train, validate and test it takes "
                    f"{FEWEST_OF_EACH} or more of each class, so add records, or join or remove it"
                )

    def encode(self, column: pd.Series) -> Codes:
        """The class's place, int64 `[rows]`; -1 for none of them."""
        places = {label: place for place, label in enumerate(self._labels(column))}
        return np.array([places.get(value, -1) for value in column], dtype=np.int64)

    def strata(self, target: Codes) -> Strata:
        """The classes."""
        return Strata(target, [quote(label) for label in self.classes], "rows of the rarest class")

    def contrast(self, column: pd.Series) -> Contrast:
        """Whether a row is of the most frequent class."""
        counts = column.value_counts()
        most = str(counts.index[0]) if len(counts) else "none"
        flags = (column == most).to_numpy(dtype=bool)
        return Contrast(flags, f"{column.name} = {most}", most, f"not {most}")

    def leaks(self, column: pd.Series, target: Codes) -> Iterator[str]:
        """A mean ROC AUC of nearly 1, of each class against the others."""
        for what, auc_of in (("its value", value_auc), ("whether it is missing", missingness_auc)):
            found = [auc_of(column, target == place) for place in np.unique(target)]
            known = [auc for auc in found if auc is not None]
            if known and len(known) == len(found) and np.mean(known) >= LEAK_AUC:
                yield f"{what} alone predicts the class (mean ROC AUC {np.mean(known):.3f})"

    def effect(self, target: Codes) -> None:
        """Classes have no mean."""
        del target

    def tree(self, leaf_nodes: int, min_leaf: int, seed: int) -> DecisionTreeClassifier:
        """By Gini's impurity."""
        return DecisionTreeClassifier(
            max_leaf_nodes=leaf_nodes, min_samples_leaf=min_leaf, random_state=seed
        )

    def head(self, target: Codes) -> Head:
        """A logit for each class."""
        del target
        from trimaran.training.tabular.tasks.heads import ClassHead

        return ClassHead(len(self.classes))

    @property
    def baselines(self) -> Mapping[str, Callable[[int], Any]]:
        """With the libraries' defaults."""
        return {
            "logistic regression": lambda seed: LogisticRegression(max_iter=_MOST_ITERATIONS),
            "random forest": lambda seed: RandomForestClassifier(random_state=seed),
            "gradient boosting": lambda seed: LGBMClassifier(random_state=seed, **BOOSTING),
        }

    def guess(self, estimator: Any, features: npt.NDArray[np.float32]) -> Probabilities:
        """The probabilities, float32 `[rows, classes]`; each class is in the training part."""
        found: npt.NDArray[np.float64] = estimator.predict_proba(features)
        return found.astype(np.float32)

    def choose(self, target: Codes, predictions: Probabilities) -> Chosen:
        """Nothing: the most probable class is decided."""
        del target, predictions
        return {}

    def score(self, target: Codes, predictions: Probabilities, chosen: Chosen) -> MulticlassScores:
        """Of the most probable classes, and of the probabilities."""
        del chosen
        return score_classes(target, predictions, self.classes)

    def main_value(self, target: Codes, predictions: Probabilities, chosen: Chosen) -> float:
        """Macro F1."""
        del chosen
        return float(macro_f1(self._confusion(target, predictions)))

    def interval(
        self, target: Codes, predictions: Probabilities, chosen: Chosen, seed: int
    ) -> tuple[float, float]:
        """Of macro F1."""
        del chosen
        return macro_f1_interval(self._confusion(target, predictions), seed)

    def plain(self, train: Codes, test: Codes) -> Mapping[str, float]:
        """The scores of deciding the training part's most frequent class for every row."""
        found = majority_confusion(train, test, len(self.classes))
        return {
            "majority_macro_f1": float(macro_f1(found)),
            "majority_accuracy": float(np.trace(found) / len(test)),
        }

    def loss_of(self, target: Codes, predictions: Probabilities) -> float:
        """The log loss, in nats per row."""
        exact = predictions.astype(np.float64)
        exact /= exact.sum(axis=1, keepdims=True)
        return float(log_loss(target, exact, labels=np.arange(len(self.classes))))

    def segment(
        self, field: str, group: str, target: Codes, predictions: Probabilities, chosen: Chosen
    ) -> Segment:
        """The accuracy; F1 would be of classes that a group may lack."""
        del chosen
        right = predictions.argmax(axis=1) == target
        rows = len(target)
        scores = {"accuracy": float(right.mean()), "classes": len(np.unique(target))}
        return Segment(field, group, rows, scores, rows < FEWEST_ROWS)

    @property
    def answers(self) -> ClassAnswers:
        """The classes' probabilities, and a class."""
        return ClassAnswers(self.classes)

    def module(self, network: nn.Module, chosen: Chosen) -> nn.Module:
        """The network with its softmax."""
        del chosen
        from trimaran.training.tabular.tasks.heads import ClassProbabilities

        return ClassProbabilities(network)

    def answered(
        self, name: str, predictions: Probabilities, chosen: Chosen, test: MulticlassScores | None
    ) -> Answered:
        """The most probable class, its probability by tenths, and each class's errors."""
        del chosen
        between = tuple(place + 0.5 for place in range(len(self.classes) - 1))
        features = [
            Feature(f"{name}_probability", "answer", (), _PROBABILITY_EDGES),
            Feature(f"{name}_prediction", "answer", (), between, self.classes),
        ]
        judged = class_totals(self.classes, test.confusion) if test else {}
        return Answered(features, [predictions.max(axis=1), predictions.argmax(axis=1)], judged)

    def columns(self, target: Codes, predictions: Probabilities) -> Mapping[str, Sequence[Any]]:
        """Both classes, and each probability in full."""
        decided = predictions.argmax(axis=1)
        probabilities = {
            f"probability of {label}": list(map(str, predictions[:, place]))
            for place, label in enumerate(self.classes)
        }
        texts = [[self.classes[code] for code in codes] for codes in (target, decided)]
        return {"target": texts[0], "prediction": texts[1], **probabilities}

    def summary(self, metrics: Mapping[str, Any]) -> str:
        """Macro F1 with its interval, and the accuracy."""
        test = metrics["test"]
        low, high = test["macro_f1_interval"]
        return (
            f"macro F1 {shown(test['macro_f1'])} on the test part, 95 % interval {shown(low)} to "
            f"{shown(high)}; accuracy {shown(test['accuracy'])}"
        )

    @property
    def page(self) -> Page:
        """The classes."""
        from trimaran.training.tabular.tasks.multiclass_page import MulticlassPage

        return MulticlassPage(self.classes)

    def _labels(self, column: pd.Series) -> tuple[str, ...]:
        return self.classes or tuple(sorted(map(str, column.dropna().unique())))

    def _confusion(self, target: Codes, predictions: Probabilities) -> Codes:
        return confusion_of(target, predictions.argmax(axis=1), len(self.classes))
