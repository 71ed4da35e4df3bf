"""What `import trimaran` offers to publish a model: exported, or from a file."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trimaran.repository.repository import DEFAULT_PLACE, Place, check_model_name, made_at
from trimaran.system.errors import ParityError, TrimaranError, UsageError
from trimaran.system.factory import call_given

if TYPE_CHECKING:  # torch takes seconds to import, and wrong usage is refused at once
    from exporters.adding import Added
    from exporters.export import ExportResult
    from exporters.spec import ModelSpec

__all__ = [
    "DEFAULT_FORMATS",
    "NotAllExportedError",
    "add",
    "export",
    "exports_of",
    "require_known",
    "spec_of",
]


DEFAULT_FORMATS = ("onnx", "aoti")
"""What PyTorch develops; `aoti` needs a C++ compiler, and has no int8."""


class NotAllExportedError(TrimaranError):
    """Something was not exported. `results` are those that ran to their end, `failures` all errors.

    The message and the exit status are those of the last failure.
    """

    def __init__(self, results: Sequence[ExportResult], failures: Sequence[TrimaranError]) -> None:
        super().__init__(str(failures[-1]))
        self.exit_status = failures[-1].exit_status
        self.results = results
        self.failures = failures


def export(
    model: ModelSpec | Callable[[], ModelSpec] | str,
    formats: str | Sequence[str] | None = None,
    repository: Place = DEFAULT_PLACE,
    *,
    precisions: str | Sequence[str] = ("fp32",),
    int8: str = "static",
    calibration: Path | None = None,
    agreement: float = 0.99,
    accelerator: str | None = None,
    device: str = "auto",
    name: str | None = None,
    max_batch_size: int | None = None,
    progress: Callable[[str], None] = lambda stage: None,
) -> list[ExportResult]:
    """Turn a trained PyTorch model into verified versions in the repository.

    `model` is a `ModelSpec`, a function that makes one, a function's name such as
    `shop/model.py:model`, or a trained run such as `runs/customers/latest`. It is exported in each
    of `formats` (`onnx`, `aoti`, `torchscript`, `tensorrt`; by default `onnx`, and `aoti` but in
    `int8`) and `precisions` (`fp32`, `fp16`, `bf16`, `int8`), compared with PyTorch, and published
    as the next version of `<name>_<format>`, with `_<precision>` below FP32.

    `int8` finds ranges by `static` rows, those of the file `calibration` or the model's own, or
    by `dynamic` ones. `agreement` is the share of decisions below FP32 that must be FP32's.
    `accelerator` is `tensorrt`, or `None`. `device` is what `aoti` compiles for: `cpu`, `cuda`, or
    `auto` for a GPU if there is one. `max_batch_size` is the most rows in a batch, in a
    model's first configuration; by default what the `ModelSpec` says. `progress` is called with
    each stage, in words.

    Raises `UsageError` for a word that is unknown, `TrimaranError` where the model itself cannot
    be run, and `NotAllExportedError` after the others where one export failed or does not agree
    with PyTorch; that one is not published.
    """
    precisions = _listed(precisions)
    wanted = exports_of(formats, precisions)
    formats = list(dict.fromkeys(format for format, _ in wanted))
    if max_batch_size is not None and max_batch_size < 1:
        raise UsageError(f"--max-batch-size is {max_batch_size}; it must be 1 or more")

    from exporters.export import FORMATS, Options, export_model, largest_served_batch
    from exporters.formats.accelerator import ACCELERATORS
    from exporters.formats.aoti import DEVICES, AotiExporter
    from exporters.original import run_original
    from exporters.precision.int8 import METHODS, read_rows
    from exporters.precision.precision import PRECISIONS
    from exporters.precision.reference import reference_for

    require_known("format", formats, FORMATS)
    require_known("precision", precisions, PRECISIONS)
    require_known("int8 method", [int8], METHODS)
    require_known("accelerator", [accelerator] if accelerator else [], ACCELERATORS)
    require_known("device", [device], DEVICES)
    if not 0 < agreement <= 1:
        raise UsageError(f"--agreement is {agreement:g}; it must be above 0, and 1 at most")
    if calibration and ("int8" not in precisions or int8 != "static"):
        raise UsageError("--calibration is for --precision int8 with --int8 static only")
    if accelerator and "onnx" not in formats:
        raise UsageError(f"--accelerator {accelerator} is for --format onnx only")
    if device != "auto" and AotiExporter.format not in formats:
        raise UsageError(f"--device {device} is for --format aoti only")
    for format in formats:
        FORMATS[format]().require()
    spec, source = spec_of(model, name)
    opened = made_at(repository)
    progress(f"{spec.name}: in PyTorch")
    wished = spec.max_batch_size if max_batch_size is None else max_batch_size
    rows = largest_served_batch(opened, spec.name, formats, wished, precisions)
    original = run_original(spec, rows)
    given = read_rows(calibration, original.interface.inputs) if calibration else None
    results: list[ExportResult] = []
    failures: list[TrimaranError] = []
    with reference_for(original) as shared:
        for format, precision in wanted:
            options = Options(precision, int8, given, agreement, accelerator, device)
            try:
                results.append(
                    export_model(
                        original,
                        format,
                        opened,
                        source,
                        progress,
                        options=options,
                        reference=shared,
                    )
                )
            except TrimaranError as error:
                failures.append(error)
    failures += [
        ParityError(f"{r.model} was not published: {r.parity.problem}")
        for r in results
        if not r.parity.passed
    ]
    if failures:
        raise NotAllExportedError(results, failures)
    return results


def exports_of(
    formats: str | Sequence[str] | None, precisions: str | Sequence[str]
) -> list[tuple[str, str]]:
    """Each format in each precision, once; `None` stands for the default formats."""
    chosen = _listed(precisions)
    if formats is not None:
        return list(dict.fromkeys(itertools.product(_listed(formats), chosen)))
    pairs = dict.fromkeys(itertools.product(DEFAULT_FORMATS, chosen))
    return [pair for pair in pairs if pair != ("aoti", "int8")]


def add(
    file: str | Path,
    repository: Place = DEFAULT_PLACE,
    *,
    name: str | None = None,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    max_batch_size: int | None = None,
    sample: Path | None = None,
    trust: bool = False,
) -> Added:
    """Add an ONNX, TorchScript, AOTI or TensorRT file as a model's next version, once it has run.

    `name` is the file's own by default. `inputs` are texts such as `image:FP32[-1,3,224,224]`:
    each input of a TorchScript file, or open axes of an ONNX file that are to be fixed; `outputs`
    are names, or the same texts. `max_batch_size` is 0 for no batching, and 32 by default where
    the file can batch. `sample` is an `.npz` file of inputs to try it on. `trust`
    allows the native code of a package of AOTInductor.

    Raises `TrimaranError` where the file cannot be served, or the repository's configuration
    disagrees with it; nothing is published then.
    """
    if max_batch_size is not None and max_batch_size < 0:
        raise UsageError(f"--max-batch-size is {max_batch_size}; it must be 0 or more")

    from exporters.adding import Wish, add_file
    from exporters.artifacts.declared import parse_declared

    wish = Wish(
        name=name,
        inputs=parse_declared("--input", inputs),
        outputs=parse_declared("--output", outputs, name_only=True),
        max_batch_size=max_batch_size,
        sample=sample,
        trust=trust,
    )
    return add_file(Path(file), made_at(repository), wish)


def spec_of(
    model: ModelSpec | Callable[[], ModelSpec] | str, name: str | None
) -> tuple[ModelSpec, str]:
    """The description of the model, under `name` if that is given, and where it came from.

    Raises `UsageError` for something else than a `ModelSpec`, and what `call_factory` does.
    """
    from exporters.spec import ModelSpec

    if isinstance(model, ModelSpec):
        kind = type(model.module)
        made, source = model, f"{kind.__module__}.{kind.__qualname__}"
    elif isinstance(model, str) and ":" not in model:
        from exporters.runs import model_of_run
        from trimaran.training.tabular.runs.trained import named_run

        run = named_run(model)
        made, source = model_of_run(run), str(run.directory)
    else:
        made, source = call_given(model)
    if not isinstance(made, ModelSpec):
        raise UsageError(f"{source} returned {type(made).__name__}, not an exporters.ModelSpec")
    if name is None:
        return made, source
    named = copy.copy(made)
    named.name = check_model_name(name)
    return named, source


def _listed(words: str | Sequence[str]) -> Sequence[str]:
    return [words] if isinstance(words, str) else words


def require_known(what: str, chosen: Iterable[str], known: Iterable[str]) -> None:
    """Raise `UsageError` for a word that is not among the known ones."""
    for item in chosen:
        if item not in known:
            raise UsageError(f"there is no {what} {item!r}; choose from {', '.join(known)}")
