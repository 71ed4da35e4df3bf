"""What each task refuses in a target and a schema, how it splits, and what it takes for a leak."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.data.schema import FieldSchema, Schema, parse_schema
from trimaran.training.tabular.data.split import stratified_folds, stratified_split
from trimaran.training.tabular.data.validation import validate
from trimaran.training.tabular.features.fit import fit_features
from trimaran.training.tabular.features.plan import FeaturePlan
from trimaran.training.tabular.tasks.heads import NumberHead
from trimaran.training.tabular.tasks.multiclass import Multiclass
from trimaran.training.tabular.tasks.regression import Regression
from trimaran.training.tabular.tasks.task import Task

FIELD = '[fields.x]\ntype = "number"\n'
ROWS = 300


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ('task = "regression"', Regression()),
        ('task = "multiclass"', Multiclass()),
        ('task = "multiclass"\nclasses = ["b", " a"]', Multiclass(("b", "a"))),
    ],
)
def test_a_schema_names_its_task(text: str, task: Task) -> None:
    schema = parse_schema(f'target = "t"\n{text}\n{FIELD}', "s")
    assert schema.task == task
    assert schema.number_columns == (["x", "t"] if task.numeric else ["x"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('task = "regresion"', "there is no task 'regresion'; did you mean 'regression'?"),
        ('task = "ranking"', "no task 'ranking'; choose from binary, multiclass, regression"),
        ('task = "binary"', "positive is missing; expected a value of the target"),
        ("task = 1", "task is 1; expected a task's name"),
        (
            'task = "regression"\npositive = "yes"',
            "for the task regression, there is no key 'positive'; leave it out",
        ),
        ('positive = "yes"\nclasses = ["a"]', "for the task binary, there is no key 'classes'"),
        ('task = "multiclass"\nclasses = ["a", "a"]', "the classes hold 'a' twice; remove it"),
        ('task = "multiclass"\nclasses = "a"', "classes is 'a'; expected a list of texts"),
    ],
)
def test_a_schema_of_another_task_is_refused(text: str, said: str) -> None:
    with pytest.raises(TrimaranError) as refused:
        parse_schema(f'target = "t"\n{text}\n{FIELD}', "s")
    assert said in str(refused.value)


def found(task: Task, target: list[object]) -> list[str]:
    """The findings about a target, as `validate` reports them."""
    field = np.random.default_rng(0).normal(size=len(target))
    dtype = float if task.numeric and not isinstance(target[0], str) else object
    frame = pd.DataFrame({"x": field, "t": pd.Series(target, dtype=dtype)})
    schema = Schema("s", "t", task, (FieldSchema("x", "number"),))
    return [each.message for each in validate(frame, schema) if each.column == "t"]


@pytest.mark.parametrize(
    ("task", "target", "said"),
    [
        (Multiclass(), ["a", "b", "c"] * 40, None),
        (Multiclass(), ["a"] * 60, "a target has two classes or more, and this has 1, 'a'; add"),
        (Multiclass(), ["a", "b"] * 30 + ["c"], "1 row is 'c'; to train, validate and test it"),
        (Multiclass(("a", "z")), ["a", "b"] * 30, "30 rows are 'b', which is not among the schema"),
        (Multiclass(("a", "b", "c")), ["a", "b"] * 30, "0 rows are 'c'; to train, validate"),
        (Multiclass(), ["a\nb", "b"] * 30, "has a line break; rename it"),
        (
            Multiclass(),
            [f"n{row}" for row in range(90)],
            "nearly as many values as rows (90 in 90)",
        ),
        (Multiclass(), ["a", None] * 60, "60 rows are without a target; remove them"),
        (Regression(), [float(row) for row in range(60)], None),
        (Regression(), [5.0] * 60, "every value is 5, so there is nothing to predict"),
        (Regression(), [1.0, np.inf] * 30, "30 values are infinite; remove those rows"),
        (Regression(), [1.0, 2.0] * 10, "20 rows are there; to train, validate and test it takes"),
        (Regression(), ["cheap"] * 60, "'cheap' is not a number; convert the column, or predict"),
    ],
)
def test_a_target_that_cannot_be_learnt_is_refused(
    task: Task, target: list[object], said: str | None
) -> None:
    messages = found(task, target)
    assert messages == [] if said is None else said in messages[0]


def test_every_part_has_classes_and_sizes_in_the_same_shares() -> None:
    generator = np.random.default_rng(0)
    classes = generator.choice(3, ROWS, p=[0.6, 0.3, 0.1])
    split = stratified_split(Multiclass(("a", "b", "c")).strata(classes), 0)
    shares = [np.bincount(classes[rows]) / len(rows) for rows in split.parts().values()]
    np.testing.assert_allclose(shares, [shares[0]] * 3, atol=0.02)
    numbers = generator.lognormal(0, 2, ROWS)
    strata = Regression().strata(numbers)
    split = stratified_split(strata, 0)
    assert sorted(np.concatenate(list(split.parts().values()))) == list(range(ROWS))
    large = numbers > np.median(numbers)
    assert all(abs(large[rows].mean() - 0.5) < 0.06 for rows in split.parts().values())
    folds = stratified_folds(strata, np.arange(ROWS), 5, 0)
    assert [len(fold.test) for fold in folds] == [60] * 5
    with pytest.raises(TrimaranError, match="has 12 'c' rows; to train"):
        stratified_split(Multiclass(("a", "b", "c")).strata(np.repeat([0, 1, 2], [99, 99, 12])), 0)


def leaks(task: Task, column: np.ndarray, target: np.ndarray) -> list[str]:
    return list(task.leaks(pd.Series(column), target))


def test_only_another_form_of_the_target_is_a_leak() -> None:
    generator = np.random.default_rng(0)
    price = generator.gamma(2, 100, ROWS)
    assert leaks(Regression(), np.sqrt(price), price) == [
        "its value alone predicts the target (rank correlation 1.0000)"
    ]
    assert leaks(Regression(), price * generator.normal(1, 0.1, ROWS), price) == []
    classes = generator.integers(0, 3, ROWS)
    task = Multiclass(("a", "b", "c"))
    (said,) = leaks(task, np.array(["x", "y", "z"], dtype=object)[classes], classes)
    assert said.startswith("its value alone predicts the class (mean ROC AUC 1.0")
    one_told = np.where(classes == 0, 9.0, generator.normal(size=ROWS))
    assert leaks(task, one_told, classes) == []


def test_classes_have_no_mean_to_encode_by() -> None:
    frame = pd.DataFrame({"x": pd.Series(["p", "q"] * 50, dtype=object)})
    schema = Schema("s", "t", Multiclass(("a", "b")), (FieldSchema("x", "category"),))
    target = np.arange(100) % 2
    plan = FeaturePlan(encode="target")
    with pytest.raises(TrimaranError, match="the encoding target of 'x' is the mean of"):
        fit_features(plan, schema, frame, schema.task.effect(target), 0)
    numbers = np.where(target, 10.0, 30.0)
    fitted = fit_features(plan, schema, frame, Regression().effect(numbers), 0)
    assert fitted.data.categories[0].table[0][0] == pytest.approx((50 * 30 + 10 * 20) / 60)


def test_a_number_has_no_rarer_outcome() -> None:
    head = NumberHead(5.0, 2.0)
    labels = head.labels(np.array([5.0, 9.0]))
    assert labels.tolist() == [0.0, 2.0]
    with pytest.raises(TrimaranError, match="the target is a number; train without --imbalance"):
        head.balance(labels)
