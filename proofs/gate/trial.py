"""One subject and the gate: unchanged, with several seeds of weights, and made wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from exporters.formats.exporter import Exporter
from exporters.formats.onnx import OnnxExporter
from exporters.formats.torchscript import TorchScriptExporter
from exporters.original import Original, parity_with, run_original
from exporters.parity import Run
from exporters.spec import Interface, ModelSpec
from proofs.gate.fresh import BOUND, Answered, answered, excess, fresh_inputs
from proofs.gate.insertions import Sizes
from proofs.gate.kinds import INSERTED, KINDS, Change
from proofs.gate.onnx_changes import onnx_changes
from proofs.gate.onnx_graph import OnnxGraph
from proofs.gate.script_changes import script_changes
from proofs.gate.script_graph import ScriptGraph
from proofs.gate.subject import Subject
from trimaran.system.errors import TrimaranError

__all__ = ["FORMATS", "MAX_BATCH_SIZE", "Artifact", "Outcome", "captured", "feeds", "hold_subject"]

MAX_BATCH_SIZE = 8
_WEIGHTS = "weights of seed {}"
UNCHANGED = "none"
"""The kind of an artifact as it was exported."""


@dataclass(frozen=True)
class Outcome:
    """One artifact and its outcome.

    `problem` is what the gate says, empty where it passes. `fresh` and `seen` are the largest
    errors on fresh inputs and on the gate's, as multiples of the gate's own tolerance.
    """

    subject: str
    format: str
    kind: str
    what: str
    problem: str
    fresh: float
    seen: float

    @property
    def unchanged(self) -> bool:
        """Whether this is an artifact as it was exported."""
        return self.kind == UNCHANGED

    @property
    def matters(self) -> bool:
        """Whether it is too far off on inputs that the gate has not seen."""
        return self.fresh > BOUND

    @property
    def missed(self) -> bool:
        """Whether the gate passes it although it matters."""
        return self.matters and not self.problem


def hold_subject(
    subject: Subject,
    format: str,
    weights: int = 0,
    mutants: int = 0,
    seed: int = 0,
    trying: Callable[[str, str], None] = lambda kind, what: None,
) -> Iterator[Outcome]:
    """A subject in one format, with the weights of a seed: unchanged, and `mutants` made wrong.

    Where the gate does not pass it unchanged, there are none: it must be mended first. `trying` is
    called with the kind and the words of each before it is run, since it may end the process.
    """
    trying(UNCHANGED, _WEIGHTS.format(weights))
    try:
        spec = subject.spec(weights)
        original = run_original(spec, MAX_BATCH_SIZE)
        known = fresh_inputs(subject, spec, MAX_BATCH_SIZE)
        with TemporaryDirectory(prefix="trimaran-gate-") as scratch:
            artifact, outcome = _unchanged(original, known, format, weights, Path(scratch))
            yield outcome
            if not outcome.problem:
                yield from _mutants(subject, original, known, artifact, mutants, seed, trying)
    except TrimaranError as refusal:
        what = _WEIGHTS.format(weights)
        yield Outcome(subject.name, format, UNCHANGED, what, str(refusal), 0.0, 0.0)


def _unchanged(
    original: Original, known: Answered, format: str, weights: int, directory: Path
) -> tuple[Artifact, Outcome]:
    for artifact in captured(original.spec, format, directory):
        run = artifact.load(original.interface)
        problem = parity_with(original, run).problem
        if not problem:
            break
    return artifact, Outcome(
        original.spec.name,
        format,
        UNCHANGED,
        _WEIGHTS.format(weights),
        problem,
        excess(known, run),
        _seen(original, run),
    )


def _mutants(
    subject: Subject,
    original: Original,
    known: Answered,
    artifact: Artifact,
    count: int,
    seed: int,
    trying: Callable[[str, str], None],
) -> Iterator[Outcome]:
    spec, name = original.spec, f"{subject.name} {artifact.exporter.format}"
    rng = np.random.default_rng([seed, *name.encode()])
    example = {key: tensor.numpy() for key, tensor in spec.example_inputs.items()}
    changes = artifact.changes(feeds(subject, example), Sizes.of(spec, MAX_BATCH_SIZE), rng)
    wanted = answered(spec, [example])
    path = artifact.path.with_stem("changed")

    def outcome(change: Change[Any]) -> Outcome | None:
        torch.manual_seed(seed)
        trying(change.kind, change.what)
        try:
            artifact.write_changed(change, path)
            run = artifact.load(original.interface, path)
            found = run(example)
        except Exception:  # no file of the format, so nothing for the gate
            return None
        if any(found[n].shape != e.shape for n, e in wanted.expected[0].items()):
            return None
        problem, fresh = parity_with(original, run).problem, excess(known, run)
        seen = 0.0 if problem else _seen(original, run)
        names = subject.name, artifact.exporter.format, change.kind, change.what
        return Outcome(*names, problem, fresh, seen)

    yield from islice(_in_turn(changes, outcome, rng), count)


def _in_turn(
    changes: Sequence[Change[Any]],
    outcome: Callable[[Change[Any]], Outcome | None],
    rng: np.random.Generator,
) -> Iterator[Outcome]:
    """Outcomes of changes in random order, but one of each kind in turn.

    Changes of existing nodes come first, and then insertions.
    """
    kinds: dict[str, list[Change[Any]]] = {kind: [] for kind in rng.permutation(KINDS)}
    for place in rng.permutation(len(changes)):
        kinds[changes[place].kind].append(changes[place])
    order = sorted(kinds, key=lambda kind: kind in INSERTED)
    while any(kinds.values()):
        for kind in order:
            found = None
            while kinds[kind] and found is None:
                found = outcome(kinds[kind].pop())
            if found is not None:
                yield found


def _seen(original: Original, run: Any) -> float:
    """The largest error on the gate's own inputs."""
    return excess(answered(original.spec, original.batches), run)


