"""Compares a served model with the same work in plain processes.

The limit is the model's work without any server, in one process for each core. The served model and
the limit are measured in turn, so that a slow machine slows both.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from loadtests.bench.block import Settings, warm_up
from loadtests.bench.compare import Contestant, Sample, Turns, contestant, take_turns
from loadtests.bench.target import PROTOCOLS, Payloads, Target, Wanted, open_target
from loadtests.gates import INVALID, KEPT, Gates
from loadtests.reports.tables import print_figures
from loadtests.subject import Service, find_service, unusable
from proofs.jobs.job import JobFiles, work
from proofs.jobs.published import photograph_files, record_files
from trimaran.cli.options import DEFAULT_REPOSITORY
from trimaran.repository.live import live_versions
from trimaran.system.console import console
from trimaran.system.durations import seconds_of
from trimaran.system.errors import TrimaranError
from trimaran.system.processes import ALLOCATOR

__all__ = ["against_limit", "known_job", "limit", "main", "shares_of_limit"]

_TURNS = 6
_TRY_S = 0.7
_START_S = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the model and the limit in turn, and print the shares; 2 where they are not known."""
    parser = argparse.ArgumentParser(prog="python -m proofs.limit", description=__doc__)
    parser.add_argument("model", metavar="MODEL", help="MODEL, MODEL:VERSION or MODEL@PROTOCOL")
    parser.add_argument("--protocol", default="http", help=", ".join(PROTOCOLS))
    parser.add_argument("--batch", type=int, default=1, help="rows per request")
    parser.add_argument(
        "--connections", type=int, default=16, help="connections of the closed loop; default 16"
    )
    parser.add_argument(
        "--duration", default="10s", help="duration of all the model's turns together; default 10s"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed of the payloads")
    parser.add_argument(
        "--repository", type=Path, default=DEFAULT_REPOSITORY, help="the model repository"
    )
    given = parser.parse_args(arguments)
    try:
        with unusable():
            seconds = seconds_of(given.duration, "--duration", bare=True) / _TURNS
            settings = Settings(seconds, given.seed, given.connections, Gates(), float("inf"))
            service = find_service(given.repository)
            wanted = Wanted.parse(given.model, given.protocol)
            payloads = Payloads(given.seed, batch=given.batch)
            with open_target(wanted, service, payloads) as target:
                warm_up(target)
                turns = against_limit(service, target, settings)
    except TrimaranError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    print_figures(console(), shares_of_limit(turns))
    return INVALID if turns.invalid else KEPT


def against_limit(service: Service, target: Target, settings: Settings) -> Turns:
    """The target in a closed loop, and the limit, in turn.

    Raises `TrimaranError` where the target does no job that is known here.
    """
    job = known_job(service, target)
    if job is None:
        raise TrimaranError(
            f"{target.name} does no job that is known here; name an image ensemble, or a model "
            "that takes records as JSON text"
        )
    with limit(*job, settings.seconds, target.rows) as bound:
        return take_turns([contestant(target, settings, True, None), bound], _TURNS)


def shares_of_limit(turns: Turns) -> dict[str, float | str]:
    """The limit, and which share of it the target reached, in rate and in CPU, by name."""
    if turns.invalid:
        return {"rate / in-process limit": f"invalid: {turns.invalid}"}
    found: dict[str, float | str] = {
        "in-process limit, rows/s": turns.median(1, "rate"),
        "in-process limit, CPU ms per row": turns.median(1, "CPU"),
    }
    names = {"rate": "rate / in-process limit", "CPU": "CPU per row / in-process limit"}
    for figure, name in names.items():
        ratio = turns.ratio(0, 1, figure)
        if ratio is not None:
            found[name] = str(ratio)
    return found


def known_job(service: Service, target: Target) -> tuple[JobFiles, list[bytes]] | None:
    """The files and inputs of the job that a target does; `None` for a job not known here.

    Known jobs are those of an image ensemble, and of a model that takes records as JSON text.
    """
    if service.repository is None or not target.sent or len(target.sent[0]) != 1:
        return None
    model = target.models[0]
    name = next(iter(target.sent[0]))
    read = {"IMAGE": photograph_files, "RECORD": record_files}.get(name)
    versions = live_versions(service.repository.live(model))
    if read is None or not versions:
        return None
    inputs = [data for row in target.sent for data in row[name].reshape(-1).tolist()]
    try:
        return read(service.repository, model, max(versions)), inputs
    except TrimaranError:  # a model of that interface which is made of something else
        return None


@contextmanager
def limit(
    files: JobFiles, inputs: Sequence[bytes], seconds: float, rows: int = 1
) -> Iterator[Contestant]:
    """A contestant that does the job as fast as this machine allows, `seconds` in each turn.

    One process for each core, a thread each; one input at a time, or 2, 4, 8 or `rows` together,
    whichever is fastest here.
    """
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        pipes = []
        for _ in range(len(os.sched_getaffinity(0))):
            ours, theirs = context.Pipe()
            process = context.Process(target=work, args=(theirs, files, inputs), daemon=True)
            with _inherited({**ALLOCATOR, **os.environ}):
                process.start()
            stack.callback(_end, process, ours)
            theirs.close()
            pipes.append(ours)
        for pipe in pipes:
            if not pipe.poll(_START_S) or pipe.recv() != "ready":
                raise TrimaranError("the in-process limit could not be set up")
        batches = sorted({1, 2, 4, 8, rows})
        batch = max(batches, key=lambda size: _rate(pipes, _TRY_S, size)[0])

        def measure(turn: int) -> Sample:
            rate, cpu_s = _rate(pipes, seconds, batch)
            return Sample({"rate": rate, "CPU": cpu_s * 1e3})

        yield measure


def _rate(pipes: Sequence[Connection], seconds: float, batch: int) -> tuple[float, float]:
    """Inputs per second over all processes, and CPU seconds per input."""
    for pipe in pipes:
        pipe.send((seconds, batch))
    answers = [pipe.recv() for pipe in pipes]
    done = sum(count for count, _, _ in answers)
    rate = sum(count / wall_s for count, wall_s, _ in answers)
    return rate, sum(cpu_s for _, _, cpu_s in answers) / done


@contextmanager
def _inherited(variables: Mapping[str, str]) -> Iterator[None]:
    """A process that is started in the block gets these variables, and ignores Ctrl-C.

    A terminal sends Ctrl-C to every process; the one that started the others ends them.
    """
    before = dict(os.environ)
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(variables)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        os.environ.clear()
        os.environ.update(before)


def _end(process: multiprocessing.process.BaseProcess, pipe: Connection) -> None:
    pipe.close()
    process.kill()
    process.join()


if __name__ == "__main__":
    sys.exit(main())
