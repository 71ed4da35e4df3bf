"""From a `ModelSpec` to a version: captured, verified, published."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from exporters.formats.accelerator import accelerate, check_accelerated, profile_of
from exporters.formats.aoti import AotiExporter
from exporters.formats.causes import (
    nested_tensors,
    one_sentence,
    reduced_precision,
    unknown_operator,
)
from exporters.formats.exporter import Exporter, ExportError
from exporters.formats.onnx import OnnxExporter
from exporters.formats.tensorrt import TensorRtExporter
from exporters.formats.torchscript import TorchScriptExporter
from exporters.original import Original, parity_with
from exporters.parity import Arrays, ParityReport, Run
from exporters.precision.agreement import REQUIRED, AgreementReport, Answered, measure_agreement
from exporters.precision.int8 import Int8OnnxExporter, calibration_batches
from exporters.precision.precision import PRECISIONS, model_name, spec_in
from exporters.precision.reference import Reference, reference_for
from exporters.precision.speed import Cost, measure_speedup
from exporters.spec import ModelSpec
from trimaran.checks.raising import standing_configs
from trimaran.publishing.publish import Publication, check_publishable, publish
from trimaran.repository.manifest import Manifest, describe_version
from trimaran.repository.repository import Repository

__all__ = [
    "FORMATS",
    "ExportResult",
    "Options",
    "export_model",
    "label_file_name",
    "largest_served_batch",
]


@dataclass(frozen=True)
class Options:
    """How an artifact is made and verified.

    `precision` is a name of `PRECISIONS`; `int8` the method of quantisation, `static` or `dynamic`;
    `calibration` rows for it by input name, `None` for the model's own samples. `required` is the
    share of decisions that must be those of FP32. `accelerator` is asked for in the configuration;
    `device`, one of `DEVICES`, is what AOTI compiles for.
    """

    precision: str = "fp32"
    int8: str = "static"
    calibration: Arrays | None = None
    required: float = REQUIRED
    accelerator: str | None = None
    device: str = "auto"


FORMATS: Mapping[str, type[Exporter]] = {
    exporter.format: exporter
    for exporter in (OnnxExporter, AotiExporter, TorchScriptExporter, TensorRtExporter)
}
"""The exporters by format name."""

_WITHOUT_INT8 = {TorchScriptExporter.format: "TorchScript", AotiExporter.format: "AOTI"}

_SPEED_ROWS = 8
"""Rows in each call when an artifact's speed is compared with FP32's."""

Progress = Callable[[str], None]
Report = ParityReport | AgreementReport


@dataclass(frozen=True)
class ExportResult:
    """One format's outcome; `publication` is `None` when the gate refused it."""

    model: str
    capture: str
    parity: Report
    publication: Publication | None


def export_model(
    original: Original,
    format: str,
    repository: Repository,
    source: str,
    progress: Progress = lambda stage: None,
    *,
    options: Options | None = None,
    reference: Reference | None = None,
) -> ExportResult:
    """Export one format in one precision, compare it with PyTorch, and publish it if it agrees.

    `source` says where the model came from, for the manifest; `progress` is called with each stage;
    `reference` is shared by several exports of one original.
    Raises `TrimaranError` when the module cannot be exported, or the repository's configuration
    disagrees with it; nothing is published then.
    """
    options = options or Options()
    with nullcontext(reference) if reference else reference_for(original) as shared:
        return _export(original, format, repository, source, progress, options, shared)


def _export(
    original: Original,
    format: str,
    repository: Repository,
    source: str,
    progress: Progress,
    options: Options,
    reference: Reference,
) -> ExportResult:
    name = model_name(original.spec.name, format, options.precision)
    exporter = _exporter(format, options, reference)
    exporter.require()
    config = exporter.config(name, original.interface, original.max_batch_size)
    if options.accelerator and format == OnnxExporter.format:
        check_accelerated(repository, name)
        profile = profile_of(original.spec, original.max_batch_size)
        accelerate(config, options.precision, profile)
    check_publishable(repository, config)
    with repository.staging() as scratch:
        staged = scratch / "version"
        staged.mkdir()
        path = staged / exporter.file_name
        progress(f"{name}: {exporter.stage}")
        way, report = _first_to_pass(exporter, original, path, options, reference)
        if not report.passed:
            return ExportResult(name, way, report, None)
        if options.precision == "fp32":
            reference.keep_fp32_artifact(exporter, path)
        progress(f"{name}: publishing")
        _write_labels(original.spec, staged)
        made = {"factory": source, "capture": way, **_made_with(original.spec, options)}
        manifest = _manifest(exporter, path, made, report)
        publication = publish(repository, config, staged, manifest)
        return ExportResult(name, way, report, publication)


def largest_served_batch(
    repository: Repository,
    model: str,
    formats: Iterable[str],
    wanted: int,
    precisions: Iterable[str] = ("fp32",),
) -> int:
    """The most rows to verify: `wanted`, or what an existing configuration serves.

    An existing configuration keeps its limit, whatever is wanted for a new one.
    """
    chosen = tuple(precisions)
    names = [model_name(model, f, p) for f in formats for p in chosen]
    standing = standing_configs(repository, names).values()
    return max([wanted, *(config.max_batch_size for config in standing)])


def label_file_name(output: str, labelled: int) -> str:
    """The file that names an output's classes: `labels.txt` where only one output has labels."""
    return "labels.txt" if labelled == 1 else f"labels_{output}.txt"


