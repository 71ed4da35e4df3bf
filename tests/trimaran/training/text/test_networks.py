"""The networks of texts, compared with the libraries whose models they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from torch import nn

from trimaran.served.tokens import Encoding, terms
from trimaran.training.text.data import Parts
from trimaran.training.text.embedding import embeddings
from trimaran.training.text.networks import EncoderClassifier, MiniLM, TermsClassifier
from trimaran.training.text.tuning import CHECKPOINT, Tuning, tune

TEXTS = [
    "Good tea, good price. Really GOOD!",
    "not good at all",
    "bad tea and bad coffee",
    "the price is not bad",
    "unknown words",
]
ENCODING = Encoding("terms", (4, 8, 16, 32))


class Killed(BaseException):
    """What a kill looks like inside of a process."""


def test_the_network_of_terms_is_scikit_learns_tfidf() -> None:
    vectorizer = TfidfVectorizer(analyzer=terms, sublinear_tf=True).fit(TEXTS[:4])
    names = vectorizer.get_feature_names_out()
    vocabulary = json.dumps({name: place for place, name in enumerate(names, 1)})
    rows = [row for row, _ in ENCODING.tokenizer(vocabulary).encode(TEXTS)]
    network = TermsClassifier(len(names))
    network.idf[1:] = torch.from_numpy(vectorizer.idf_.astype(np.float32))
    network.weight.copy_(torch.randn(len(names) + 1, generator=torch.manual_seed(0)))
    network.bias.fill_(0.5)
    logits = vectorizer.transform(TEXTS) @ network.weight[1:].numpy() + 0.5
    expected = 1 / (1 + np.exp(-logits))
    for length in (32, 64):
        tokens = np.zeros((len(rows), length), np.int64)
        for place, row in enumerate(rows):
            tokens[place, : len(row)] = row
        found = network(torch.from_numpy(tokens))[:, 0].numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found[-1] == pytest.approx(1 / (1 + np.exp(-0.5)))  # no known word


def tiny() -> EncoderClassifier:
    torch.manual_seed(0)
    encoder = MiniLM(vocabulary=40, positions=16, width=8, layers=1, heads=2, inner=16)
    return EncoderClassifier(encoder, 8).eval()


def rows_of(count: int) -> list[list[int]]:
    generator = np.random.default_rng(0)
    return [generator.integers(1, 40, generator.integers(1, 17)).tolist() for _ in range(count)]


def test_padding_and_other_rows_change_no_embedding() -> None:
    rows = rows_of(6)
    network = tiny().encoder
    with torch.inference_mode():
        together = network(torch.from_numpy(ENCODING.padded(rows)))
        alone = [network(torch.tensor([row])) for row in rows]
        padding = network(torch.zeros(1, 4, dtype=torch.int64))
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-5, atol=1e-6)
    assert torch.isfinite(padding).all()


def test_reading_texts_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    rows = rows_of(300)
    encoder = tiny().encoder
    whole = embeddings(encoder, ENCODING, rows, tmp_path / "whole", lambda *_: None)

    def kill(what: str, done: int, total: int) -> None:
        if done:
            raise Killed

    with pytest.raises(Killed):
        embeddings(encoder, ENCODING, rows, tmp_path / "killed", kill)
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "killed").iterdir()}
    assert len(kept) == 1
    found = embeddings(encoder, ENCODING, rows, tmp_path / "killed", lambda *_: None)
    (name,) = kept
    assert (tmp_path / "killed" / name).stat().st_mtime_ns == kept[name]
    np.testing.assert_array_equal(found, whole)


@pytest.mark.long
def test_fine_tuning_goes_on_where_it_was_killed_and_learns(tmp_path: Path) -> None:
    rows = rows_of(160)
    target = np.array([7 in row or 9 in row for row in rows])
    numbers = np.arange(len(rows))
    parts = Parts(numbers[:120], numbers[120:140], numbers[140:])
    tuning = Tuning(epochs=3, batch_size=8, learning_rate=1e-2, length=12)

    def tuned(network: nn.Module, directory: Path, most: int = 1_000) -> list[float]:
        def watch(what: str, done: int, total: int) -> None:
            if done >= most:
                raise Killed

        assert isinstance(network, EncoderClassifier)
        return tune(network, 0.7, ENCODING, rows, target, parts, tuning, 0, directory, watch)

    whole, resumed = tiny(), tiny()
    losses = tuned(whole, tmp_path / "whole")
    assert len(losses) == 3
    assert losses[-1] < losses[0] < 0.7
    with pytest.raises(Killed):
        tuned(tiny(), tmp_path / "killed", most=37)
    assert (tmp_path / "killed" / CHECKPOINT).is_file()
    assert tuned(resumed, tmp_path / "killed") == losses
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=0)
