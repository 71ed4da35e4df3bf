"""Both formats behind one face: export a subject, list what can be changed, write it changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exporters.formats.exporter import Exporter
from exporters.formats.onnx import OnnxExporter
from exporters.formats.torchscript import TorchScriptExporter
from exporters.parity import Run
from exporters.spec import Interface, ModelSpec
from proofs.gate.insertions import Sizes
from proofs.gate.kinds import Change
from proofs.gate.onnx_changes import onnx_changes
from proofs.gate.onnx_graph import OnnxGraph
from proofs.gate.script_changes import script_changes
from proofs.gate.script_graph import ScriptGraph

__all__ = ["FORMATS", "Artifact", "captured"]


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
