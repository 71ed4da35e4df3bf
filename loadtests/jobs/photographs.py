"""A photograph to labels: decode, network, ranking."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from loadtests.jobs.files import JobFiles
from loadtests.jobs.session import open_session
from loadtests.jobs.sources import published_module

if TYPE_CHECKING:
    from trimaran.served import decoding, ranking

__all__ = ["Photographs"]


class Photographs:
    """An image ensemble's release in this process.

    `threads` are the network's intra-op threads, and as many decode the photographs of a batch.
    An answer is `label` and `probability`, lists of `top`, best first. Bytes that are no photograph
    raise `ValueError`.
    """

    def __init__(self, files: JobFiles, threads: int = 1) -> None:
        parts = {part: Path(directory) for part, directory in files.directories.items()}
        preprocess, labels = parts["preprocess"], parts["labels"]
        if TYPE_CHECKING:
            self._decoding, self._ranking = decoding, ranking
        else:
            self._decoding = published_module(preprocess / "trimaran/served/decoding.py")
            self._ranking = published_module(labels / "trimaran/served/ranking.py")
        text = (preprocess / "preprocess.json").read_text(encoding="utf-8")
        self._settings = self._decoding.ImageSettings(**json.loads(text))
        self._labels = (labels / "labels.txt").read_text(encoding="utf-8").splitlines()
        self._top = files.top
        self._session = open_session(parts["classifier"] / "model.onnx", threads)
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[0].name
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def answer(self, data: bytes) -> dict[str, Any]:
        """The labels of one JPEG, PNG or WebP file."""
        return self.classify(self.prepare(data)[np.newaxis])[0]

    def answer_many(self, batch: Sequence[bytes]) -> list[dict[str, Any]]:
        """The labels of several photographs, with one call of the network."""
        prepared = self._pool.map(self.prepare, batch) if self._pool else map(self.prepare, batch)
        return self.classify(np.stack(list(prepared)))

    def prepare(self, data: bytes) -> np.ndarray:
        """A photograph as the network wants it: float32 `[3, size, size]`."""
        return self._decoding.to_tensor(data, self._settings)

    def run(self, pixels: np.ndarray) -> np.ndarray:
        """The network's logits, float32 `[batch, classes]`, of float32 `[batch, 3, size, size]`."""
        return cast(np.ndarray, self._session.run([self._output], {self._input: pixels})[0])

    def rank(self, logits: np.ndarray) -> list[dict[str, Any]]:
        """Answers from logits."""
        classes, probabilities = self._ranking.rank(logits, self._top)
        return [
            {"label": self._names(best), "probability": row}
            for best, row in zip(classes.tolist(), probabilities.tolist(), strict=True)
        ]

    def classify(self, pixels: np.ndarray) -> list[dict[str, Any]]:
        """Answers from prepared photographs, float32 `[batch, 3, size, size]`."""
        return self.rank(self.run(pixels))

    def _names(self, classes: Iterable[int]) -> list[str]:
        return [self._labels[index] for index in classes]
