"""What a task decides: how a target is read, learnt, judged, answered and shown.

A schema holds its task, and everything else asks the task. `binary.py`, `multiclass.py` and
`regression.py` are the tasks, `heads.py` what they learn and serve, `*_page.py` what their reports
say.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from trimaran.served.answers import Answers
from trimaran.served.distribution import Feature
from trimaran.stats.intervals import Estimate

if TYPE_CHECKING:  # torch and matplotlib take seconds to import, and reading a schema needs neither
    from markupsafe import Markup
    from torch import nn

    from trimaran.pages.page import Cell
    from trimaran.training.tabular.tasks.heads import Head

__all__ = [
    "BOOSTING",
    "FEWEST_OF_EACH",
    "FEWEST_ROWS",
    "Answered",
    "Chosen",
    "Contrast",
    "Page",
    "Predictions",
    "Scores",
    "Segment",
    "Strata",
    "Target",
    "Task",
    "View",
]

BOOSTING: Mapping[str, Any] = {
    "n_jobs": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}
"""LightGBM's settings with which equal rows give equal trees."""
FEWEST_OF_EACH = 20
"""Rows of each outcome that a split needs, so that every part has every outcome."""
FEWEST_ROWS = 50
"""A group with fewer rows says little."""

Target = npt.NDArray[Any]
"""The encoded target, `[rows]`: bool, int64 codes of classes, or float64."""
Predictions = npt.NDArray[np.float32]
"""What a network says of each row: `[rows]`, or `[rows, classes]`."""
Chosen = Mapping[str, float]
"""What is chosen on the validation part, by name, such as a threshold."""


@dataclass(frozen=True)
class Strata:
    """Groups of rows that every part of a split has in the same shares."""

    of_row: npt.NDArray[np.int64]
    """Each row's group, `[rows]`."""
    names: Sequence[str]
    """The groups' names, as an adjective of rows; empty text where it has none."""
    rarest: str
    """What the rows of the smallest group are, such as `rows of the rarer outcome`."""

    def counts(self) -> list[int]:
        """The rows of each group."""
        found: list[int] = np.bincount(self.of_row, minlength=len(self.names)).tolist()
        return found

    def at(self, rows: npt.NDArray[np.int64]) -> Strata:
        """The groups of some rows."""
        return Strata(self.of_row[rows], self.names, self.rarest)


@dataclass(frozen=True)
class Contrast:
    """One yes-or-no question about a target, to explore a table by."""

    flags: npt.NDArray[np.bool_]
    """`[rows]`."""
    question: str
    """Such as `churn = yes`."""
    positive: str
    negative: str


class Scores(Protocol):
    """Every metric on one part."""

    rows: int

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        ...


@dataclass(frozen=True)
class Segment:
    """How good a model is for the rows of one value, or range of values, of a field."""

    field: str
    group: str
    rows: int
    scores: Mapping[str, float | None]
    """By name; the first is drawn. None where it cannot be told."""
    small: bool
    """Whether there are too few rows to conclude much."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        about = {"field": self.field, "group": self.group, "rows": self.rows}
        return {**about, **self.scores, "small": self.small}


@dataclass(frozen=True)
class Answered:
    """What served answers are compared with."""

    features: Sequence[Feature]
    """The answers' bins."""
    values: Sequence[npt.NDArray[Any]]
    """Of each answer, a value for each row `[rows]`."""
    judged: Mapping[str, float]
    """How the test part was answered, in totals: see `trimaran.served.judging`; or empty."""


@dataclass(frozen=True)
class View:
    """What a report shows of the test part."""

    column: str
    """The target's."""
    target: Target
    predictions: Predictions
    scores: Any
    chosen: Chosen
    plain: Mapping[str, float]
    """The scores of answering the same for every row."""
    interval: tuple[float, float]
    compared: Mapping[str, Estimate]
    """As `Task.compared` gives it."""


class Page(Protocol):
    """What a report says that only this task knows."""

    def tiles(self, view: View) -> list[tuple[str, Cell]]:
        """The result in a few figures."""
        ...

    def result(self, view: View) -> str:
        """What the test part is, and how good the simplest answers are."""
        ...

    def sections(self, view: View) -> list[tuple[str, list[Markup]]]:
        """The sections on answers, each with its title."""
        ...

    def part(self, target: Target) -> Mapping[str, Cell]:
        """What a part of the table holds of the target."""
        ...

    comparison: str
    """How the other models were fitted, a sentence."""
    small: str
    """Which groups are too small."""


