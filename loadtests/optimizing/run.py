"""From a factory to the winner in the repository: exported, measured, compared, placed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from exporters.api import require_known, spec_of
from exporters.export import FORMATS, largest_served_batch
from exporters.export import Options as ExportOptions
from exporters.original import Original, run_original
from exporters.parity import Arrays
from exporters.precision.int8 import read_rows
from exporters.precision.precision import PRECISIONS, model_name
from exporters.precision.reference import reference_for
from loadtests.machine import Moment, circumstances, since
from loadtests.optimizing.candidates import (
    content_of,
    export_candidates,
    fixed_chance,
    interface_in,
    named_for,
    requests_for,
)
from loadtests.optimizing.measuring import Alone, Contest, Plan
from loadtests.optimizing.placing import (
    Names,
    find_step,
    place_in_ensemble,
    publish_winner,
    require_plain_name,
)
from loadtests.optimizing.results import Results, Standing
from loadtests.payloads import Rows
from trimaran.repository.repository import Repository
from trimaran.serving.runtime import find_runtime
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.files import sha256_of
from trimaran.system.journal import Journal

__all__ = ["Optimized", "Options", "optimize_model", "place_winner"]

_BATCH_SIZES = (1, 8, 32)


@dataclass(frozen=True)
class Options:
    """What is exported, measured and published; `None` for formats and precisions means all."""

    name: str | None = None
    formats: Sequence[str] | None = None
    precisions: Sequence[str] | None = None
    agreement: float = 0.99
    calibration: Path | None = None
    """A file of rows for `int8`, as `trimaran export` takes it."""
    max_batch_size: int | None = None
    """Of the models that are not in the repository; `None` for what the `ModelSpec` says."""
    batch_sizes: tuple[int, ...] | None = None
    """Rows per request; `None` for 1, 8 and 32, as far as the model takes them."""
    p99_ms: float | None = None
    seconds: float = 1.0
    turns: int = 10
    seed: int = 0
    publish: bool = False
    into: str | None = None


@dataclass(frozen=True)
class Optimized:
    """The results, with what the winner is published from."""

    results: Results
    original: Original
    work: Repository
    """The private repository of all exports."""
    about: Mapping[str, str]
    """The circumstances by name."""

    @property
    def folder(self) -> Path:
        """Where everything about this model is kept."""
        return self.work.root.parent


def optimize_model(
    factory: str, repository: Repository, options: Options, say: Callable[[str], None]
) -> Optimized:
    """Export a model in every way, and measure what agrees with PyTorch; nothing is published.

    Steps that were finished before for a model of the same content are not repeated. Raises
    `UsageError` for options that do not fit the model or the repository.
    """
    formats, precisions = options.formats or [*FORMATS], options.precisions or [*PRECISIONS]
    require_known("format", formats, FORMATS)
    require_known("precision", precisions, PRECISIONS)
    calibration = options.calibration
    if calibration and "int8" not in precisions:
        raise UsageError("--calibration is for --precision int8 only")
    started = Moment.now()
    runtime = find_runtime()
    fixed_chance()
    spec, source = spec_of(factory, options.name)
    _require_place(repository, spec.name, options)
    wished = options.max_batch_size or spec.max_batch_size
    largest = largest_served_batch(repository, spec.name, FORMATS, wished, PRECISIONS)
    plan = _plan(options, largest)
    say(f"{spec.name}: in PyTorch")
    original = run_original(spec, largest)
    rows = read_rows(calibration, original.interface.inputs) if calibration else None
    decisive = (options.agreement, *([sha256_of(calibration)] if calibration else []))
    folder = repository.state / "optimize" / f"{spec.name}_{content_of(original, *decisive)}"
    how = ExportOptions(calibration=rows, required=options.agreement)
    work, journal = Repository.create(folder / "model_repository"), Journal(folder / "steps.jsonl")
    with reference_for(original) as reference:
        candidates = export_candidates(
            reference, work, source, journal, formats, precisions, how, say
        )

    @cache
    def drawn(batch: int) -> Sequence[Arrays]:
        return requests_for(original, batch, options.seed)

    def requests(format: str, batch: int) -> Rows:
        return named_for(original, format, drawn(batch), options.seed)

    contest = Contest(plan, work, runtime, requests, journal, say)
    alone = contest.alone([each for each in candidates if not each.refused])
    standing = [each for each in candidates if each.model in alone]
    points = contest.in_turns([each for each in standing if not alone[each.model].refused], alone)
    standings = tuple(
        Standing(each, alone.get(each.model, Alone()), points.get(each.model, ()))
        for each in candidates
    )
    about = circumstances(os.getpid(), since(started, Moment.now()), options.seed)
    return Optimized(Results(spec.name, plan, standings), original, work, about)


def place_winner(optimized: Optimized, repository: Repository, options: Options) -> list[str]:
    """Publish the winner as the options ask, and say what was done; nothing where they do not.

    Raises `ConfigError` where a configuration in the repository is for something else.
    """
    results, original = optimized.results, optimized.original
    if results.winner is None or not (options.publish or options.into):
        return []
    chosen = results.winner.candidate
    before = options.into and find_step(repository, options.into, _family(results.model))
    publication = publish_winner(
        optimized.work,
        chosen.model,
        repository,
        chosen.model if options.into else results.model,
        results.aim,
        results.beat(),
    )
    done = [f"published as {publication}"]
    if options.into and before:
        names = {format: _names(original, format) for format in FORMATS}
        changed = place_in_ensemble(
            repository, options.into, before, chosen.model, [*names.values()], names[chosen.format]
        )
        done.append(
            f"{repository.config_path(options.into)}: the step is {chosen.model}"
            + (f" in place of {before}" if changed else ", as before")
            + f"; it takes effect with the next release: 'trimaran release {options.into}'"
        )
    return done


def _plan(options: Options, largest: int) -> Plan:
    for size in options.batch_sizes or ():
        if size > largest:
            raise UsageError(
                f"--batch-sizes has {size}, and the model is exported for batches of at most "
                f"{largest}; leave it out, or raise --max-batch-size"
            )
    sizes = options.batch_sizes or tuple(size for size in _BATCH_SIZES if size <= largest)
    return Plan(sizes, options.p99_ms, options.seconds, options.turns, options.seed)


def _require_place(repository: Repository, name: str, options: Options) -> None:
    """Refuse what could not be published in the end, before anything is measured."""
    if options.publish:
        require_plain_name(repository, name)
    if options.into:
        find_step(repository, options.into, _family(name))
    if (options.publish or options.into) and not os.access(repository.root, os.W_OK):
        raise TrimaranError(
            f"{repository.root} cannot be written by this user; become its owner, or leave "
            "--publish and --into out"
        )


def _family(name: str) -> list[str]:
    """What a model is called in a repository: in each format and precision, and plainly."""
    return [*(model_name(name, f, p) for f in FORMATS for p in PRECISIONS), name]


def _names(original: Original, format: str) -> Names:
    served = interface_in(original, format)
    return Names(
        tuple(spec.name for spec in served.inputs), tuple(spec.name for spec in served.outputs)
    )
