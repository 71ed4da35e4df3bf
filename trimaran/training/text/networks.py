"""The networks that classify token numbers, int64 `[batch, length]` with 0 as padding.

Each answers the probability of the positive class, float32 `[batch, 1]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from trimaran.served.tokens import PADDING, Encoding

__all__ = ["EncoderClassifier", "MiniLM", "TermsClassifier", "network_of", "probabilities"]

_BATCH = 32
_LEAST_SQUARE = 1e-12
_EPS = 1e-12
"""BERT's, in its normalisations."""


class TermsClassifier(nn.Module):
    """TF-IDF of the tokens, scaled to length 1, and a logistic regression on it.

    A term that occurs n times counts 1 + ln(n), times its inverse document frequency. That is
    shared among the n places where it stands, so nothing of the vocabulary's length is multiplied.
    """

    idf: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, terms: int) -> None:
        super().__init__()
        self.register_buffer("idf", torch.zeros(terms + 1))
        self.register_buffer("weight", torch.zeros(terms + 1))
        self.register_buffer("bias", torch.zeros(1))

    def features(self, tokens: Tensor) -> Tensor:
        """What each token adds to its term's TF-IDF: float32 `[batch, length]`, 0 for padding."""
        ones = torch.ones_like(tokens, dtype=torch.float32)
        zeros = torch.zeros(tokens.shape[0], self.idf.shape[0])
        times = zeros.scatter_add(1, tokens, ones).gather(1, tokens)
        weighed = (1 + times.log()) * self.idf[tokens]
        squares = (weighed.square() / times).sum(1, keepdim=True)
        return weighed / times / squares.clamp(min=_LEAST_SQUARE).sqrt()

    def forward(self, tokens: Tensor) -> Tensor:
        weighed = self.features(tokens) * self.weight[tokens]
        return (weighed.sum(1, keepdim=True) + self.bias).sigmoid()


class MiniLM(nn.Module):
    """BERT's encoder in the size of MiniLM-L6-H384, and the mean of its tokens with length 1.

    J. Devlin et al., "BERT" (2018); W. Wang et al., "MiniLM" (2020); N. Reimers and I. Gurevych,
    "Sentence-BERT" (2019).
    """

    def __init__(
        self,
        vocabulary: int = 30522,
        positions: int = 512,
        width: int = 384,
        layers: int = 6,
        heads: int = 12,
        inner: int = 1536,
    ) -> None:
        super().__init__()
        self.embeddings = _Embeddings(vocabulary, positions, width)
        self.layers = nn.ModuleList(_Layer(width, heads, inner) for _ in range(layers))

    def forward(self, tokens: Tensor) -> Tensor:
        """Sentence embeddings, float32 `[batch, width]`."""
        real = tokens != PADDING
        hidden = self.embeddings(tokens)
        # A row without any token would have nothing to attend to, and so attends to its padding.
        empty = ~real.any(1, keepdim=True)
        attended = (real | empty)[:, None, None, :]
        for layer in self.layers:
            hidden = layer(hidden, attended)
        weights = real.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)
        return functional.normalize(mean)


class EncoderClassifier(nn.Module):
    """An encoder of sentences, and a logistic regression on its embeddings."""

    def __init__(self, encoder: MiniLM, width: int = 384) -> None:
        super().__init__()
        self.encoder = encoder
        self.linear = nn.Linear(width, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.logits(tokens).sigmoid()

    def logits(self, tokens: Tensor) -> Tensor:
        """float32 `[batch, 1]`, before the sigmoid."""
        return self.linear(self.encoder(tokens))


class _Embeddings(nn.Module):
    def __init__(self, vocabulary: int, positions: int, width: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(positions, width)
        self.kinds = nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width, eps=_EPS)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.words(tokens) + self.positions.weight[: tokens.shape[1]]
        return self.norm(hidden + self.kinds.weight[0])


class _Layer(nn.Module):
    """Attention and a perceptron, each with a shortcut and normalised afterwards."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.joined = nn.Linear(width, width)
        self.joined_norm = nn.LayerNorm(width, eps=_EPS)
        self.inner = nn.Linear(width, inner)
        self.outer = nn.Linear(inner, width)
        self.outer_norm = nn.LayerNorm(width, eps=_EPS)

    def forward(self, hidden: Tensor, attended: Tensor) -> Tensor:
        found = functional.scaled_dot_product_attention(
            self._heads(self.query(hidden)),
            self._heads(self.key(hidden)),
            self._heads(self.value(hidden)),
            attn_mask=attended,
        )
        hidden = self.joined_norm(self.joined(found.transpose(1, 2).flatten(2)) + hidden)
        return self.outer_norm(self.outer(functional.gelu(self.inner(hidden))) + hidden)

    def _heads(self, hidden: Tensor) -> Tensor:
        return hidden.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def probabilities(
    network: nn.Module,
    encoding: Encoding,
    rows: Sequence[Sequence[int]],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> npt.NDArray[np.float32]:
    """The probability of each row of tokens, float32 `[rows]`.

    Rows of like length are computed together, and padded as they are when they are served.
    `progress` is called with the rows that are done, and all of them.
    """
    found = np.empty(len(rows), np.float32)
    order = np.argsort([len(row) for row in rows], kind="stable")
    with torch.inference_mode():
        for start in range(0, len(order), _BATCH):
            progress(start, len(order))
            batch = order[start : start + _BATCH]
            tokens = torch.from_numpy(encoding.padded([rows[row] for row in batch]))
            found[batch] = network(tokens)[:, 0].numpy()
    return found


def network_of(model: str, state: Mapping[str, Tensor]) -> nn.Module:
    """The network of the model `tfidf` or `encoder` with its weights."""
    network: nn.Module
    if model == "tfidf":
        network = TermsClassifier(len(state["idf"]) - 1)
    else:
        network = EncoderClassifier(MiniLM())
    network.load_state_dict(state)
    return network