class Task(ABC):
    """One task, with what it needs to know of its target."""

    name: ClassVar[str]
    keys: ClassVar[Mapping[str, bool]] = {}
    """The keys of a schema that belong to this task, and whether each is required."""
    numeric: ClassVar[bool] = False
    """Whether the target is a column of numbers."""
    metrics: ClassVar[Mapping[str, str]]
    """Names for people of the metrics of the scores."""
    main: ClassVar[str]
    """The metric by which models are compared."""
    greater_is_better: ClassVar[bool] = True
    most: ClassVar[float | None] = 1.0
    """The most that the main metric can be, if there is such."""
    loss: ClassVar[str]
    """The name of the loss that is minimised."""
    judged: ClassVar[tuple[str, str]]
    """Names for people of what `measure` gives: of the loss, and of the change of the score."""
    objectives: ClassVar[Mapping[str, str]]
    """What a search may improve: its name, to `loss` or `score`; the first is the default."""
    chosen: ClassVar[tuple[str, ...]] = ()
    """What is chosen on the validation part, and shown with the metrics."""
    served: ClassVar[tuple[str, ...]] = ()
    """What was chosen or fitted and `module` needs."""

    def as_dict(self) -> dict[str, Any]:
        """As in a schema."""
        return {"task": self.name}

    @property
    def title(self) -> str:
        """The main metric's name for people."""
        return self.metrics[self.main]

    def resolved(self, column: pd.Series) -> Task:
        """The task with what only a table's target `[rows]` tells."""
        del column
        return self

    @property
    def better(self) -> str:
        """Which values of the main metric are better than one: `more` or `less`."""
        return "more" if self.greater_is_better else "less"

    def goodness(self, value: float) -> float:
        """A value of the main metric, so that more is better."""
        return value if self.greater_is_better else -value

    def reaches(self, value: float, goal: float) -> bool:
        """Whether a value of the main metric is as good as a goal."""
        return self.goodness(value) >= self.goodness(goal)

    # The target

    @abstractmethod
    def findings(self, column: pd.Series) -> Iterator[str]:
        """What is wrong with a target `[rows]`, apart from missing values."""

    @abstractmethod
    def encode(self, column: pd.Series) -> Target:
        """A target as it is learnt."""

    @abstractmethod
    def strata(self, target: Target) -> Strata:
        """The groups by which a table is split."""

    @abstractmethod
    def contrast(self, column: pd.Series) -> Contrast:
        """The question by which a table is explored, of its known targets `[rows]`."""

    @abstractmethod
    def leaks(self, column: pd.Series, target: Target) -> Iterator[str]:
        """What of a field `[rows]` predicts the target so well that it is probably known later."""

    # Learning

    @abstractmethod
    def effect(self, target: Target) -> npt.NDArray[np.float64] | None:
        """The number `[rows]` whose mean target encoding gives; None where there is none."""

    @abstractmethod
    def tree(self, leaf_nodes: int, min_leaf: int, seed: int) -> Any:
        """A decision tree of scikit-learn, unfitted."""

    @abstractmethod
    def head(self, target: Target) -> Head:
        """The end of a network, for the training part's target."""

    @property
    @abstractmethod
    def baselines(self) -> Mapping[str, Callable[[int], Any]]:
        """Simpler models by name: a linear one, a forest and a boosted one, for a seed."""

    def estimator(self, kind: int) -> Callable[[int], Any]:
        """One of the baselines, by its place among them."""
        return list(self.baselines.values())[kind]

    @abstractmethod
    def guess(self, estimator: Any, features: npt.NDArray[np.float32]) -> Predictions:
        """The predictions of a fitted estimator."""

    # How good it is

    @abstractmethod
    def choose(self, target: Target, predictions: Predictions) -> Chosen:
        """What is chosen on the validation part."""

    @abstractmethod
    def score(self, target: Target, predictions: Predictions, chosen: Chosen) -> Any:
        """The scores of one part: see `Scores`."""

    @abstractmethod
    def main_value(self, target: Target, predictions: Predictions, chosen: Chosen) -> float:
        """The main metric alone, of any rows; it costs little, so that rows can be resampled."""

    @abstractmethod
    def interval(
        self, target: Target, predictions: Predictions, chosen: Chosen, seed: int
    ) -> tuple[float, float]:
        """The bootstrap 95 % interval of the main metric."""

    @abstractmethod
    def plain(self, train: Target, test: Target) -> Mapping[str, float]:
        """The test scores of the same answer for every row, by name."""

    def compared(
        self, target: Target, predictions: Predictions, chosen: Chosen, seed: int
    ) -> Mapping[str, Estimate]:
        """The main metric of other decisions by the same predictions, by name, with its interval.

        None, unless a task has other decisions.
        """
        del target, predictions, chosen, seed
        return {}

    @abstractmethod
    def loss_of(self, target: Target, predictions: Predictions) -> float:
        """A loss of the predictions themselves, whatever is decided by them."""

    def measure(
        self, target: Target, predictions: Predictions, chosen: Chosen
    ) -> tuple[float, float]:
        """A loss, and the main metric so that more is better."""
        value = self.main_value(target, predictions, chosen)
        return self.loss_of(target, predictions), self.goodness(value)

    @abstractmethod
    def segment(
        self, field: str, group: str, target: Target, predictions: Predictions, chosen: Chosen
    ) -> Segment:
        """The scores of a group of rows."""

    # Serving

    @property
    @abstractmethod
    def answers(self) -> Answers:
        """What the served models answer."""

    @abstractmethod
    def module(self, network: nn.Module, chosen: Chosen) -> nn.Module:
        """The module that is served: features `[batch, columns]` to the network's answers."""

    @abstractmethod
    def answered(self, name: str, predictions: Predictions, chosen: Chosen, test: Any) -> Answered:
        """The answers of `<name>` to some rows, and the totals of the test part.

        None of those where `test`, its scores, is None.
        """

    # What people read

    @abstractmethod
    def columns(self, target: Target, predictions: Predictions) -> Mapping[str, Sequence[Any]]:
        """The columns of `predictions.csv`: the target, and what was predicted of each row."""

    @abstractmethod
    def summary(self, metrics: Mapping[str, Any]) -> str:
        """The result of a run's `metrics.json` in one clause."""

    @property
    @abstractmethod
    def page(self) -> Page:
        """The report's parts of this task."""
