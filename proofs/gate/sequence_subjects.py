"""Subjects that take sequences of any length: tokens, signals, steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from proofs.gate.subject import Draw, Subject

__all__ = ["sequence_subjects"]

_WORDS, _WIDTH, _MOST = 24, 8, 24


def sequence_subjects() -> Iterator[Subject]:
    """Recurrent, convolutional and attending ones."""
    steps = _draws(_steps)
    tokens = _draws(_tokens)
    padded = _draws(_tokens, lambda ends: {"missing": ~ends})
    counted = _draws(_tokens, lambda ends: {"attention_mask": ends.astype(np.int64)})
    yield _subject("gru", lambda: Recurrent(nn.GRU), steps, ("steps",))
    yield _subject("lstm", lambda: Recurrent(nn.LSTM, True), steps, ("steps",))
    yield _subject("conv1d", Dilated, steps, ("steps",))
    yield _subject("differences", Differences, steps, ("steps",), least=3)
    yield _subject("encoder", Encoder, padded, ("tokens", "missing"))
    yield _subject("causal_attention", Causal, tokens, ("tokens",))
    yield _subject("positions", Positions, tokens, ("tokens",), least=2)
    yield _subject("bag_of_words", Bag, tokens, ("tokens",))
    yield _subject("masked_mean", MaskedMean, counted, ("tokens", "attention_mask"))


def _subject(
    name: str, build: Callable[[], nn.Module], draw: Draw, inputs: tuple[str, ...], least: int = 1
) -> Subject:
    axes: Any = {item: {1: ("length", least, _MOST)} for item in inputs}
    return Subject(name, build, draw, ("answer",), axes, {"length": 9})


def _steps(rng: np.random.Generator, rows: int, length: int) -> tuple[str, np.ndarray]:
    """Measurements that wander, `[rows, length, 5]`."""
    walk = rng.normal(0, 1, (rows, 1, 5)) + rng.normal(0, 0.4, (rows, length, 5)).cumsum(1)
    return "steps", walk.astype(np.float32)


def _tokens(rng: np.random.Generator, rows: int, length: int) -> tuple[str, np.ndarray]:
    """Words, a few of which are frequent."""
    weights = 1 / np.arange(1, _WORDS + 1)
    return "tokens", rng.choice(_WORDS, (rows, length), p=weights / weights.sum())


def _draws(
    first: Callable[[np.random.Generator, int, int], tuple[str, np.ndarray]],
    more: Callable[[np.ndarray], dict[str, np.ndarray]] = lambda ends: {},
) -> Draw:
    """Draws the first input, and what else comes from where each row ends."""

    def draw(
        rng: np.random.Generator, rows: int, lengths: Mapping[str, int]
    ) -> dict[str, np.ndarray]:
        length = lengths["length"]
        name, array = first(rng, rows, length)
        kept = np.where(rng.random(rows) < 0.3, length, rng.integers(1, length + 1, rows))
        return {name: array, **more(np.arange(length) < kept[:, None])}

    return draw


class Recurrent(nn.Module):
    """The last step of a recurrent layer, after a layer norm."""

    def __init__(self, kind: Any, both_ways: bool = False) -> None:
        super().__init__()
        self.layer = kind(5, 6, batch_first=True, bidirectional=both_ways)
        width = 12 if both_ways else 6
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 3)

    def forward(self, steps: Tensor) -> Tensor:
        hidden, _ = self.layer(steps)
        return self.head(self.norm(hidden[:, -1]))


class Dilated(nn.Module):
    """WaveNet's gated layers, and a class for each step."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv1d(5, 10, 3, padding=d, dilation=d) for d in (1, 2))
        self.head = nn.Conv1d(5, 3, 1)

    def forward(self, steps: Tensor) -> Tensor:
        x = steps.transpose(1, 2)
        for layer in self.layers:
            value, gate = layer(x).chunk(2, 1)
            x = x + value.tanh() * gate.sigmoid()
        return self.head(x).transpose(1, 2)


class Differences(nn.Module):
    """From one step to the next, and statistics over all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(5, 8), nn.Linear(24, 2)

    def forward(self, steps: Tensor) -> Tensor:
        moved = self.first(steps[:, 1:] - steps[:, :-1])
        x = functional.softplus(moved) - 0.5
        return self.head(torch.cat([x.mean(1), x.amax(1), x[:, -2:].sum(1)], dim=1))


class Encoder(nn.Module):
    """PyTorch's own encoder with a padding mask: true where a token is missing."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(_WORDS, _WIDTH)
        layer = nn.TransformerEncoderLayer(
            _WIDTH, 2, 16, batch_first=True, activation=functional.gelu
        )
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(_WIDTH, 3)

    def forward(self, tokens: Tensor, missing: Tensor) -> Tensor:
        hidden = self.encoder(self.embedding(tokens), src_key_padding_mask=missing)
        return self.head(hidden[:, 0])


class Causal(nn.Module):
    """Attention to earlier steps alone, written by hand, and scores for the next word."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(_WORDS, _WIDTH)
        self.project, self.out = nn.Linear(_WIDTH, 3 * _WIDTH), nn.Linear(_WIDTH, _WIDTH)
        self.norm = nn.LayerNorm(_WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        length = tokens.shape[1]
        query, key, value = (
            part.reshape(-1, length, 2, _WIDTH // 2).transpose(1, 2)
            for part in self.project(self.norm(x)).chunk(3, dim=-1)
        )
        scores = query @ key.transpose(-1, -2) / math.sqrt(_WIDTH // 2)
        place = torch.arange(length, device=tokens.device)
        scores = scores.masked_fill(place[None, :] > place[:, None], -1e9)
        mixed = (scores.softmax(-1) @ value).transpose(1, 2).reshape(-1, length, _WIDTH)
        return (x + self.out(mixed)) @ self.embedding.weight.T


class Positions(nn.Module):
    """Sines and learned positions, cut to the length that comes."""

    sines: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(_WORDS, _WIDTH)
        self.learned = nn.Parameter(torch.zeros(_MOST, _WIDTH))
        angles = torch.arange(float(_MOST))[:, None] / 10 ** torch.linspace(0, 2, _WIDTH // 2)
        self.register_buffer("sines", torch.cat([angles.sin(), angles.cos()], 1))
        self.head = nn.Linear(2 * _WIDTH, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        x = self.embedding(tokens) * _WIDTH**0.5 + self.learned[:length] + self.sines[:length]
        return self.head(torch.cat([x[:, 1:], x[:, :-1].flip(1)], dim=-1)).tanh()


class Bag(nn.Module):
    """The mean and the largest of embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(_WORDS, _WIDTH)
        self.head = nn.Sequential(nn.Linear(2 * _WIDTH, 8), nn.SiLU(), nn.Linear(8, 3))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        return self.head(torch.cat([x.mean(1), x.amax(1)], dim=1)).log_softmax(-1)


class MaskedMean(nn.Module):
    """A sentence's embedding: the mean of the tokens that are there, of length one."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(_WORDS, _WIDTH)
        self.layer, self.norm = nn.Linear(_WIDTH, _WIDTH), nn.LayerNorm(_WIDTH, eps=1e-5)

    def forward(self, tokens: Tensor, attention_mask: Tensor) -> Tensor:
        x = functional.gelu(self.norm(self.layer(self.embedding(tokens))), approximate="tanh")
        mask = attention_mask.unsqueeze(-1).to(x.dtype)
        return functional.normalize((x * mask).sum(1) / mask.sum(1).clamp(min=1.0), dim=-1)
