"""Measures each precision's agreement, size and speed, and writes them as a page.

Every model is exported in every precision into a temporary repository. An export that the gate
refuses also gets a row in the table. INT8 and FP32 are then served by a real tritonserver, and
their answers are compared with those in this process and with one another.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from exporters.export import FORMATS, Options, export_model
from exporters.original import Original, run_original
from exporters.parity import Arrays, Run
from exporters.precision.agreement import AgreementReport, agreeing, dependent_rows, rule_for
from exporters.precision.precision import model_name
from exporters.precision.reference import Reference, reference_for
from exporters.precision.speed import measure_speedup
from exporters.spec import ModelSpec
from proofs.precision.page import Row, ServedRow, page
from trimaran.repository.repository import Repository
from trimaran.serving.client import Client
from trimaran.serving.runtime import find_runtime
from trimaran.serving.server import private_server
from trimaran.system.console import console
from trimaran.system.errors import TrimaranError
from trimaran.system.factory import call_factory
from trimaran.system.files import write_text

__all__ = ["FACTORIES", "Variant", "compare_precisions", "main", "variants"]

FACTORIES = ("exporters.efficientnet_lite0:model", "runs/churn/latest")

_BATCH = 8
_LOWER_BAR = 0.9
"""The share that is required of an INT8 that the gate refuses, so that it can be served."""


@dataclass(frozen=True)
class Variant:
    """One export to try; `required` is the share of decisions that must be FP32's."""

    format: str
    precision: str
    int8: str = "static"
    max_batch_size: int = _BATCH
    required: float = 0.99

    def __str__(self) -> str:
        method = f" {self.int8}" if self.precision == "int8" else ""
        batch = "" if self.max_batch_size == _BATCH else ", never batched"
        bar = "" if self.required >= 0.99 else f", `--agreement {self.required:g}`"
        return f"{self.format} {self.precision}{method}{batch}{bar}"


def variants() -> Iterator[Variant]:
    """All formats and precisions; INT8 in both ways, and dynamic also without batching."""
    for format in ("onnx", "aoti", "torchscript"):
        for precision in ("fp32", "fp16", "bf16", "int8"):
            yield Variant(format, precision)
    yield Variant("onnx", "int8", "dynamic")
    yield Variant("onnx", "int8", "dynamic", max_batch_size=1)


def main() -> None:
    """Measure, print and write the page."""
    parser = argparse.ArgumentParser(prog="python -m proofs.precision", description=__doc__)
    parser.add_argument(
        "factories",
        nargs="*",
        default=FACTORIES,
        help="instead of the two models",
    )
    parser.add_argument("--output", type=Path, help="Markdown page for the figures")
    arguments = parser.parse_args()
    try:
        rows, served = [], []
        for factory in arguments.factories:
            spec = call_factory(factory)
            if not isinstance(spec, ModelSpec):
                raise TrimaranError(f"{factory} returned no ModelSpec")
            made, asked = compare_precisions(spec, factory, tuple(variants()), _say)
            rows += made
            served += asked
        text = page(rows, served)
        print(text)
        if arguments.output:
            write_text(arguments.output, text)
    except TrimaranError as error:
        sys.exit(f"error: {error}")


def compare_precisions(
    spec: ModelSpec,
    source: str,
    wanted: Sequence[Variant],
    say: Callable[[str], None] = lambda line: None,
) -> tuple[list[Row], list[ServedRow]]:
    """One row per variant, and one for each INT8 output that was served.

    An INT8 variant that only misses the share of decisions is tried again with a lower bar.
    """
    rows: list[Row] = []
    served: list[ServedRow] = []
    with tempfile.TemporaryDirectory(prefix="trimaran-precision-") as scratch:
        for most in sorted({variant.max_batch_size for variant in wanted}, reverse=True):
            repository = Repository.create(Path(scratch) / str(most) / "model_repository")
            original = run_original(spec, most)
            with reference_for(original) as shared:
                for variant in (item for item in wanted if item.max_batch_size == most):
                    row = _row(original, variant, repository, source, shared)
                    say(str(row))
                    rows.append(row)
                    if row.missed and variant.precision == "int8":
                        lower = replace(variant, required=_LOWER_BAR)
                        rows.append(_row(original, lower, repository, source, shared))
                        say(str(rows[-1]))
                served += _served(repository, shared)
    return rows, served


