"""The rows that are sent to a model: a user's rows, or rows that fit its inputs.

Photographs are JPEG files of different content and size, as cameras and phones send them. Records
are like those of the table that a model was trained on, and users are those of a recommender.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from loadtests.records import draw_records, draw_users, find_histories, find_table
from trimaran.repository.config import ModelConfig, inputs_of
from trimaran.repository.dtypes import TensorSpec
from trimaran.repository.repository import Repository
from trimaran.serving.client import read_arrays
from trimaran.serving.golden import read_golden
from trimaran.serving.json_rows import read_rows, row_of
from trimaran.serving.snippets import takes_one_file
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.training.image_data import photographs

__all__ = [
    "Row",
    "Rows",
    "choose_rows",
    "draw_photographs",
    "refused_payloads",
    "stack",
]

Row = Mapping[str, np.ndarray]
"""One request's arrays by input name, with a batch axis where the model batches."""

_FREE_AXIS = 16
"""The length of a free axis in generated rows."""

_SHARE = (0.6, 1.0)
_LONGER_SIDE = (320, 640)
_QUALITY = (75, 95)


@dataclass(frozen=True)
class Rows:
    """Rows to send in turn, and a description of their source."""

    rows: Sequence[Row]
    source: str

    def batches(self, size: int) -> Rows:
        """As many requests, of `size` rows each; each row is in `size` of them."""
        if size == 1:
            return self
        count = len(self.rows)
        together = [
            stack([self.rows[(start + place) % count] for place in range(size)])
            for start in range(count)
        ]
        return Rows(together, f"{self.source}, {size} rows per request")


def choose_rows(
    config: ModelConfig,
    *,
    count: int,
    seed: int,
    given: Path | None = None,
    repository: Repository | None = None,
) -> Rows:
    """Rows for the model of `config`.

    `given` is a user's file: an `.npz` with an array `[rows, …]` for each input, a `.json` or
    `.jsonl` file of rows by input name, or a directory of files for a model that takes one. Without
    it: photographs for an image ensemble, made-up records for a model that was trained on a table
    of the `repository`, the users of a recommender, the model's golden requests, or random numbers;
    `source` says which.
    Raises `UsageError` where nothing fits.
    """
    if given is not None:
        return Rows(_given(config, given), str(given))
    names = {spec.name for spec in inputs_of(config)}
    if takes_one_file(config) and names == {"IMAGE"}:
        files = draw_photographs(count, seed)
        rows = [row_of(config, {"IMAGE": [data]}, "a photograph") for data in files]
        return Rows(rows, f"{count} JPEG photographs, seed {seed}")
    version = find_table(repository, config) if repository is not None else None
    records = _records(config, names, version, count, seed) if version else None
    if records is not None:
        return records
    histories = find_histories(repository, config) if repository is not None else None
    if histories is not None and names == {"USER"}:
        rows = [
            row_of(config, {"USER": each}, "a user") for each in draw_users(histories, count, seed)
        ]
        return Rows(rows, f"{count} users of the training, seed {seed}")
    if repository is not None and config.name in repository.names():
        golden = [request.inputs for request in read_golden(repository, config)]
        if golden:
            return Rows(golden, f"{len(golden)} golden requests")
    source = f"{count} rows of random numbers, seed {seed}"
    open_axes = any(dim < 0 for spec in inputs_of(config) if not spec.optional for dim in spec.dims)
    if open_axes:
        source += f", open axes {_FREE_AXIS} long; give others with --payloads"
    return Rows(_random(config, count, seed), source)


def refused_payloads(
    target: str, source: str, words: str, *, refused: int = 1, tried: int = 1
) -> TrimaranError:
    """What to raise where a `target`, such as `churn@grpc`, does not take its payloads.

    `words` are the server's, and `source` is that of `Rows`.
    """
    return TrimaranError(
        f"{target}: {refused} of {tried} payloads ({source}) were refused: {words}"
    )


def stack(rows: Sequence[Row]) -> Row:
    """Rows as one batch. Raises `UsageError` where their inputs or shapes differ."""
    try:
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    except (KeyError, ValueError) as error:
        raise UsageError(f"rows do not fit into one batch: {error}; leave --batch out") from error


def _records(
    config: ModelConfig, names: set[str], version: Path, count: int, seed: int
) -> Rows | None:
    """Records of the model's table, in the form that it takes: by field, or as JSON text."""
    records = draw_records(version, count, seed)
    if "RECORD" in names:
        rows = [row_of(config, {"RECORD": json.dumps(each)}, "a record") for each in records]
        return Rows(rows, f"{count} made-up records as JSON text, seed {seed}")
    if names >= set(records[0]):
        rows = [row_of(config, each, "a record") for each in records]
        return Rows(rows, f"{count} made-up records by field, seed {seed}")
    return None


