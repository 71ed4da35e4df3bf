"""The limit: a job's work in plain processes, one for each core, without any server."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection

from loadtests.bench.target import Target
from loadtests.bench.turns import Contestant, Sample
from loadtests.jobs.files import JobFiles
from loadtests.jobs.opening import open_job
from loadtests.jobs.published import photograph_files, record_files
from loadtests.subject.service import Service
from trimaran.repository.live import live_versions
from trimaran.system.errors import TrimaranError
from trimaran.system.processes import ALLOCATOR

__all__ = ["known_job", "limit"]

_TRY_S = 0.7
_START_S = 60.0


def known_job(service: Service, target: Target) -> tuple[JobFiles, list[bytes]] | None:
    """The files and inputs of the job that a target does, if it is one that is known here.

    Those are an image ensemble's, and a model's that takes records as JSON text.
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
            process = context.Process(target=_work, args=(theirs, files, inputs), daemon=True)
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


def _work(pipe: Connection, files: JobFiles, inputs: Sequence[bytes]) -> None:
    job = open_job(files)
    job.answer_many(inputs[:8])
    pipe.send("ready")
    place = 0
    while True:
        try:
            seconds, batch = pipe.recv()
        except EOFError:
            return
        began, cpu_began, count = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - began < seconds:
            if batch == 1:
                job.answer(inputs[place % len(inputs)])
            else:
                job.answer_many([inputs[(place + at) % len(inputs)] for at in range(batch)])
            place += batch
            count += batch
        pipe.send((count, time.perf_counter() - began, time.process_time() - cpu_began))


@contextmanager
def _inherited(variables: Mapping[str, str]) -> Iterator[None]:
    """What a process that is started meanwhile has: variables, and a deaf ear for Ctrl-C.

    A terminal gives Ctrl-C to every process; the one that started the others ends them.
    """
    before = dict(os.environ)
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(variables)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, heard)
        os.environ.clear()
        os.environ.update(before)


def _end(process: multiprocessing.process.BaseProcess, pipe: Connection) -> None:
    pipe.close()
    process.kill()
    process.join()