def _row(
    original: Original, variant: Variant, repository: Repository, source: str, shared: Reference
) -> Row:
    options = Options(variant.precision, variant.int8, None, variant.required)
    name = original.spec.name
    try:
        result = export_model(
            original, variant.format, repository, source, options=options, reference=shared
        )
    except TrimaranError as error:
        return Row(name, str(variant), refusal=str(error))
    agreement = ""
    if isinstance(result.parity, AgreementReport):
        agreement = ", ".join(
            f"{r.output} {r.agreement:.1%}"
            + (f" (largest error {r.largest_error:.2g})" if r.rule == "tolerance" else "")
            for r in result.parity.outputs
        )
    if result.publication is None:
        # Nothing was wrong but the share, where some agreed and a lower bar is all it takes.
        missed = isinstance(result.parity, AgreementReport) and all(
            r.passed or (r.rule != "tolerance" and _LOWER_BAR <= r.agreement < r.required)
            for r in result.parity.outputs
        )
        return Row(
            name, str(variant), result.capture, agreement,
            refusal=result.parity.problem, missed=missed,
        )  # fmt: skip
    exporter = FORMATS[variant.format]()
    path = repository.model(result.model) / str(result.publication.version) / exporter.file_name
    speeds = []
    if variant.precision != "fp32":
        plain = exporter.load_here(shared.fp32_artifact(exporter), original.interface)
        tried = exporter.load_here(path, original.interface)
        for rows in sorted({1, variant.max_batch_size}):
            batch = {n: a[:rows] for n, a in shared.task.batches[0].items()}
            speeds.append(str(_speedup(plain, tried, batch, rows)))
    dependence = _dependence(original, path, shared) if variant.int8 == "dynamic" else ""
    return Row(
        name, str(variant), result.capture, agreement, path.stat().st_size, tuple(speeds),
        dependence=dependence,
    )  # fmt: skip


def _speedup(plain: Run, tried: Run, batch: Arrays, rows: int) -> object:
    return measure_speedup(lambda: plain(batch), lambda: tried(batch), rows)


def _dependence(original: Original, path: Path, shared: Reference) -> str:
    """How the rows of a dynamic artifact depend on one another in a batch."""
    run = FORMATS["onnx"]().load(path, original.interface)
    together = {
        name: np.concatenate([batch[name] for batch in shared.task.batches[:_BATCH]])
        for name in shared.task.batches[0]
    }
    outputs = original.interface.outputs
    return next((text for _, text in dependent_rows(outputs, {}, together, run)), "")


def _served(repository: Repository, shared: Reference) -> list[ServedRow]:
    """INT8 and FP32 by a real server, on the rows of the gate."""
    original = shared.original
    names = [model_name(original.spec.name, "onnx", precision) for precision in ("fp32", "int8")]
    if any(repository.newest(name) is None for name in names):
        return []
    with (
        private_server(find_runtime(), repository, names) as server,
        Client(server.endpoint) as client,
    ):
        answers = [
            [client.infer(name, batch).outputs for batch in shared.task.batches] for name in names
        ]
    newest = repository.newest(names[1])
    assert newest is not None  # noqa: S101 - it was there above
    run = FORMATS["onnx"]().load(newest.path / "model.onnx", original.interface)
    own = [run(batch) for batch in shared.task.batches]
    rows = []
    for output in original.interface.outputs:
        fp32, int8, inside = (
            np.concatenate([a[output.name] for a in found]) for found in (*answers, own)
        )
        gap = np.abs(int8.astype(np.float64) - inside.astype(np.float64)).max()
        far = np.abs(int8.astype(np.float64) - fp32.astype(np.float64)).max()
        rule = rule_for(output)
        share = agreeing("equal" if rule == "tolerance" else rule, fp32, int8, (0.0, 0.0)).mean()
        said = f"up to {far:.2g} apart" if rule == "tolerance" else f"{share:.1%} agree ({rule})"
        rows.append(ServedRow(names[1], output.name, shared.task.rows, float(gap), said))
    return rows


def _say(line: str) -> None:
    console(stderr=True).print(line, markup=False, highlight=False, soft_wrap=True)