def _given(config: ModelConfig, path: Path) -> list[Row]:
    readers: dict[str, Callable[[ModelConfig, Path], list[Row]]] = {
        ".npz": _from_npz,
        ".json": _from_json,
        ".jsonl": _from_json,
    }
    if path.is_dir():
        rows = _from_directory(config, path)
    elif not path.is_file():
        raise UsageError(f"there is no file {path}")
    elif path.suffix in readers:
        rows = readers[path.suffix](config, path)
    else:
        raise UsageError(f"{path}: rows come from a directory, .npz, .json or .jsonl")
    if not rows:
        raise UsageError(f"{path} holds no rows")
    return rows


def _from_directory(config: ModelConfig, path: Path) -> list[Row]:
    if not takes_one_file(config):
        raise UsageError(f"{path} is a directory, and {config.name} does not take one file per row")
    name = inputs_of(config)[0].name
    files = sorted(file for file in path.iterdir() if file.is_file())
    return [row_of(config, {name: [file.read_bytes()]}, str(file)) for file in files]


def _from_npz(config: ModelConfig, path: Path) -> list[Row]:
    arrays = read_arrays(path)
    specs = {spec.name: spec for spec in inputs_of(config)}
    for name, array in arrays.items():
        if name not in specs:
            raise UsageError(f"{path}: {config.name} has no input {name!r}; it has {list(specs)}")
        if array.dtype != specs[name].dtype.numpy:
            raise UsageError(
                f"{path}: {name} is {array.dtype}; {config.name} takes {specs[name].dtype.triton}"
            )
    missing = [name for name, spec in specs.items() if name not in arrays and not spec.optional]
    if missing:
        raise UsageError(f"{path}: there is no array {missing[0]!r}")
    lengths = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    if len(set(lengths.values())) != 1:
        raise UsageError(f"{path}: arrays have different numbers of rows: {lengths}")
    batches = config.max_batch_size > 0
    return [
        {name: array[at : at + 1] if batches else array[at] for name, array in arrays.items()}
        for at in range(next(iter(lengths.values())))
    ]


def _from_json(config: ModelConfig, path: Path) -> list[Row]:
    rows = enumerate(read_rows(path))
    return [row_of(config, row, f"{path}: row {at}") for at, row in rows]


def _random(config: ModelConfig, count: int, seed: int) -> list[Row]:
    generator = np.random.default_rng(seed)
    specs = [spec for spec in inputs_of(config) if not spec.optional]
    if not specs:
        raise TrimaranError(
            f"{config.name}: no payload is known where every input is optional; give rows with "
            "--payloads, or its repository"
        )
    return [{spec.name: _values(config, spec, generator) for spec in specs} for _ in range(count)]


def _values(config: ModelConfig, spec: TensorSpec, generator: np.random.Generator) -> np.ndarray:
    shape = [_FREE_AXIS if dim < 0 else dim for dim in spec.dims]
    if config.max_batch_size > 0:
        shape = [1, *shape]
    if spec.dtype.numpy is None or spec.dtype.triton == "BYTES":
        raise TrimaranError(
            f"{config.name}: no payload is known for {spec}; give rows with --payloads"
        )
    if spec.dtype.is_floating:
        return generator.standard_normal(shape).astype(spec.dtype.numpy)
    return generator.integers(0, 2, shape).astype(spec.dtype.numpy)


def draw_photographs(count: int, seed: int) -> list[bytes]:
    """`count` JPEG files: sections of real photographs, 320 to 640 pixels on the longer side.

    The same seed gives the same files.
    """
    generator = np.random.default_rng(seed)
    sources = [Image.open(io.BytesIO(data)).convert("RGB") for data in photographs().values()]
    files = []
    for index in range(count):
        source = sources[index % len(sources)]
        share = generator.uniform(*_SHARE)
        width, height = (round(side * share) for side in source.size)
        left = int(generator.integers(source.width - width + 1))
        top = int(generator.integers(source.height - height + 1))
        section = source.crop((left, top, left + width, top + height))
        longer = int(generator.integers(*_LONGER_SIDE, endpoint=True))
        section.thumbnail((longer, longer), Image.Resampling.LANCZOS)
        file = io.BytesIO()
        section.save(file, "JPEG", quality=int(generator.integers(*_QUALITY, endpoint=True)))
        files.append(file.getvalue())
    return files
