"""How the training part is distributed: what is served later is held against it."""

from __future__ import annotations

from trimaran.served.distribution import Feature, Reference, described, number_edges
from trimaran.served.transform import Transform
from trimaran.training.tabular.data.split import Split
from trimaran.training.tabular.features.frames import table_of
from trimaran.training.tabular.judging.judge import Judgement
from trimaran.training.tabular.learning.learn import Learned, Problem
from trimaran.training.tabular.learning.threshold import decide

__all__ = ["reference_of"]

_PROBABILITY_EDGES = tuple(tenth / 10 for tenth in range(1, 10))
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
    bins = Reference(features, judgement.model.test.as_dict()["confusion"])
    probability = judgement.probability[split.train]
    answers = [probability, decide(probability, learned.threshold)]
    return described(bins, table.numbers, codes, answers)
