"""The candidates: a model in every format and precision, exported into a private repository."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product

import numpy as np
import torch
from torch import Tensor

from exporters.export import FORMATS, ExportResult, Options, export_model
from exporters.formats.onnx import OnnxExporter
from exporters.original import Original
from exporters.parity import Arrays, ParityReport
from exporters.precision.precision import model_name
from exporters.precision.reference import Reference
from exporters.samples import draw_samples
from exporters.spec import Interface
from loadtests.payloads import Rows
from trimaran.repository.manifest import library_versions
from trimaran.repository.repository import Repository
from trimaran.system.errors import TrimaranError
from trimaran.system.journal import Journal

__all__ = [
    "Candidate",
    "content_of",
    "export_candidates",
    "fixed_chance",
    "interface_in",
    "named_for",
    "requests_for",
]

_SEED = 20_261
_MOST_REQUESTS = 64
_LEAST_REQUESTS = 4
_MOST_BYTES = 32 * 2**20
"""Of all requests of one size together, beyond `_LEAST_REQUESTS`."""


@dataclass(frozen=True)
class Candidate:
    """A format and precision, and what became of its export.

    `refused` says why there is none; then `agreement` is empty and `size` 0.
    """

    format: str
    precision: str
    model: str
    """Its name in the private repository."""
    agreement: str = ""
    """`parity` with PyTorch, or the share of decisions that are FP32's."""
    size: int = 0
    """Bytes."""
    refused: str = ""

    @property
    def name(self) -> str:
        """`onnx int8`."""
        return f"{self.format} {self.precision}"


def fixed_chance() -> None:
    """Make what a factory draws at random the same in every process: weights, examples."""
    torch.manual_seed(_SEED)
    np.random.seed(_SEED)
    random.seed(_SEED)


def content_of(original: Original, *decisive: object) -> str:
    """A name for a model's candidates: a digest of its weights, its answers, and what is installed.

    `decisive` is what else decides how it is exported.
    """
    digest = hashlib.sha256()
    for name, value in original.spec.module.state_dict().items():
        digest.update(f"{name} {_described(value)}".encode())
        if isinstance(value, Tensor):
            flat = value.detach().cpu().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy().tobytes())
    for arrays in (*original.batches, *original.expected):
        for name, array in arrays.items():
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    installed = library_versions("trimaran", *OnnxExporter.libraries)
    about = (original.interface, original.spec.labels, original.spec.tolerances, installed)
    digest.update(repr((about, original.max_batch_size, decisive)).encode())
    return digest.hexdigest()[:12]


def export_candidates(
    reference: Reference,
    work: Repository,
    source: str,
    journal: Journal,
    formats: Iterable[str],
    precisions: Iterable[str],
    how: Options,
    say: Callable[[str], None],
) -> list[Candidate]:
    """Export each format in each precision; one that is refused is in the list with its reason.

    An export that the journal has is not made again, unless its version is not whole. What this
    machine lacks for a format is looked for each time.
    """
    original, found = reference.original, []
    lacking = {format: _lacking(format) for format in formats}
    for format, precision in product(lacking, precisions):
        model = model_name(original.spec.name, format, precision)
        candidate = Candidate(format, precision, model, refused=lacking[format])
        step = f"export {candidate.name}"
        kept = None if candidate.refused else journal.get(step)
        if kept is not None and (kept["refused"] or work.newest(model)):
            candidate = Candidate(**kept)
        elif not candidate.refused:
            say(f"{candidate.name}: exporting")
            candidate = _export(candidate, reference, work, source, how)
            journal.add(step, asdict(candidate))
            say(f"{candidate.name}: {candidate.refused or candidate.agreement}")
        found.append(candidate)
    return found


def _lacking(format: str) -> str:
    """What this machine lacks to make a format, or nothing."""
    try:
        FORMATS[format]().require()
    except TrimaranError as error:
        return str(error)
    return ""


def _export(
    candidate: Candidate, reference: Reference, work: Repository, source: str, how: Options
) -> Candidate:
    """The candidate once it was exported into `work`, or refused."""
    try:
        result = export_model(
            reference.original,
            candidate.format,
            work,
            source,
            options=replace(how, precision=candidate.precision),
            reference=reference,
        )
    except TrimaranError as error:
        name = reference.original.spec.name
        return replace(candidate, refused=_without_name(str(error), name))
    return _described_by(candidate, result, work)


def interface_in(original: Original, format: str) -> Interface:
    """The model's inputs and outputs under the names that a format's backend requires."""
    return FORMATS[format]().served(original.interface)


def requests_for(original: Original, batch: int, seed: int) -> Sequence[Arrays]:
    """Requests of `batch` rows each, by the model's own input names, the same for the same seed.

    They are the model's samples, or drawn from its examples. There are at most 64, and fewer of a
    model with large rows.
    """

    def draw(turn: int) -> Mapping[str, np.ndarray]:
        drawn = draw_samples(original.spec, batch, seed + turn, spans=original.spans)
        return {name: tensor.numpy() for name, tensor in drawn.items()}

    first = draw(0)
    size = sum(array.nbytes for array in first.values())
    count = min(_MOST_REQUESTS, max(_LEAST_REQUESTS, _MOST_BYTES // max(size, 1)))
    return [first, *(draw(turn) for turn in range(1, count))]


def named_for(original: Original, format: str, requests: Sequence[Arrays], seed: int) -> Rows:
    """The requests under the input names of a format."""
    served = interface_in(original, format).inputs
    pairs = zip(original.interface.inputs, served, strict=True)
    names = {own.name: spec.name for own, spec in pairs}
    own = "the model's samples" if original.spec.samples else "rows like the model's examples"
    return Rows(
        [{names[name]: array for name, array in request.items()} for request in requests],
        f"{len(requests)} requests of {own}, seed {seed}",
    )


def _described_by(wanted: Candidate, result: ExportResult, work: Repository) -> Candidate:
    if result.publication is None:
        return replace(wanted, refused=result.parity.problem)
    version = work.newest(wanted.model)
    size = version.manifest.size if version and version.manifest else 0
    if isinstance(result.parity, ParityReport):
        return replace(wanted, agreement="parity", size=size)
    share = min(row.agreement for row in result.parity.outputs)
    return replace(wanted, agreement=f"{share:.1%}", size=size)


def _without_name(problem: str, model: str) -> str:
    return problem.removeprefix(f"model {model}: ").removeprefix(f"model {model} ")


def _described(value: object) -> str:
    return f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
