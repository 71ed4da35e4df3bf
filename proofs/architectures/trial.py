"""Each architecture of the catalogue, exported in a separate process, and the table of all."""

from __future__ import annotations

import logging
import multiprocessing
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from exporters.export import export_model
from exporters.formats.causes import one_sentence
from exporters.original import Original, run_original
from proofs.architectures import (
    audio,
    decoders,
    plain,
    recurrent,
    refusals,
    several_inputs,
    text,
    vision,
)
from proofs.architectures.architecture import Architecture
from trimaran.repository.repository import Repository
from trimaran.system.errors import TrimaranError

__all__ = [
    "FORMATS",
    "MAX_BATCH_SIZE",
    "Trial",
    "catalogue",
    "find",
    "markdown",
    "try_architecture",
    "try_each",
]

FORMATS = ("onnx", "aoti", "torchscript")
MAX_BATCH_SIZE = 4
_TIMEOUT_S = 600.0
_WARM = "proofs.architectures.warm"


@dataclass(frozen=True)
class Trial:
    """The outcome of one architecture in one format.

    `largest_error` and `largest_value` are of all its outputs; `problem` says why it was not
    published, and is empty where it was. `axes` are those that vary.
    """

    architecture: str
    format: str
    capture: str = ""
    largest_error: float = 0.0
    largest_value: float = 0.0
    problem: str = ""
    expected_problem: str = ""
    axes: tuple[str, ...] = ()

    @property
    def exported(self) -> bool:
        """Whether a version was published."""
        return not self.problem

    @property
    def as_expected(self) -> bool:
        """Whether it was exported where that is expected, and refused for the reason given."""
        if self.expected_problem:
            return self.expected_problem in self.problem
        return self.exported

    def line(self) -> str:
        """The trial in one line."""
        outcome = self.problem or f"{self.largest_error:.1e} ({self.capture})"
        surprise = "" if self.as_expected else " NOT EXPECTED"
        return f"{self.architecture} {self.format}{surprise}: {outcome}"


