"""The model, trained here on a few texts. `trimaran export` compares its export with it."""

from __future__ import annotations

import numpy as np
import torch
from pipeline import COLUMNS, my_project_words
from torch import nn

from trimaran import ModelSpec

PRAISE = [
    "a great product, I love it",
    "excellent quality and fast delivery",
    "works well, very happy with it",
    "friendly service, thank you",
    "the best that I ever bought",
    "easy to use and beautiful",
]
COMPLAINTS = [
    "broken after a day, I want my money back",
    "terrible quality, it does not work",
    "late delivery and rude service",
    "the worst that I ever bought",
    "very unhappy, a waste of money",
    "hard to use and ugly",
]


def network() -> ModelSpec:
    """What `trimaran export` exports, as `my_project_network_onnx`: words to the probability."""
    torch.manual_seed(0)
    texts = np.array([[text.encode()] for text in PRAISE + COMPLAINTS], dtype=object)
    words = torch.from_numpy(my_project_words.answer(text=texts)["words"])
    outcomes = torch.tensor([[1.0]] * len(PRAISE) + [[0.0]] * len(COMPLAINTS))
    module = nn.Sequential(nn.Linear(COLUMNS, 1), nn.Sigmoid())
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy(module(words), outcomes).backward()
        optimizer.step()
    return ModelSpec(
        name="my_project_network",
        module=module.eval(),
        example_inputs={"words": words[:2]},  # the first axis is the batch
        output_names=["praise"],
    )
