from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from tests.trimaran.training.tabular.customers import FAST, FAST_TABNET
from trimaran.training.tabular.learning.hyperparameters import Hyperparameters
from trimaran.training.tabular.learning.networks import (
    StepEncoding,
    build_network,
    tree_edges,
)
from trimaran.training.tabular.tasks.binary import Binary
from trimaran.training.tabular.tasks.heads import ThresholdClassifier

EDGES = [np.array([0.0, 1.0]), np.array([]), np.array([-0.5])]


def test_edges_are_where_the_outcome_changes() -> None:
    generator = np.random.default_rng(0)
    features = generator.uniform(-1, 1, (500, 3)).astype(np.float32)
    target = (features[:, 0] > 0.25) & (features[:, 2] < -0.5)
    found = tree_edges(features, target, Binary("yes").tree(4, 5, 0))
    assert [len(edges) for edges in found] == [1, 0, 1]
    assert found[0] == pytest.approx([0.25], abs=0.05)
    assert found[2] == pytest.approx([-0.5], abs=0.05)


def test_a_step_rises_around_its_edge() -> None:
    encoding = StepEncoding(EDGES, 0.1)
    rows = torch.tensor([[0.0, 3.0, 0.0], [0.06, 3.0, -0.49], [2.0, 3.0, -1.0]])
    encoded = encoding(rows)
    assert encoding.out_features == 6
    torch.testing.assert_close(encoded[:, :3], rows)
    expected = torch.tensor([[0.0, -1.0, 1.0], [1.0, -1.0, 0.2], [1.0, 1.0, -1.0]])
    torch.testing.assert_close(encoded[:, 3:], expected)


@pytest.mark.parametrize("hyper", [FAST, FAST_TABNET], ids=["mlp", "tabnet"])
def test_rows_do_not_depend_on_one_another(hyper: Hyperparameters) -> None:
    network = build_network(hyper, EDGES, 1).eval()
    rows = torch.randn(9, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        together = network(rows)
        alone = torch.cat([network(row[None]) for row in rows])
        members = network.members(rows)
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(members.mean(dim=0), together)


@pytest.mark.parametrize("hyper", [FAST, FAST_TABNET], ids=["mlp", "tabnet"])
def test_every_weight_learns(hyper: Hyperparameters) -> None:
    network = build_network(hyper, EDGES, 1)
    rows = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    network.members(rows).square().mean().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0 or ".own." in name or "transformers" in name, name


def test_the_prediction_is_from_the_threshold_on() -> None:
    network = build_network(FAST, EDGES, 1).eval()
    rows = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = network(rows).flatten().sort().values
        middle = torch.sigmoid((logits[49] + logits[50]) / 2).item()
        probability, prediction = ThresholdClassifier(network, middle).eval()(rows)
    assert probability.shape == prediction.shape == (100, 1)
    assert prediction.dtype == torch.bool
    assert int(prediction.sum()) == 50


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:.*is deprecated:FutureWarning")
def test_a_small_probability_has_all_its_digits_in_onnx_runtime() -> None:
    logits = torch.linspace(-16, 2, 64).unsqueeze(1)
    module = ThresholdClassifier(nn.Identity(), 0.5).eval()
    program = torch.onnx.export(module, (logits,), dynamo=True, verbose=False)
    assert program is not None
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    found, _ = session.run(None, {session.get_inputs()[0].name: logits.numpy()})
    exact = 1 / (1 + np.exp(-logits.numpy().astype(np.float64)))
    np.testing.assert_allclose(found, exact, rtol=2e-6)