def try_each(names: Sequence[str], processes: int) -> Iterator[list[Trial]]:
    """The trials of each architecture, as they come, so many at a time.

    A process that dies, or takes ten minutes, counts as a failure in every format.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_WARM])
    waiting, running = list(names), dict[Connection, tuple[str, ForkServerProcess, float]]()
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                name = waiting.pop(0)
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=_send_trials, args=(name, sender), daemon=True)
                process.start()
                sender.close()
                running[receiver] = name, process, time.monotonic() + _TIMEOUT_S
            soonest = min(deadline for _, _, deadline in running.values())
            ready: list[Any] = wait(list(running), timeout=max(0.0, soonest - time.monotonic()))
            late = [r for r, (_, _, deadline) in running.items() if deadline <= time.monotonic()]
            for receiver in {*ready, *late}:
                name, process, _ = running.pop(receiver)
                yield _received(receiver, name, process)
    finally:
        for _, process, _ in running.values():
            process.kill()


def _received(receiver: Connection, name: str, process: ForkServerProcess) -> list[Trial]:
    try:
        if receiver.poll():
            return receiver.recv()
        problem = f"it took longer than {_TIMEOUT_S:g} seconds"
    except EOFError:
        process.join()
        problem = f"its process ended with status {process.exitcode}"
    finally:
        receiver.close()
        process.kill()
        process.join()
    return [Trial(name, format, problem=problem) for format in FORMATS]


def _send_trials(name: str, sender: Connection) -> None:
    torch.set_num_threads(1)
    sender.send(try_architecture(find(name)))


def try_architecture(architecture: Architecture) -> list[Trial]:
    """Build it, run it, export it in every format into a repository that is thrown away."""
    logging.getLogger("transformers").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _trials(architecture)


def _trials(architecture: Architecture) -> list[Trial]:
    blank = [
        Trial(architecture.name, format, expected_problem=architecture.refused.get(format, ""))
        for format in FORMATS
    ]
    try:
        spec = architecture.build()
        original = run_original(spec, MAX_BATCH_SIZE)
    except Exception as error:  # an architecture that cannot be built is a row of the table too
        problem = str(error) if isinstance(error, TrimaranError) else one_sentence(error)
        return [replace(trial, problem=problem) for trial in blank]
    arrays = [array for answer in original.expected for array in answer.values()]
    axes = [axis.name for by_axis in spec.axes.values() for axis in by_axis.values()]
    known: dict[str, Any] = {
        "largest_value": max(float(abs(array.astype("float64")).max()) for array in arrays),
        "axes": ("batch", *dict.fromkeys(axes)),
    }
    with TemporaryDirectory() as directory:
        repository = Repository.create(Path(directory) / "model_repository")
        return [replace(trial, **known, **_tried(original, trial, repository)) for trial in blank]


def _tried(original: Original, trial: Trial, repository: Repository) -> dict[str, Any]:
    try:
        result = export_model(original, trial.format, repository, "conformance")
    except TrimaranError as refusal:
        return {"problem": str(refusal)}
    return {
        "capture": result.capture,
        "largest_error": max(row.largest_error for row in result.parity.outputs),
        "problem": result.parity.problem,
    }


def catalogue() -> tuple[Architecture, ...]:
    """Every architecture, by family."""
    modules = text, decoders, several_inputs, vision, audio, recurrent, plain, refusals
    return tuple(item for module in modules for item in module.architectures())


def find(name: str) -> Architecture:
    """The architecture of that name. Raises `KeyError`."""
    return {item.name: item for item in catalogue()}[name]


_LIBRARIES = ("torch", "transformers", "onnx", "onnxscript", "onnxruntime")


def markdown(architectures: Sequence[Architecture], trials: Sequence[Trial]) -> str:
    """The page: versions, counts, one row per architecture, and the refusals in full."""
    return "\n".join(_lines(architectures, trials)) + "\n"


def _lines(architectures: Sequence[Architecture], trials: Sequence[Trial]) -> Iterator[str]:
    found = {(trial.architecture, trial.format): trial for trial in trials}
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in _LIBRARIES)
    supported = [a for a in architectures if len(a.refused) < len(FORMATS)]
    yield "# Architectures"
    yield ""
    yield (
        "Written by `python -m proofs.architectures --output docs/architectures.md`. Each "
        "network is small and has random weights. It is exported as `trimaran export` does, with "
        f"batches of {MAX_BATCH_SIZE} rows at most, and tried on everything that "
        f"[`parity.md`](parity.md) lists. An entry is the largest error of any output, and how "
        f"the module was captured; "
        "tolerances are the defaults."
    )
    yield ""
    yield f"{len(supported)} architectures can be exported, with {versions}:"
    yield ""
    for format in FORMATS:
        wanted = [a for a in architectures if format not in a.refused]
        passed = sum(found[a.name, format].exported for a in wanted)
        refused = sum(format in a.refused for a in architectures)
        yield f"- {format}: {passed} of {len(wanted)} verified, {refused} refused as expected"
    yield ""
    yield (
        "| architecture | family | axes that vary | largest output | " + " | ".join(FORMATS) + " |"
    )
    yield "|---|---|---|---|" + "---|" * len(FORMATS)
    for item in architectures:
        tried = [found[item.name, format] for format in FORMATS]
        cells = [_cell(trial) for trial in tried]
        value = f"{tried[0].largest_value:.2g}" if tried[0].largest_value else ""
        axes = ", ".join(tried[0].axes)
        yield f"| {item.name} | {item.family} | {axes} | {value} | " + " | ".join(cells) + " |"
    yield ""
    yield "## Refused"
    yield ""
    for trial in trials:
        if not trial.exported:
            unexpected = "" if trial.as_expected else " **(not expected)**"
            yield f"- {trial.architecture}, {trial.format}{unexpected}: {_plain(trial.problem)}"


def _cell(trial: Trial) -> str:
    if trial.exported:
        return f"{trial.largest_error:.1e} ({trial.capture})"
    return "refused" if trial.as_expected else "**failed**"


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")
