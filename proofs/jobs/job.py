"""The two jobs as plain code in one process, opened from the files that were published.

The published Python sources are imported from their version directory, so that the code measured
is the code served.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import onnxruntime

if TYPE_CHECKING:
    from trimaran.served import decoding, ranking, records, transform
    from trimaran.served.records import Table

__all__ = [
    "JOB_VARIABLE",
    "PHOTOGRAPH",
    "RECORD",
    "Job",
    "JobFiles",
    "Photographs",
    "Records",
    "given_files",
    "open_job",
    "work",
]

PHOTOGRAPH = "photograph"
RECORD = "record"

JOB_VARIABLE = "TRIMARAN_JOB"
"""The environment variable that names the files to a peer's processes."""


@dataclass(frozen=True)
class JobFiles:
    """Version directories by their part in the job; `top` is how many labels are answered.

    A photograph's parts are `preprocess`, `classifier` and `labels`; a record's is `record`.
    """

    job: str
    directories: Mapping[str, str]
    top: int = 0

    def to_json(self) -> str:
        """One line of text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> JobFiles:
        """What `to_json` wrote."""
        return cls(**json.loads(text))


class Job(Protocol):
    """From bytes, a photograph's file or a record as JSON, to an answer.

    Both methods raise `ValueError` that says what is wrong with an input.
    """

    def answer(self, data: bytes) -> dict[str, Any]:
        """The answer to one input."""

    def answer_many(self, batch: Sequence[bytes]) -> list[dict[str, Any]]:
        """The answers to several inputs."""


def open_job(files: JobFiles, threads: int = 1) -> Photographs | Records:
    """The job of `files`, with `threads` intra-op threads."""
    return Photographs(files, threads) if files.job == PHOTOGRAPH else Records(files, threads)


def given_files() -> JobFiles:
    """The files that the environment names."""
    return JobFiles.from_json(os.environ[JOB_VARIABLE])


def work(pipe: Connection, files: JobFiles, inputs: Sequence[bytes]) -> None:
    """Do a job as fast as possible whenever seconds and a batch size come through the pipe.

    The answer is how many inputs were done, and the wall and CPU seconds that they took. It stands
    here since a process that is started for it imports this module alone.
    """
    job = open_job(files)
    job.answer_many(inputs[:8])
    pipe.send("ready")
    place = 0
    while True:
        try:
            seconds, batch = pipe.recv()
        except EOFError:
            return
        began, cpu_began, count = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - began < seconds:
            if batch == 1:
                job.answer(inputs[place % len(inputs)])
            else:
                job.answer_many([inputs[(place + at) % len(inputs)] for at in range(batch)])
            place += batch
            count += batch
        pipe.send((count, time.perf_counter() - began, time.process_time() - cpu_began))


class Photographs:
    """An image ensemble's release in this process.

    `threads` are the network's intra-op threads, and as many decode the photographs of a batch.
    An answer is `label` and `probability`, lists of `top`, best first. Bytes that are not an
    image raise `ValueError`.
    """

    def __init__(self, files: JobFiles, threads: int = 1) -> None:
        parts = {part: Path(directory) for part, directory in files.directories.items()}
        preprocess, labels = parts["preprocess"], parts["labels"]
        if TYPE_CHECKING:
            self._decoding, self._ranking = decoding, ranking
        else:
            self._decoding = _published_module(preprocess / "trimaran/served/decoding.py")
            self._ranking = _published_module(labels / "trimaran/served/ranking.py")
        text = (preprocess / "preprocess.json").read_text(encoding="utf-8")
        self._settings = self._decoding.ImageSettings(**json.loads(text))
        self._labels = (labels / "labels.txt").read_text(encoding="utf-8").splitlines()
        self._top = files.top
        self._session = _open_session(parts["classifier"] / "model.onnx", threads)
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
        """The network's input from a photograph: float32 `[3, size, size]`."""
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
            records_module = _published_module(directory / "trimaran/served/records.py")
            transform_module = _published_module(directory / "trimaran/served/transform.py")
        self.transform = transform_module.Transform.read(directory / "transform.json")
        fields = [records_module.Field(**field) for field in self.transform.data.fields]
        self.reader = records_module.RecordReader(fields, self.transform.data.identifier)
        self._session = _open_session(directory / "model.onnx", threads)

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
        """As `answer`, for a record that the server has checked: each field is present."""
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


def _published_module(path: Path) -> ModuleType:
    """The module at `path`, with what it imports of its version; the same one each time."""
    name = f"published {path.resolve()}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not Python")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up while they are made.
    sys.modules[name] = module
    # Bytecode next to it would look like a changed version to Triton.
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    version = str(path.resolve().parents[2])
    sys.path.insert(0, version)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.path.remove(version)
        sys.dont_write_bytecode = writes
    return module


def _open_session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """A session on the CPU with `threads` intra-op threads, which do not spin while they wait."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
