"""From a `ModelSpec` to a version: captured, verified, published."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from exporters.exporter import Exporter, ExportError, one_sentence
from exporters.onnx import OnnxExporter
from exporters.original import Original
from exporters.parity import ParityReport, Run, measure_parity
from exporters.spec import ModelSpec
from exporters.torchscript import TorchScriptExporter
from trimaran.manifest import Manifest, describe_version
from trimaran.publish import Publication, check_publishable, publish
from trimaran.repository import Repository

__all__ = ["FORMATS", "ExportResult", "export_model", "label_file_name", "largest_served_batch"]

FORMATS: Mapping[str, type[Exporter]] = {
    exporter.format: exporter for exporter in (OnnxExporter, TorchScriptExporter)
}
"""The exporters by format name."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class ExportResult:
    """One format's outcome; `publication` is `None` when the parity gate refused it."""

    model: str
    capture: str
    parity: ParityReport
    publication: Publication | None


def export_model(
    original: Original,
    format: str,
    repository: Repository,
    source: str,
    progress: Progress = lambda stage: None,
) -> ExportResult:
    """Export one format, hold it against PyTorch, and publish it if it agrees.

    `source` says where the model came from, for the manifest; `progress` is told each stage.
    Raises `TrimaranError` when the module cannot be exported, or the repository's configuration
    disagrees with it; nothing is published then.
    """
    spec, exporter = original.spec, FORMATS[format]()
    config = exporter.config(f"{spec.name}_{format}", original.interface, original.max_batch_size)
    check_publishable(repository, config)
    with repository.staging() as scratch:
        staged = scratch / "version"
        staged.mkdir()
        path = staged / exporter.file_name
        progress(f"{config.name}: capturing")
        way, report = _first_to_pass(exporter, original, path)
        if not report.passed:
            return ExportResult(config.name, way, report, None)
        progress(f"{config.name}: publishing")
        _write_labels(spec, staged)
        manifest = _manifest(exporter, path, way, source, report)
        publication = publish(repository, config, staged, manifest)
        return ExportResult(config.name, way, report, publication)


def largest_served_batch(
    repository: Repository, model: str, formats: Iterable[str], wanted: int
) -> int:
    """The most rows to verify: `wanted`, or what a configuration that stands already serves.

    A standing configuration keeps its own limit, whatever is wanted for a new one.
    """
    names = [f"{model}_{format}" for format in formats]
    standing = [repository.config(n).max_batch_size for n in names if repository.has_config(n)]
    return max([wanted, *standing])


def label_file_name(output: str, labelled: int) -> str:
    """The file that names an output's classes: `labels.txt` where only one output has labels."""
    return "labels.txt" if labelled == 1 else f"labels_{output}.txt"


def _first_to_pass(exporter: Exporter, original: Original, path: Path) -> tuple[str, ParityReport]:
    """The first way of capturing that passes the parity gate, or the last that does not."""
    tried: list[tuple[str, ParityReport]] = []
    for way in exporter.captures(original.spec, path):
        report = measure_parity(
            original.interface.outputs,
            original.spec.tolerances,
            original.batches,
            original.expected,
            _loaded(exporter, original, path),
        )
        tried.append((way, report))
        if report.passed:
            break
    return tried[-1]


def _loaded(exporter: Exporter, original: Original, path: Path) -> Run:
    try:
        return exporter.load(path, original.interface)
    except Exception as error:
        raise ExportError(
            f"model {original.spec.name}: its {exporter.format} export cannot be loaded: "
            f"{one_sentence(error)}"
        ) from error


def _write_labels(spec: ModelSpec, directory: Path) -> None:
    for output, labels in spec.labels.items():
        text = "".join(f"{label}\n" for label in labels)
        (directory / label_file_name(output, len(spec.labels))).write_text(text, encoding="utf-8")


def _manifest(
    exporter: Exporter, path: Path, way: str, source: str, report: ParityReport
) -> Manifest:
    return describe_version(
        path.parent,
        exporter.format,
        Path.cwd(),
        source={"factory": source, "capture": way},
        libraries=exporter.libraries,
        canonical={path.name: exporter.digest(path)},
        target=exporter.target(path),
        parity=[row.record() for row in report.outputs],
    )