def feeds(subject: Subject, example: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """The example, data like it, and another number of rows at another length."""
    rng = np.random.default_rng(4321)
    rows = len(next(iter(example.values())))
    longer = {name: length + 4 for name, length in subject.lengths.items()}
    drawn = [
        subject.draw(rng, rows, subject.lengths),
        subject.draw(rng, rows - 1, longer),
    ]
    return [example, *({name: batch[name] for name in example} for batch in drawn)]


@dataclass(frozen=True)
class Artifact:
    """An exported file, and how its format is read and written."""

    path: Path
    exporter: Exporter

    def changes(
        self,
        feeds: Sequence[Mapping[str, np.ndarray]],
        sizes: Sizes,
        rng: np.random.Generator,
    ) -> list[Change[Any]]:
        """All that can be changed; `feeds` are as `Observation` has them."""
        seen = self._graph().observation(feeds)
        listed: Callable[..., Iterator[Change[Any]]] = _CHANGES[self.exporter.format]
        return list(listed(self._graph(), seen, sizes, rng))

    def write_changed(self, change: Change[Any], path: Path) -> None:
        """Write a copy with one change. Raises whatever the change or the format's writer does."""
        graph = self._graph()
        change.apply(graph)
        graph.save(path)

    def load(self, interface: Interface, path: Path | None = None) -> Run:
        """The artifact, or a changed copy of it, in its format's runtime."""
        return self.exporter.load_here(path or self.path, interface)

    def _graph(self) -> Any:
        return _GRAPHS[self.exporter.format](self.path)


FORMATS: Mapping[str, type[Exporter]] = {
    exporter.format: exporter for exporter in (OnnxExporter, TorchScriptExporter)
}
_GRAPHS: Mapping[str, Callable[[Path], Any]] = {"onnx": OnnxGraph, "torchscript": ScriptGraph}
_CHANGES: Mapping[str, Callable[..., Iterator[Change[Any]]]] = {
    "onnx": onnx_changes,
    "torchscript": script_changes,
}


def captured(spec: ModelSpec, format: str, directory: Path) -> Iterator[Artifact]:
    """A description as an artifact, once for each way of capturing it, into one file.

    Raises `ExportError`.
    """
    exporter = FORMATS[format]()
    path = directory / exporter.file_name
    for _ in exporter.captures(spec, path):
        yield Artifact(path, exporter)
