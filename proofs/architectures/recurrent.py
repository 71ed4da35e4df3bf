"""Recurrent networks over a sequence of any length."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from exporters.spec import ModelSpec
from proofs.architectures.architecture import Architecture, randomise

__all__ = ["architectures"]

_FEATURES, _HIDDEN = 5, 8


def architectures() -> Iterator[Architecture]:
    """LSTM, GRU and plain ones: in one direction and both, with their state, and packed."""
    yield Architecture("lstm", "recurrent", lambda: _sequence("lstm", Classifier(nn.LSTM)))
    yield Architecture("gru", "recurrent", lambda: _sequence("gru", Classifier(nn.GRU)))
    yield Architecture("rnn", "recurrent", lambda: _sequence("rnn", Classifier(nn.RNN)))
    yield Architecture(
        "lstm_both_ways",
        "recurrent",
        lambda: _sequence("lstm_both_ways", Classifier(nn.LSTM, bidirectional=True)),
    )
    yield Architecture(
        "gru_both_ways",
        "recurrent",
        lambda: _sequence("gru_both_ways", Classifier(nn.GRU, bidirectional=True)),
    )
    yield Architecture("lstm_with_state", "recurrent", _with_state)
    yield Architecture("gru_cells", "recurrent", _cells)
    yield Architecture("lstm_masked", "recurrent", _masked)
    yield Architecture("lstm_packed", "recurrent", _packed, _PACKED)


_PACKED = {"onnx": "mask what is padded", "aoti": "mask what is padded"}


class Classifier(nn.Module):
    """Token embeddings, two recurrent layers, and the last step's class."""

    def __init__(self, kind: Any, bidirectional: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, _FEATURES, padding_idx=0)
        self.recurrent = kind(
            _FEATURES, _HIDDEN, 2, batch_first=True, dropout=0.1, bidirectional=bidirectional
        )
        self.head = nn.Linear(_HIDDEN * (2 if bidirectional else 1), 3)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden, _ = self.recurrent(self.embedding(tokens))
        return self.head(hidden.mean(1))


def _sequence(name: str, module: nn.Module) -> ModelSpec:
    tokens = torch.stack([torch.arange(7), torch.arange(13, 20)])
    axes = {"tokens": {1: ("sequence", 1, 24)}}
    return ModelSpec(name, randomise(module), {"tokens": tokens}, ["logits"], dynamic_axes=axes)


class Stateful(nn.Module):
    """One call of a stream: the state comes in and goes out, `[batch, layers, hidden]`."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(_FEATURES, _HIDDEN, 2, batch_first=True)

    def forward(self, x: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Any, ...]:
        state = hidden.transpose(0, 1).contiguous(), cell.transpose(0, 1).contiguous()
        y, (hidden, cell) = self.lstm(x, state)
        return y, (hidden.transpose(0, 1), cell.transpose(0, 1))


def _with_state() -> ModelSpec:
    state = torch.randn(2, 2, _HIDDEN)
    return ModelSpec(
        "lstm_with_state",
        randomise(Stateful()),
        {"x": torch.randn(2, 6, _FEATURES), "hidden": state, "cell": state * 0.5},
        ["y", "hidden_out", "cell_out"],
        dynamic_axes={"x": {1: ("sequence", 1, 24)}},
    )


class Cells(nn.Module):
    """A loop over the steps, written by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(_FEATURES, _HIDDEN)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros((x.size(0), _HIDDEN))
        for step in range(x.size(1)):
            state = self.cell(x[:, step], state)
        return state


def _cells() -> ModelSpec:
    x = torch.randn(2, 6, _FEATURES)
    return ModelSpec("gru_cells", randomise(Cells()), {"x": x}, ["state"])


class Masked(Classifier):
    """Sequences of several lengths, marked by a mask: what packing is for, without it."""

    def __init__(self) -> None:
        super().__init__(nn.LSTM)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:  # type: ignore[override]
        hidden, _ = self.recurrent(self.embedding(tokens))
        last = (lengths.clamp(1, tokens.shape[1]) - 1).reshape(-1, 1, 1)
        return self.head(hidden.gather(1, last.expand(-1, 1, _HIDDEN)).squeeze(1))


def _masked() -> ModelSpec:
    return _of_lengths("lstm_masked", Masked())


class Packed(Classifier):
    """The same by `pack_padded_sequence`."""

    def __init__(self) -> None:
        super().__init__(nn.LSTM)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:  # type: ignore[override]
        packed = pack_padded_sequence(
            self.embedding(tokens), lengths, batch_first=True, enforce_sorted=False
        )
        _, (hidden, _) = self.recurrent(packed)
        return self.head(hidden[-1])


def _packed() -> ModelSpec:
    return _of_lengths("lstm_packed", Packed())


def _of_lengths(name: str, module: nn.Module) -> ModelSpec:
    def samples(rows: int, seed: int, lengths: dict[str, int] | None = None) -> dict[str, Tensor]:
        longest = (lengths or {}).get("sequence", 7)
        generator = torch.Generator().manual_seed(seed)
        return {
            "tokens": torch.randint(1, 20, (rows, longest), generator=generator),
            "lengths": torch.randint(1, longest + 1, (rows,), generator=generator),
        }

    axes = {"tokens": {1: ("sequence", 1, 24)}}
    return ModelSpec(
        name, randomise(module), samples(2, 0), ["logits"], dynamic_axes=axes, samples=samples
    )
