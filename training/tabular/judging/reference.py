"""How the training part is distributed: what is served later is held against it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ensembles.tabular.distribution import Feature, Reference, Tally
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
    features = [
        Feature(number, "number", (), number_edges(table.numbers[:, place]).tolist())
        for place, number in enumerate(transform.number_names)
    ]
    features += [
        Feature(category.name, "category", (), values=category.vocabulary)
        for category in learned.data.categories
    ]
    features.append(Feature(f"{name}_probability", "answer", (), _PROBABILITY_EDGES))
    features.append(Feature(f"{name}_prediction", "answer", (), _DECISION_EDGES))
    judged = judgement.model.test.as_dict()["confusion"]
    tally = Tally(Reference(features, judged))
    probability = judgement.probability[split.train]
    tally.add(table.numbers, codes, [probability, decide(probability, learned.threshold)])
    ends = np.cumsum([len(feature.bins) for feature in features])[:-1]
    counts = np.split(tally.counted(), ends)
    return Reference(
        [
            replace(feature, counts=each.tolist())
            for feature, each in zip(features, counts, strict=True)
        ],
        judged,
    )


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
