"""`trimaran tune`: search for the settings that serve a model fastest under a bound on p99."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from loadtests.bench.block import Settings, warm_up
from loadtests.bench.compare import Contestant, Sample, contestant, take_turns
from loadtests.bench.target import PROTOCOLS, Payloads, Target, Wanted, open_target
from loadtests.gates import Gates
from loadtests.reports.tables import number
from loadtests.subject import private_service, unusable
from loadtests.tuning.knobs import Knobs, knobs_of, parameters_of, space, with_knobs
from loadtests.tuning.page import tuning_page
from loadtests.tuning.study import (
    Score,
    Tried,
    Tuned,
    best_load,
    best_of,
    digest_of,
    foregone,
    search,
)
from trimaran.checks.raising import checked_config
from trimaran.cli.options import DEFAULT_REPOSITORY, PayloadsPath, RepositoryPath
from trimaran.repository.config import ModelConfig, format_config, write_config
from trimaran.repository.repository import Repository
from trimaran.stats.bootstrap import Ratio
from trimaran.system.console import console
from trimaran.system.durations import seconds_of
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.files import write_text

__all__ = ["tune"]

_SHOWN = 10
_OPEN_SHARE = 0.7


def tune(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model or ensemble.")],
    p99_ms: Annotated[float, typer.Option(help="SLO: the highest p99 latency, in ms.")],
    trials: Annotated[int, typer.Option(help="Number of settings to try in total.")] = 30,
    duration: Annotated[str, typer.Option(help="How long each load in a trial runs.")] = "1500ms",
    turns: Annotated[
        int,
        typer.Option(
            help="How often the best and the present settings are each measured at the end."
        ),
    ] = 10,
    protocol: Annotated[str, typer.Option(help=", ".join(PROTOCOLS))] = "http",
    batch: Annotated[int, typer.Option(help="Rows per request.")] = 1,
    payloads: PayloadsPath = None,
    seed: Annotated[
        int, typer.Option(help="Random seed of the proposals, payloads and send times.")
    ] = 0,
    write: Annotated[
        bool,
        typer.Option(
            "--write", help="Write the best settings into config.pbtxt, if they are better."
        ),
    ] = False,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="HTML page of the trials.")
    ] = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
) -> None:
    """Search for the instances, threads, batch sizes and queue delays with the highest rate.

    At the end the best settings are measured in turn with the present ones. The same command
    resumes an interrupted search. Exit status: 0 with a verdict, 2 without one.
    """
    with unusable(), ExitStack() as stack:
        seconds = seconds_of(duration, "--duration", bare=True)
        _check(p99_ms, trials, turns)
        opened = Repository.open(repository)
        wanted = Wanted.parse(model, protocol)
        service = stack.enter_context(private_service(opened, [wanted.model]))
        rows = Payloads(seed=seed, batch=batch, given=payloads)
        target = stack.enter_context(open_target(wanted, service, rows))
        live = {name: _live(opened, name) for name in target.models}
        distributions = space(live, os.cpu_count() or 1)
        if not distributions:
            raise UsageError(f"{wanted.model} has no settings that could be tuned")
        present = parameters_of(live, distributions)
        tuned = Tuned(service.control, live)
        screen = console(stderr=True)
        screen.print(
            f"{target.name}: {target.source}; {len(distributions)} settings, {trials} trials",
            highlight=False,
        )

        def measure(parameters: Mapping[str, int]) -> Score:
            tuned.apply(knobs_of(live, parameters))
            return best_load(target, p99_ms, seconds)

        tried = search(
            distributions,
            present,
            measure,
            trials=trials,
            seed=seed,
            storage=_storage(opened, str(wanted), live, p99_ms, seconds, batch, seed, payloads),
            on_trial=lambda trial: print(_line(trial, live), flush=True),
        )
        show = console()
        if len(tried) < trials:
            show.print(_table(tried, live))
            raise TrimaranError(
                f"interrupted after {len(tried)} of {trials} trials; the same command continues "
                f"with the others"
            )
        verdict, better = _decide(tuned, target, tried, live, turns, seconds, seed, p99_ms)
        show.print(_table(tried, live))
        if output:
            write_text(output, tuning_page(f"Tuning of {wanted}", verdict, p99_ms, tried))
        if better is None:
            raise TrimaranError(verdict)
        show.print(verdict, highlight=False, soft_wrap=True)
        if write and better:
            _write(opened, better)
        elif write:
            print("nothing was written")


def _check(p99_ms: float, trials: int, turns: int) -> None:
    for name, value, least in (("p99-ms", p99_ms, 0), ("trials", trials, 1), ("turns", turns, 2)):
        if value < least or value <= 0:
            raise UsageError(f"--{name} is {value:g}; give at least {max(least, 0)}")


def _live(repository: Repository, model: str) -> ModelConfig:
    return repository.live(model) or checked_config(repository, model)


def _storage(
    repository: Repository, target: str, live: Mapping[str, ModelConfig], *decisive: object
) -> Path:
    texts = {name: format_config(config) for name, config in live.items()}
    digest = digest_of(target=target, live=texts, decisive=decisive)
    name = target.replace(":", "_").replace("@", "_")
    return repository.state / "tuning" / f"{name}_{digest}.sqlite3"


def _decide(
    tuned: Tuned,
    target: Target,
    tried: Sequence[Tried],
    live: Mapping[str, ModelConfig],
    turns: int,
    seconds: float,
    seed: int,
    p99_ms: float,
) -> tuple[str, Mapping[str, Knobs] | None]:
    """The verdict on the search in words, and the better settings, if any are better for certain.

    `None` where the winner could not be compared with the present.
    """
    if said := foregone(tried, p99_ms):
        return said[0], {} if said[1] else None
    first, best = tried[0], best_of(tried)
    print("the best takes turns with the present settings", flush=True)
    reached = [trial.rate for trial in (best, first) if trial.rate]
    rate = _OPEN_SHARE * min(reached) / target.rows
    contestants = [
        _contestant(tuned, target, trial, live, seconds, seed, rate) for trial in (best, first)
    ]
    measured = take_turns(contestants, turns)
    if measured.invalid:
        return f"the comparison of the best settings is invalid: {measured.invalid}", None
    ratios = {figure: measured.ratio(0, 1, figure) for figure in ("rate", "p99", "CPU")}
    settings = _changed(live, first, best)
    words = "; ".join(f"{name}: {knobs}" for name, knobs in settings.items())
    figures = ", ".join(f"{name} {ratio}" for name, ratio in ratios.items() if ratio)
    if ratios["p99"] is None:
        words = f"{measured.late} of {len(measured.turns)} turns have no latencies, since the "
        return f"the comparison of the best settings is invalid: {words}generator was late", None
    if measured.median(0, "p99") > p99_ms:
        found = number(measured.median(0, "p99"))
        return f"the best settings break the bound in an open loop: p99 {found} ms ({words})", {}
    rate_ratio: Ratio | None = ratios["rate"]
    if rate_ratio is None or rate_ratio.low <= 1.0:
        return f"the best settings are not reliably better: {figures} ({words})", {}
    return f"better settings: {figures} times the present ({words})", settings


def _contestant(
    tuned: Tuned,
    target: Target,
    trial: Tried,
    live: Mapping[str, ModelConfig],
    seconds: float,
    seed: int,
    rate: float,
) -> Contestant:
    connections = (trial.score.connections if trial.score else 0) or 1
    settings = Settings(seconds, seed, connections, Gates(), most_rate=float("inf"))
    measured = contestant(target, settings, True, rate)

    def measure(turn: int) -> Sample:
        tuned.apply(knobs_of(live, trial.parameters))
        warm_up(target)
        sample = measured(turn)
        if not sample.invalid:
            rates = [number(sample.figures.get(name)) for name in ("rate", "p99")]
            print(f"turn {turn + 1}, trial {trial.number}: {rates[0]} rows/s, p99 {rates[1]} ms")
        return sample

    return measure


def _changed(live: Mapping[str, ModelConfig], first: Tried, best: Tried) -> Mapping[str, Knobs]:
    before, after = (knobs_of(live, trial.parameters) for trial in (first, best))
    return {name: knobs for name, knobs in after.items() if knobs != before[name]}


def _line(tried: Tried, live: Mapping[str, ModelConfig]) -> str:
    words = "; ".join(
        f"{name}: {knobs}" for name, knobs in knobs_of(live, tried.parameters).items()
    )
    if tried.score is None:
        return f"trial {tried.number}: refused: {tried.problem} ({words})"
    if not tried.score.rate:
        return f"trial {tried.number}: p99 {number(tried.score.p99_ms)} ms at best ({words})"
    return (
        f"trial {tried.number}: {number(tried.score.rate)} rows/s, p99 "
        f"{number(tried.score.p99_ms)} ms with {tried.score.connections} connections ({words})"
    )


def _table(tried: Sequence[Tried], live: Mapping[str, ModelConfig]) -> Table:
    columns = ("trial", "rows/s", "p99 ms", "CPU ms", "connections")
    table = Table()
    for heading in columns:
        table.add_column(heading, justify="right")
    table.add_column("settings", overflow="fold")
    ordered = sorted(tried, key=lambda trial: -trial.rate)
    for trial in ordered[:_SHOWN]:
        score = trial.score
        words = "\n".join(
            f"{name}: {knobs}" for name, knobs in knobs_of(live, trial.parameters).items()
        )
        table.add_row(
            str(trial.number),
            *(number(value) if score else "" for value in _figures(score)),
            str(score.connections) if score else "",
            escape(words),
        )
    return table


def _figures(score: Score | None) -> tuple[float | None, ...]:
    return (score.rate, score.p99_ms, score.cpu_ms) if score else (None, None, None)


def _write(repository: Repository, settings: Mapping[str, Knobs]) -> None:
    for name, knobs in settings.items():
        path = repository.config_path(name)
        write_config(path, with_knobs(checked_config(repository, name), knobs))
        print(f"{path}: {knobs}")
    print("they take effect with the next release, or for a plain model with the next start")
