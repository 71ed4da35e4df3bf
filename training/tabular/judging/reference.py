"""How the training part is distributed: what is served later is held against it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ensembles.tabular.distribution import Feature, Reference, count_category, count_number
from ensembles.tabular.transform import Transform
from training.tabular.data.split import Split
from training.tabular.features.frames import table_of
from training.tabular.judging.judge import Judgement
from training.tabular.learning.learn import Learned, Problem
from training.tabular.learning.threshold import decide

__all__ = ["number_edges", "reference_of"]

_BINS = 10
_DIGITS = 4
_PROBABILITY_EDGES = tuple(place / _BINS for place in range(1, _BINS))
_DECISION_EDGES = (0.5,)


def reference_of(
    name: str, problem: Problem, split: Split, learned: Learned, judgement: Judgement
) -> Reference:
    """The bins of every field and of the answers `<name>_probability` and `<name>_prediction`.

    A number's bins are tenths of the training part. `judged` is of the test part.
    """
    transform = Transform(learned.data)
    table = table_of(problem.rows(split.train), problem.schema)
    codes = transform.encode(table.categories)
    features = []
    for place, number in enumerate(transform.number_names):
        edges = number_edges(table.numbers[:, place])
        counts = count_number(table.numbers[:, place], edges)
        features.append(Feature(number, "number", counts.tolist(), edges.tolist()))
    for place, category in enumerate(learned.data.categories):
        counts = count_category(codes[place], len(category.vocabulary))
        features.append(
            Feature(category.name, "category", counts.tolist(), values=category.vocabulary)
        )
    probability = judgement.probability[split.train]
    for answer, values, given in (
        ("probability", probability, _PROBABILITY_EDGES),
        ("prediction", decide(probability, learned.threshold), _DECISION_EDGES),
    ):
        counts = count_number(values.astype(np.float64), np.array(given), missing=False)
        features.append(Feature(f"{name}_{answer}", "answer", counts.tolist(), given))
    return Reference(features, judgement.model.test.as_dict()["confusion"])


def number_edges(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Between tenths of `values` `[rows]`, NaN left out; fewer where values are few.

    Rounded, so that every bin has a name of its own, and none is below the least value.
    """
    present = values[~np.isnan(values)]
    if not len(present):
        return np.array([])
    tenths = np.quantile(present, np.arange(1, _BINS) / _BINS)
    rounded = np.unique([float(f"{edge:.{_DIGITS}g}") for edge in tenths])
    return rounded[rounded > present.min()]
