"""Fitting: TF-IDF with a logistic regression, and an encoder with one, frozen and fine-tuned.

The regressions are scikit-learn's, with the strength C of least log loss on the validation part.
What is fitted becomes a network, and every score is the network's. Fine-tuning begins with the
regression on the frozen encoder.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_matrix, vstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from torch import nn

from trimaran.served.tokens import Encoding, terms
from trimaran.training.progress import Watch
from trimaran.training.text import minilm
from trimaran.training.text.data import Flags, Parts, TextData
from trimaran.training.text.embedding import embeddings
from trimaran.training.text.networks import EncoderClassifier, TermsClassifier
from trimaran.training.text.tuning import Tuning, tune

__all__ = ["ENCODINGS", "SETTINGS", "Fitted", "fine_tuned", "fit_encoder", "fit_terms"]

ENCODINGS = {
    "tfidf": Encoding("terms", (64, 128, 256, 512, 1024)),
    "encoder": Encoding("wordpieces", tuple(range(8, minilm.LENGTH + 1, 8))),
}
"""By model; `docs/text.md` says how the lengths were found."""

_MOST_TERMS = 20_000
_FEWEST_TEXTS = 2
"""A term of fewer training texts is left out."""
_STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_BATCH = 64
_ITERATIONS = 2_000

SETTINGS = {
    "most_terms": _MOST_TERMS,
    "fewest_texts": _FEWEST_TEXTS,
    "strengths": list(_STRENGTHS),
    "iterations": _ITERATIONS,
}
"""What decides a fit besides the table."""

Matrix: TypeAlias = "csr_matrix | npt.NDArray[np.float32]"


@dataclass(frozen=True)
class Fitted:
    """A network with what turns texts into its tokens."""

    network: nn.Module
    encoding: Encoding
    vocabulary: str
    """The content of `vocabulary.json`."""
    tokens: Sequence[Sequence[int]]
    """Of every text of the table."""
    losses: dict[str, float]
    """The log loss on the validation part by what it was chosen from: C, or the epoch."""
    probability: npt.NDArray[np.float32] | None = None
    """Of every text, where fitting computed it."""


def fit_terms(data: TextData, parts: Parts, watch: Watch) -> Fitted:
    """TF-IDF of words and pairs of words. Nothing but the training part decides the terms."""
    encoding = ENCODINGS["tfidf"]
    watch("counting words", 0, 1)
    vectorizer = TfidfVectorizer(
        analyzer=terms, min_df=_FEWEST_TEXTS, max_features=_MOST_TERMS, sublinear_tf=True
    )
    vectorizer.fit([data.texts[row] for row in parts.train])
    names = vectorizer.get_feature_names_out()
    vocabulary = json.dumps({name: place for place, name in enumerate(names, 1)})
    tokens = [row for row, _ in encoding.tokenizer(vocabulary).encode(data.texts)]
    network = TermsClassifier(len(names))
    network.idf[1:] = torch.from_numpy(vectorizer.idf_.astype(np.float32))
    features = _features(network, encoding, tokens)
    best, losses = _fit_linear(features, data.target, parts, watch)
    network.weight.copy_(torch.from_numpy(best.coef_[0].astype(np.float32)))
    network.bias.copy_(torch.from_numpy(best.intercept_.astype(np.float32)))
    return Fitted(network.eval(), encoding, vocabulary, tokens, losses)


def fit_encoder(data: TextData, parts: Parts, directory: Path, watch: Watch) -> Fitted:
    """A head on the frozen encoder. Embeddings are kept in `directory` until the run is finished.

    Raises `TrimaranError` when the encoder cannot be downloaded.
    """
    encoding = ENCODINGS["encoder"]
    watch("loading the encoder", 0, 1)
    vocabulary = minilm.vocabulary()
    tokens = [row for row, _ in encoding.tokenizer(vocabulary).encode(data.texts)]
    network = EncoderClassifier(minilm.encoder())
    found = embeddings(network.encoder, encoding, tokens, directory, watch)
    best, losses = _fit_linear(found, data.target, parts, watch)
    with torch.no_grad():
        network.linear.weight.copy_(torch.from_numpy(best.coef_.astype(np.float32)))
        network.linear.bias.copy_(torch.from_numpy(best.intercept_.astype(np.float32)))
        probability = network.linear(torch.from_numpy(found)).sigmoid()[:, 0].numpy()
    return Fitted(network.eval(), encoding, vocabulary, tokens, losses, probability)


def fine_tuned(
    frozen: Fitted,
    data: TextData,
    parts: Parts,
    tuning: Tuning,
    seed: int,
    directory: Path,
    watch: Watch,
) -> Fitted:
    """A copy of what `fit_encoder` gave, fine-tuned; a checkpoint is kept in `directory`."""
    network = cast(EncoderClassifier, copy.deepcopy(frozen.network))
    begun = min(frozen.losses.values())
    losses = tune(
        network,
        begun,
        frozen.encoding,
        frozen.tokens,
        data.target,
        parts,
        tuning,
        seed,
        directory,
        watch,
    )
    by_epoch = {f"epoch {number}": loss for number, loss in enumerate([begun, *losses])}
    return replace(frozen, network=network.eval(), losses=by_epoch, probability=None)


def _features(
    network: TermsClassifier, encoding: Encoding, tokens: Sequence[Sequence[int]]
) -> csr_matrix:
    """The network's own TF-IDF, float32 `[texts, terms + 1]`."""
    pieces = []
    with torch.inference_mode():
        for start in range(0, len(tokens), _BATCH):
            batch = encoding.padded(tokens[start : start + _BATCH])
            values = network.features(torch.from_numpy(batch)).numpy()
            places = np.repeat(np.arange(len(batch)), batch.shape[1]), batch.reshape(-1)
            # Values at the same place are added up.
            shape = len(batch), len(network.idf)
            pieces.append(csr_matrix((values.reshape(-1), places), shape=shape))
    return vstack(pieces, "csr")


def _fit_linear(
    features: Matrix, target: Flags, parts: Parts, watch: Watch
) -> tuple[LogisticRegression, dict[str, float]]:
    """The best regression, and the log loss on the validation part by C."""
    losses: dict[str, float] = {}
    best = None
    for place, strength in enumerate(_STRENGTHS):
        watch("fitting", place, len(_STRENGTHS))
        model = LogisticRegression(C=strength, max_iter=_ITERATIONS)
        model.fit(features[parts.train], target[parts.train])
        guessed = model.predict_proba(features[parts.validation])
        name = f"C {strength:g}"
        losses[name] = float(log_loss(target[parts.validation], guessed))
        if best is None or losses[name] == min(losses.values()):
            best = model
    return best, losses
