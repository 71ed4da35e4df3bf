from __future__ import annotations

import pytest
import torch

from exporters.efficientnet_lite0 import model
from trimaran.served.decoding import to_tensor
from trimaran.training.efficientnet_lite0 import (
    SETTINGS,
    EfficientNetLite0,
    network,
    rename_checkpoint,
)
from trimaran.training.image_data import class_names, photographs


def test_there_are_a_thousand_class_names() -> None:
    names = class_names()
    assert len(names) == 1000
    assert names[0] == "tench, Tinca tinca"
    assert names[281] == "tabby, tabby cat"
    assert names[285] == "Egyptian cat"
    assert names[999].startswith("toilet tissue")


@pytest.mark.parametrize(
    ("photograph", "expected"),
    [
        ("chelsea.png", {"tabby, tabby cat", "tiger cat", "Egyptian cat"}),
        ("coffee.png", {"espresso"}),
        ("rocket.jpg", {"missile", "projectile, missile"}),
        ("motorcycle_left.png", {"moped", "motor scooter, scooter"}),
    ],
)
def test_recognises_photographs(photograph: str, expected: set[str]) -> None:
    names = class_names()
    with torch.no_grad():
        logits = network()(torch.from_numpy(to_tensor(photographs()[photograph], SETTINGS)[None]))
    best = {names[index] for index in logits[0].topk(len(expected)).indices}
    assert best == expected


def test_weights_fit_every_parameter() -> None:
    """The published checkpoint has 296 tensors, and the network a place for each."""
    assert len(EfficientNetLite0().state_dict()) == 296
    with pytest.raises(KeyError):
        rename_checkpoint({"_unknown.weight": torch.zeros(1)})


def test_samples_are_real_and_repeatable() -> None:
    spec = model()
    assert spec.samples is not None
    first, again, other = (spec.samples(3, seed)["image"] for seed in (1, 1, 2))
    assert first.shape == (3, 3, 224, 224)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
