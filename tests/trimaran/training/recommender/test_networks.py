"""The networks, how they are fitted, and the metrics."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trimaran.training.recommender.test_data import many, table_of
from trimaran.training.recommender import fitting
from trimaran.training.recommender.evaluation import evaluate, intervals, judge
from trimaran.training.recommender.fitting import (
    CHECKPOINT,
    Fitted,
    Problem,
    fit_linear,
    fit_towers,
    state_of,
)
from trimaran.training.recommender.networks import LinearItems, Popularity, network_of
from trimaran.training.recommender.split import split

COUNTS = torch.tensor([1, 5, 3, 5])


def linear() -> LinearItems:
    network = LinearItems(COUNTS, top=3)
    network.weights[0] = torch.tensor([0.0, 0.1, 0.9, 0.5])
    return network.double().eval()  # type: ignore[return-value]


def problem() -> Problem:
    data = table_of(many(60, 30), liked=1.0)
    return Problem(data, split(data))


@pytest.mark.parametrize("padding", [0, 3])
def test_seen_items_are_left_out_and_strangers_get_the_popular_ones(padding: int) -> None:
    rows = [[1, 0, 0, 0], [1, -3, 0, 0], [-3, 0, 0, 0], [0, 0, 0, 0], [4, 3, 2, -1], [4, 3, -2, 0]]
    history = torch.nn.functional.pad(torch.tensor(rows), (0, padding))
    items, scores = linear()(history)
    assert items.tolist() == [
        [3, 4, 2],  # by the weights of item 1
        [4, 2, 0],  # without item 3, and then there is none
        [2, 4, 1],  # by popularity, the equal ones by number
        [2, 4, 3],
        [0, 0, 0],
        [1, 0, 0],
    ]
    assert scores[0].tolist() == pytest.approx([0.9, 0.5, 0.1])
    assert scores[2].tolist() == pytest.approx([5 / 14, 5 / 14, 1 / 14])
    assert scores[4].tolist() == [0, 0, 0]
    assert scores.dtype == torch.float32


def test_the_linear_model_is_ridge_regression_of_each_item_on_the_others() -> None:
    given = problem()
    fitted = fit_linear(given, 5, lambda what, done, total: None)
    penalty = int(max(fitted.tried, key=lambda name: fitted.tried[name]).removeprefix("penalty "))
    likes = given.likes().double()
    item = 7
    others = [place for place in range(given.items) if place != item]
    known = likes[:, others]
    normal = known.T @ known + penalty * torch.eye(len(others))
    expected = torch.linalg.solve(normal, known.T @ likes[:, item])
    found = dict(fitted.network.named_buffers())["weights"][:, item]
    assert found[item] == 0
    torch.testing.assert_close(found[others], expected.double(), rtol=1e-5, atol=1e-7)


def test_a_killed_training_of_the_towers_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "_EPOCHS", 4)
    given = problem()

    def trained(folder: str, killed_at: int = 99) -> Fitted:
        def watch(what: str, done: int, total: int) -> None:
            if done == killed_at:
                raise KeyboardInterrupt

        directory = tmp_path / folder
        directory.mkdir(exist_ok=True)
        return fit_towers(given, 5, 3, directory, watch)

    whole = trained("whole")
    with pytest.raises(KeyboardInterrupt):
        trained("killed", killed_at=2)
    assert (tmp_path / "killed" / CHECKPOINT).is_file()
    resumed = trained("killed")
    assert resumed.tried == whole.tried
    assert len(whole.tried) == 4
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name
    kept = network_of("towers", 5, 64, state_of(whole.network))
    history = torch.tensor([[1, 2, -3], [5, 0, 0]])
    assert all(map(torch.equal, kept(history), whole.network(history)))


def test_the_metrics_by_hand() -> None:
    found = np.array([[4, 1, 2], [7, 8, 9], [5, 6, 0]])
    sought = [np.array([1, 2, 3, 6]), np.array([0]), np.array([5])]
    ndcg, recall, hit = judge(found, sought)
    second, third = 1 / math.log2(3), 1 / math.log2(4)
    assert ndcg.tolist() == pytest.approx([(second + third) / (1 + second + third), 0, 1])
    assert recall.tolist() == [0.5, 0, 1]
    assert hit.tolist() == [1, 0, 1]


def test_intervals_hold_the_mean_and_a_model_gains_nothing_over_itself() -> None:
    given = problem()
    popularity = Popularity(given.counts, 5).double()
    scores = evaluate(popularity, given.given, given.wanted)
    fitted = fit_linear(given, 5, lambda what, done, total: None)
    own = evaluate(fitted.network, given.given, given.wanted)
    assert own.means()["ndcg"] == max(fitted.tried.values())
    found = intervals(own, scores, 0)["ndcg"]
    assert found["interval"][0] < own.means()["ndcg"] < found["interval"][1]
    assert found["gain"][0] == pytest.approx(own.means()["ndcg"] - scores.means()["ndcg"])
    assert intervals(own, own, 0)["hit"]["gain"] == [0, 0, 0]
