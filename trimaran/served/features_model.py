"""Triton's side of the transform: a record's named fields to `FEATURES` FP32 `[width]`.

Every field is an optional input `[1]`: FP32 for a number, BYTES for a category, a date or a text.
`records.py` is the policy for missing, unknown and refused values.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from trimaran.served.answering import answer_each, load, refuse_parameters
from trimaran.served.counters import Counters
from trimaran.served.failures import counted
from trimaran.served.pulse import beating
from trimaran.served.records import RecordError, Table

if TYPE_CHECKING:
    import triton_python_backend_utils as pb_utils

__all__ = ["TritonPythonModel"]


class Rows:
    """One request's columns, by the name of the field."""

    def __init__(self, columns: dict[str, np.ndarray]) -> None:
        self.columns = columns
        self.length = len(next(iter(columns.values())))

    def __len__(self) -> int:
        return self.length


@beating
@counted
class TritonPythonModel:
    """One instance of one version; the transform is in that version's `transform.json`."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the transform."""
        self.name = args["model_name"]
        directory, self.transform, self.reader = load(args)
        self.counters = Counters(args, directory)

    def execute(
        self, requests: list[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        """Transform all rows of all requests at once."""
        return answer_each(
            requests, self.take, self.read, self.score, self.counters.refuse, step=self.name
        )

    def finalize(self) -> None:
        """Report the last counts while Triton still takes reports."""
        self.counters.close()

    def take(self, request: pb_utils.InferenceRequest) -> Rows:
        """A request's tensors. Raises `RecordError`."""
        refuse_parameters(self.reader, request)
        columns = {
            tensor.name(): tensor.as_numpy()[:, 0]
            for tensor in request.inputs()
            if tensor.name() != self.transform.data.identifier
        }
        if not columns:
            raise RecordError(f"there is no field; expected: {', '.join(self.reader.names)}")
        return Rows(columns)

    def read(self, requests: Sequence[Rows]) -> Table:
        """One table of the requests' rows. Raises `RecordError`."""
        lengths = [len(rows) for rows in requests]
        numbers = np.full((sum(lengths), len(self.reader.numbers)), np.nan, dtype=np.float32)
        start = 0
        for rows, length in zip(requests, lengths, strict=True):
            for place, field in enumerate(self.reader.numbers):
                values = rows.columns.get(field.name)
                if values is not None:
                    numbers[start : start + length, place] = values
            start += length
        dates = [self.texts(requests, field.name) for field in self.reader.dates]
        by_row = enumerate(zip(*dates, strict=True))
        days = [self.reader.days_of_row(row, values) for row, values in by_row]
        return self.reader.from_columns(
            numbers,
            [self.texts(requests, field.name) for field in self.reader.categories],
            np.array(days, np.float64).reshape(len(numbers), len(dates)),
            [self.texts(requests, field.name) for field in self.reader.texts],
        )

    def texts(self, requests: Sequence[Rows], name: str) -> list[str | None]:
        """One category, date or text of all rows; None where a request does not have it."""
        return list(
            chain.from_iterable(
                [value.decode(errors="replace") for value in rows.columns[name]]
                if name in rows.columns
                else [None] * len(rows)
                for rows in requests
            )
        )

    def score(self, table: Table) -> list[tuple[str, np.ndarray]]:
        """The outputs of a table's rows, by name."""
        codes = self.transform.encode(table.categories)
        self.counters.add(self.transform.counted(table.numbers, table.texts), codes)
        return [("FEATURES", self.transform.apply(table.numbers, codes, table.texts))]
