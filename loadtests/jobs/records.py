"""A flat record to the probability that the customer leaves: read strictly, transform, network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from loadtests.jobs.files import JobFiles
from loadtests.jobs.session import open_session
from loadtests.jobs.sources import published_module

if TYPE_CHECKING:
    from trimaran.served import records, transform
    from trimaran.served.records import Table

__all__ = ["Records"]


class Records:
    """A version of a model that scores records, in this process.

    An answer is `churn_probability` and `churn_prediction`. What the record policy refuses raises
    `ValueError`.
    """

    def __init__(self, files: JobFiles, threads: int = 1) -> None:
        directory = Path(files.directories["record"])
        if TYPE_CHECKING:
            records_module, transform_module = records, transform
        else:
            records_module = published_module(directory / "trimaran/served/records.py")
            transform_module = published_module(directory / "trimaran/served/transform.py")
        self.transform = transform_module.Transform.read(directory / "transform.json")
        fields = [records_module.Field(**field) for field in self.transform.data.fields]
        self.reader = records_module.RecordReader(fields, self.transform.data.identifier)
        self._session = open_session(directory / "model.onnx", threads)

    def answer(self, data: bytes) -> dict[str, Any]:
        """The answer to one record, a flat JSON object."""
        return self.answer_many([data])[0]

    def answer_many(self, batch: Sequence[bytes]) -> list[dict[str, Any]]:
        """The answers to several records, with one call of the network."""
        return self.score(self.reader.from_json(batch))

    def answer_records(self, batch: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """As `answer_many`, for records that the server has parsed."""
        return self.score(self.reader.from_records(batch))

    def answer_checked(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """As `answer`, for a record that the server has checked: every field is there, or None."""
        numbers = np.array([[record[name] for name in self.transform.number_names]], np.float32)
        texts = [[record[name] or None] for name in self.transform.category_names]
        codes = self.transform.encode(texts)
        return self._answers(self.transform.apply(numbers.astype(np.float64), codes))[0]

    def features(self, table: Table) -> np.ndarray:
        """The network's input, float32 `[rows, columns]`."""
        return self.transform.apply(table.numbers, self.transform.encode(table.categories))

    def run(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities, float32 `[rows, 1]`, and predictions, bool `[rows, 1]`."""
        probability, prediction = self._session.run(
            ["probability", "prediction"], {"features": features}
        )
        return probability, prediction

    def score(self, table: Table) -> list[dict[str, Any]]:
        """The answers to a table's rows."""
        return self._answers(self.features(table))

    def _answers(self, features: np.ndarray) -> list[dict[str, Any]]:
        probability, prediction = self.run(features)
        return [
            {"churn_probability": chance, "churn_prediction": leaves}
            for chance, leaves in zip(
                probability.ravel().tolist(), prediction.ravel().tolist(), strict=True
            )
        ]
