"""Holds the parity gate against artifacts that are wrong in one place each.

`python -m conformance.gate [--count N] [--seed S] [--out docs/gate.md]`
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import torch

from conformance.gate.artifact import FORMATS
from conformance.gate.page import Tally, page
from conformance.gate.subjects import SUBJECTS
from conformance.gate.trial import Outcome, hold_subject

__all__ = ["Task", "hold_all", "main", "tasks"]

_COUNT = 1200
_WEIGHTS = 5
"""Seeds of weights with which every artifact is also judged unchanged."""
_WARM = "conformance.architectures.warm"


@dataclass(frozen=True)
class Task:
    """A subject in one format, with the weights of a seed, and how many mutants of it."""

    subject: str
    format: str
    weights: int
    mutants: int


def tasks(count: int) -> list[Task]:
    """So many mutants, spread evenly over subjects and formats; then more seeds, unchanged."""
    pairs = [(name, format) for name in SUBJECTS for format in FORMATS]
    each, more = divmod(count, len(pairs))
    return [
        Task(*pair, weights, 0 if weights else each + (i < more))
        for weights in range(_WEIGHTS)
        for i, pair in enumerate(pairs)
    ]


def hold_all(waiting: Sequence[Task], seed: int, processes: int) -> Iterator[list[Outcome]]:
    """The outcomes of each task, as they come, each from a process of its own.

    Torch's exporter keeps state: it exports a GRU once in a process, and refuses a second.
    Raises `BrokenProcessPool` where an artifact ends the process that runs it.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_WARM])
    pool = ProcessPoolExecutor(processes, context, _quieten, max_tasks_per_child=1)
    try:
        running = [pool.submit(_hold, task, seed) for task in waiting]
        for done in as_completed(running):
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the trials and write the page; status 1 where the gate missed or refused wrongly."""
    parser = argparse.ArgumentParser(prog="python -m conformance.gate", description=__doc__)
    parser.add_argument("--count", type=int, default=_COUNT, help="how many wrong artifacts")
    parser.add_argument("--seed", type=int, default=7, help="which changes are drawn")
    parser.add_argument("--out", type=Path, help="where the page goes; standard output if left out")
    parser.add_argument("--processes", type=int, default=2, help="how many at a time")
    given = parser.parse_args(arguments)
    if given.count < 1 or given.seed < 0 or given.processes < 1:
        parser.error("--count and --processes need at least 1, and --seed at least 0")
    outcomes: list[Outcome] = []
    try:
        for some in hold_all(tasks(given.count), given.seed, given.processes):
            outcomes += some
            tally = Tally(outcomes)
            print(
                f"{len(tally.mutants)} of {given.count}: {some[0].subject}, {some[0].format}: "
                f"{len(tally.missed)} missed of {len(tally.matters)} that matter",
                file=sys.stderr,
            )
    except KeyboardInterrupt:
        print("interrupted: no page was written", file=sys.stderr)
        return 130
    except BrokenProcessPool:
        print(
            "a process ended while it ran an artifact: no page was written; try another --seed",
            file=sys.stderr,
        )
        return 1
    names = list(SUBJECTS)
    outcomes.sort(key=lambda o: (names.index(o.subject), o.format, o.kind, o.what))
    command = f".venv/bin/python -m conformance.gate --count {given.count} --seed {given.seed}"
    text = page(outcomes, command)
    if given.out is None:
        print(text)
    else:
        given.out.write_text(text, encoding="utf-8")
    tally = Tally(outcomes)
    return 1 if tally.missed or tally.refused_wrongly else 0


def _hold(task: Task, seed: int) -> list[Outcome]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        subject = SUBJECTS[task.subject]
        return hold_subject(subject, task.format, task.weights, task.mutants, seed)


def _quieten() -> None:
    """One thread for each process, and no word of ONNX Runtime about what a client never sees."""
    torch.set_num_threads(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
