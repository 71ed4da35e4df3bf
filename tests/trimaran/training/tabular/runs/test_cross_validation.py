from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.trimaran.training.tabular.customers import FAST, problem, recipe
from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.data.split import stratified_split
from trimaran.training.tabular.evaluation.metrics import METRICS
from trimaran.training.tabular.learning.learn import Watch
from trimaran.training.tabular.runs.cross_validation import (
    Scored,
    as_document,
    by_model,
    cross_validate,
    directory_of,
    spread,
    standing_folds,
)

QUICK = recipe(replace(FAST, epochs=3))


class KilledError(Exception):
    pass


def counting(seen: list[tuple[int, int]]) -> Callable[[int], Watch]:
    return lambda fold: lambda number, *_: seen.append((fold, number))


def killed_at(fold: int, epoch: int) -> Callable[[int], Watch]:
    def of(at: int) -> Watch:
        def follow(number: int, *_: object) -> None:
            if (at, number) == (fold, epoch):
                raise KilledError

        return follow

    return of


def test_folds_never_read_the_test_part(tmp_path: Path) -> None:
    about = problem()
    test = stratified_split(about.strata, 0).test
    table = about.frame.copy()
    table.loc[test, ["calls", "minutes"]] = 1e30
    table.loc[test, "plan"] = "garbage"
    seen: list[tuple[int, int]] = []
    scored = cross_validate(about, QUICK, 3, 0, tmp_path, counting(seen))
    assert seen == [(fold, epoch) for fold in range(3) for epoch in range(3)]
    spoilt = replace(about, frame=table)
    seen.clear()
    assert scored == cross_validate(spoilt, QUICK, 3, 0, tmp_path, counting(seen))
    assert len(seen) == 9
    assert sum(each["mlp"]["rows"] for each in scored) == len(about.frame) - len(test)
    assert list(scored[0]) == ["mlp", "logistic regression", "random forest", "gradient boosting"]


@pytest.mark.long
def test_killed_folds_go_on_and_end_in_the_same_scores(tmp_path: Path) -> None:
    about = problem()
    whole = cross_validate(about, QUICK, 3, 0, tmp_path / "whole")
    out = tmp_path / "killed"
    directory = directory_of(about, QUICK, 3, 0, out)
    for fold, epoch in ((0, 1), (1, 0), (2, 2)):
        with pytest.raises(KilledError):
            cross_validate(about, QUICK, 3, 0, out, killed_at(fold, epoch))
        assert standing_folds(directory) == fold
        assert (directory / f"fold-{fold + 1}.pt").is_file()
    (directory / ".fold-3.pt.abcdefgh").write_bytes(b"torn")
    seen: list[tuple[int, int]] = []
    assert cross_validate(about, QUICK, 3, 0, out, counting(seen)) == whole
    assert seen == []
    names = sorted(path.name for path in directory.iterdir())
    assert names == [".lock", "fold-1.json", "fold-2.json", "fold-3.json"]


def test_only_the_same_folds_are_used_again(tmp_path: Path) -> None:
    about = problem()
    first = directory_of(about, QUICK, 2, 0, tmp_path)
    others = [
        directory_of(about, QUICK, 3, 0, tmp_path),
        directory_of(about, QUICK, 2, 1, tmp_path),
        directory_of(about, recipe(replace(FAST, epochs=4)), 2, 0, tmp_path),
        directory_of(problem(seed=1), QUICK, 2, 0, tmp_path),
    ]
    assert len({first, *others}) == 5


def test_scores_that_cannot_be_read_are_reported(tmp_path: Path) -> None:
    about = problem()
    cross_validate(about, QUICK, 2, 0, tmp_path)
    path = directory_of(about, QUICK, 2, 0, tmp_path) / "fold-2.json"
    path.write_text("{")
    with pytest.raises(TrimaranError, match=r"fold-2\.json cannot be read .* train its fold again"):
        cross_validate(about, QUICK, 2, 0, tmp_path)


def scored(f1: float) -> Scored:
    return {name: {**dict.fromkeys(METRICS, 0.5), "f1": f1} for name in ("mlp", "boosting")}


def test_the_spread_is_of_a_sample() -> None:
    found = spread([1.0, 2.0, 4.0])
    assert found.mean == pytest.approx(7 / 3)
    assert found.sd == pytest.approx(np.std([1, 2, 4], ddof=1))


def test_a_document_holds_the_spreads_and_every_score() -> None:
    scores = [scored(0.8), scored(0.9)]
    document = as_document({"folds": 2}, scores, METRICS)
    assert document["folds"] == 2
    assert document["scores"] == scores
    assert document["spread"]["mlp"]["f1"]["mean"] == pytest.approx(0.85)
    assert document["spread"]["mlp"]["recall"] == {"mean": 0.5, "sd": 0.0}
    assert list(by_model(scores, METRICS)) == ["mlp", "boosting"]
