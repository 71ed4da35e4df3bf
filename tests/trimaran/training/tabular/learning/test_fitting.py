from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trimaran.training.tabular.customers import FAST, FAST_TABNET
from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.learning.checkpoints import load_tensors, save_tensors
from trimaran.training.tabular.learning.fitting import (
    DivergedError,
    Epoch,
    Fitted,
    Rows,
    batches,
    best_epoch,
    fit,
    is_over,
    learning_rate_factor,
    predict,
)
from trimaran.training.tabular.learning.hyperparameters import Hyperparameters
from trimaran.training.tabular.tasks.heads import BinaryHead
from trimaran.training.tabular.tasks.task import Predictions

EDGES = [np.array([0.0]), np.array([0.3])]
BOTH = pytest.mark.parametrize("hyper", [FAST, FAST_TABNET], ids=["mlp", "tabnet"])

QUICK_AND_LONG = [
    pytest.param(FAST, "none", id="none-mlp"),
    pytest.param(FAST, "weights", id="weights-mlp"),
    pytest.param(FAST, "resample", id="resample-mlp"),
    pytest.param(FAST_TABNET, "resample", id="resample-tabnet"),
    pytest.param(FAST_TABNET, "none", id="none-tabnet", marks=pytest.mark.long),
    pytest.param(FAST_TABNET, "weights", id="weights-tabnet", marks=pytest.mark.long),
]


class KilledError(Exception):
    pass


def rows(count: int, seed: int) -> Rows:
    generator = np.random.default_rng(seed)
    features = generator.normal(0, 1, (count, 2)).astype(np.float32)
    target = (features[:, 0] > 0) & (features[:, 1] > 0.3)
    return Rows.of(BinaryHead(), features, target ^ (generator.random(count) < 0.05))


def run(
    hyper: Hyperparameters, checkpoint: Path | None = None, killed_after: int | None = None
) -> Fitted:
    def watch(number: int, epoch: Epoch, predictions: Predictions) -> None:
        if number == killed_after:
            raise KilledError

    return fit(BinaryHead(), hyper, EDGES, rows(300, 0), rows(100, 1), 5, checkpoint, watch)


def assert_same(one: Fitted, other: Fitted) -> None:
    assert one.history == other.history
    assert one.best == other.best
    for (name, weight), same in zip(
        one.network.state_dict().items(), other.network.state_dict().values(), strict=True
    ):
        assert torch.equal(weight, same), name


@BOTH
def test_a_rule_is_learnt(hyper: Hyperparameters) -> None:
    hyper = replace(hyper, epochs=40, patience=40)
    fitted = run(hyper)
    validation = rows(100, 1)
    decided = predict(BinaryHead(), fitted.network, validation.features) >= 0.5
    assert (decided == validation.target.numpy().astype(bool)).mean() > 0.88
    assert fitted.history[-1].train_loss < fitted.history[0].train_loss / 1.5


@pytest.mark.parametrize(("hyper", "imbalance"), QUICK_AND_LONG)
def test_the_same_seed_gives_the_same_bits(hyper: Hyperparameters, imbalance: str) -> None:
    hyper = replace(hyper, imbalance=imbalance)
    torch.manual_seed(1)
    one = run(hyper)
    torch.manual_seed(2)
    assert_same(one, run(hyper))


@pytest.mark.parametrize(
    ("hyper", "imbalance"),
    [each for each in QUICK_AND_LONG if each.values[1] != "weights"],
)
def test_an_interrupted_fit_ends_in_the_same_bits(
    hyper: Hyperparameters, imbalance: str, tmp_path: Path
) -> None:
    hyper = replace(hyper, imbalance=imbalance)
    checkpoint = tmp_path / "checkpoint.pt"
    for epoch in (0, 3):
        with pytest.raises(KilledError):
            run(hyper, checkpoint, killed_after=epoch)
        torch.rand(7)
    assert len(load_tensors(checkpoint)["history"]) == 4
    assert_same(run(hyper), run(hyper, checkpoint))
    assert_same(run(hyper), run(hyper, checkpoint))


def test_the_dropout_of_a_resumed_fit_continues_and_does_not_restart(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(KilledError):
        run(FAST, checkpoint, killed_after=3)
    values = load_tensors(checkpoint)
    values["dropout"] = torch.Generator().manual_seed(0).get_state()
    save_tensors(checkpoint, values)
    assert run(FAST, checkpoint).history != run(FAST).history


def test_random_numbers_and_threads_are_left_as_they_were() -> None:
    torch.manual_seed(9)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    run(FAST)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_the_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    run(replace(FAST, epochs=1), checkpoint)
    with pytest.raises(TrimaranError, match="belongs to another training; delete it"):
        run(FAST_TABNET, checkpoint)
    checkpoint.write_bytes(b"torn")
    with pytest.raises(TrimaranError, match="cannot be read as tensors"):
        run(FAST, checkpoint)


def test_a_loss_that_is_not_finite_is_reported() -> None:
    broken = Rows(torch.full((64, 2), torch.nan), torch.ones(64))
    with pytest.raises(DivergedError, match="lower the learning rate"):
        fit(BinaryHead(), FAST, EDGES, broken, rows(100, 1), 0)


def test_weights_and_resampling_raise_the_probabilities() -> None:
    plain, weights, resampled = (
        predict(
            BinaryHead(), run(replace(FAST, imbalance=name)).network, rows(100, 1).features
        ).mean()
        for name in ("none", "weights", "resample")
    )
    assert weights > plain + 0.05
    assert resampled > plain + 0.05


def test_resampling_draws_both_outcomes_as_often() -> None:
    target = torch.zeros(1000)
    target[:100] = 1
    weights = BinaryHead().row_weights(target)
    loader = batches(
        Rows(torch.zeros(1000, 1), target), 100, weights, torch.Generator().manual_seed(0)
    )
    drawn = torch.cat([part for _, part in loader])
    assert len(drawn) == 1000
    assert 0.45 < float(drawn.mean()) < 0.55


def test_a_last_batch_of_one_row_is_left_out() -> None:
    for count, sizes in ((129, [64, 64]), (130, [64, 64, 2])):
        loader = batches(rows(count, 0), 64, None, torch.Generator())
        assert [len(target) for _, target in loader] == sizes


@pytest.mark.parametrize(
    ("losses", "best", "over"),
    [
        ([], 0, False),
        ([1.0], 0, False),
        ([1.0, 0.5, 0.6], 1, False),
        ([1.0, 0.5, 0.6, 0.7], 1, True),
        ([1.0, 0.5, 0.499999, 0.499998], 1, True),
        ([5.0, 4.0, 3.0, 2.0, 1.0], 4, True),
    ],
)
def test_when_a_fit_is_over(losses: list[float], best: int, over: bool) -> None:
    assert best_epoch(losses) == best
    assert is_over(losses, epochs=5, patience=2) is over


def test_the_learning_rate_warms_up_and_falls() -> None:
    factors = [learning_rate_factor(step, 10, 100) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == factors[9] > 0.97
    assert factors[9:] == sorted(factors[9:], reverse=True)
    assert factors[-1] < 0.001


def test_equal_tensors_make_equal_files(tmp_path: Path) -> None:
    state = run(FAST).network.state_dict()
    for name in ("a.pt", "another.pt"):
        save_tensors(tmp_path / name, state)
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "another.pt").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pt", "another.pt"]