def _exporter(format: str, options: Options, reference: Reference) -> Exporter:
    """What makes the artifact. Raises `ExportError` for int8 in a format that has none."""
    onnx = OnnxExporter()
    if options.precision == "int8":
        if format in _WITHOUT_INT8:
            raise ExportError(
                f"model {reference.original.spec.name}: {_WITHOUT_INT8[format]} is not exported in "
                f"int8; use --format onnx for int8, or fp16 or bf16 for {_WITHOUT_INT8[format]}"
            )
        for_tensorrt = format == TensorRtExporter.format
        if for_tensorrt and options.int8 == "dynamic":
            raise ExportError(
                f"model {reference.original.spec.name}: TensorRT has no dynamic int8; use "
                f"--int8 static"
            )
        dynamic = options.int8 == "dynamic"
        batches = [] if dynamic else calibration_batches(reference.original, options.calibration)
        onnx = Int8OnnxExporter(reference, options.int8, batches, for_tensorrt=for_tensorrt)
    if format == OnnxExporter.format:
        return onnx
    if format == TensorRtExporter.format:
        return TensorRtExporter(onnx, reference.original.max_batch_size)
    if format == AotiExporter.format:
        return AotiExporter(options.device)
    return FORMATS[format]()


def _first_to_pass(
    exporter: Exporter, original: Original, path: Path, options: Options, reference: Reference
) -> tuple[str, Report]:
    """The first way of capturing that passes the gate, or the last that does not."""
    precision = PRECISIONS[options.precision]
    spec = spec_in(original.spec, original.interface, precision)
    tried: list[tuple[str, Report]] = []
    for way in exporter.captures(spec, path):
        run = _loaded(exporter, original, path, options.precision)
        tried.append((way, _verified(original, run, options, reference)))
        if tried[-1][1].passed:
            break
    way, report = tried[-1]
    if isinstance(report, ParityReport):
        report = report.because(nested_tensors(original.spec.module)).noting(original.notes)
    if isinstance(report, AgreementReport) and report.passed:
        report = report.with_cost(_cost(exporter, path, options, reference))
    return way, report


def _verified(original: Original, run: Run, options: Options, reference: Reference) -> Report:
    if options.precision == "fp32":
        return parity_with(original, run)
    return measure_agreement(
        original.interface.outputs,
        PRECISIONS[options.precision],
        original.spec.tolerances,
        Answered(original.batches, original.expected),
        reference.task,
        run,
        options.required,
    )


def _cost(exporter: Exporter, path: Path, options: Options, reference: Reference) -> Cost:
    """Bytes and speed compared with the FP32 artifact of the same format, where there is one."""
    plain = _exporter(exporter.format, Options(device=options.device), reference)
    try:
        fp32_path = reference.fp32_artifact(plain)
    except ExportError:
        return Cost(path.stat().st_size, None)
    interface = reference.original.interface
    run, fp32 = exporter.load_here(path, interface), plain.load_here(fp32_path, interface)
    batch = {name: array[:_SPEED_ROWS] for name, array in reference.task.batches[0].items()}
    rows = len(next(iter(batch.values())))
    speedup = measure_speedup(lambda: fp32(batch), lambda: run(batch), rows)
    return Cost(path.stat().st_size, fp32_path.stat().st_size, speedup)


def _loaded(exporter: Exporter, original: Original, path: Path, precision: str) -> Run:
    try:
        return exporter.load(path, original.interface)
    except Exception as error:
        in_fp32 = precision == "fp32"
        reason = one_sentence(error).replace(f"Load model from {path} failed:", "")
        cause = _way_round(exporter.format, precision) if not in_fp32 else unknown_operator(reason)
        if in_fp32 and exporter.format == OnnxExporter.format:
            cause = reduced_precision(path)
        raise ExportError(
            f"model {original.spec.name}: its {exporter.format} export cannot be loaded"
            f"{'' if in_fp32 else f' in {precision}'}: {reason}{cause}"
        ) from error


def _way_round(format: str, precision: str) -> str:
    if format == OnnxExporter.format and precision == "bf16":
        return (
            "; ONNX Runtime lacks bf16 kernels on the CPU: use fp16 or int8, or --format "
            "torchscript for bf16"
        )
    return "; choose another precision"


def _write_labels(spec: ModelSpec, directory: Path) -> None:
    for output, labels in spec.labels.items():
        text = "".join(f"{label}\n" for label in labels)
        (directory / label_file_name(output, len(spec.labels))).write_text(text, encoding="utf-8")


def _made_with(spec: ModelSpec, options: Options) -> dict[str, str]:
    """The precision, and which rows verified it and gave INT8 its ranges, for the manifest."""
    if options.precision == "fp32":
        return {"precision": "fp32"}
    own = "drawn from the examples" if spec.samples is None else "the model's samples"
    made = {"precision": options.precision, "judged_on": own}
    if options.precision == "int8" and options.int8 == "static":
        made["calibrated_on"] = own if options.calibration is None else "a file of rows"
    return made


def _manifest(
    exporter: Exporter, path: Path, source: Mapping[str, str], report: Report
) -> Manifest:
    return describe_version(
        path.parent,
        exporter.format,
        Path.cwd(),
        source=source,
        libraries=exporter.libraries,
        canonical={path.name: exporter.digest(path)},
        target=exporter.target(path),
        parity=[row.record() for row in report.outputs],
    )
