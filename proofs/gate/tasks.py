"""The trials, each in a separate process, since a wrong artifact may end the one that runs it."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from typing import cast

import torch

from proofs.gate.image_subjects import image_subjects
from proofs.gate.sequence_subjects import sequence_subjects
from proofs.gate.subject import Subject
from proofs.gate.table_subjects import table_subjects
from proofs.gate.trial import FORMATS, Outcome, hold_subject

__all__ = ["SUBJECTS", "Task", "hold_all", "tasks"]

_PLAIN = ("cnn", "conv1d", "encoder", "mlp")


def _subjects() -> Iterator[Subject]:
    drawn = [*image_subjects(), *sequence_subjects(), *table_subjects()]
    yield from drawn
    for subject in drawn:
        if subject.name in _PLAIN:
            yield replace(subject, name=f"{subject.name}_plain_example", plain=True)


SUBJECTS: dict[str, Subject] = {subject.name: subject for subject in _subjects()}
"""By name, in the order of the report; some twice, with an example of ones alone."""


_WARM = "proofs.architectures.warm"


@dataclass(frozen=True)
class Task:
    """A subject in one format, with the weights of a seed, and how many mutants of it."""

    subject: str
    format: str
    weights: int
    mutants: int


def tasks(count: int, weights: int) -> list[Task]:
    """So many mutants, spread evenly over subjects and formats; then more seeds, unchanged."""
    pairs = [(name, format) for name in SUBJECTS for format in FORMATS]
    each, more = divmod(count, len(pairs))
    return [
        Task(*pair, number, 0 if number else each + (i < more))
        for number in range(weights)
        for i, pair in enumerate(pairs)
    ]


@dataclass
class _Running:
    """A task's process, its last trial, and its outcomes so far."""

    task: Task
    process: ForkServerProcess
    trying: tuple[str, str] | None = None
    outcomes: list[Outcome] = field(default_factory=list)

    def ended(self) -> list[Outcome]:
        """All outcomes; a trial that ended the process gives no answer and counts as refused."""
        self.process.join()
        if self.trying is not None:
            problem = f"the process that ran it ended with status {self.process.exitcode}"
            names = self.task.subject, self.task.format, *self.trying
            self.outcomes.append(Outcome(*names, problem, float("inf"), float("inf")))
        return self.outcomes


def hold_all(waiting: Sequence[Task], seed: int, processes: int) -> Iterator[list[Outcome]]:
    """The outcomes of each task, as they come, so many at a time.

    Torch's ONNX exporter keeps state as well: a process exports a GRU once, and not twice.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_WARM])
    left, running = list(waiting), dict[Connection, _Running]()
    try:
        while left or running:
            while left and len(running) < processes:
                task = left.pop(0)
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=_hold, args=(task, seed, sender), daemon=True)
                process.start()
                sender.close()
                running[receiver] = _Running(task, process)
            for ready in wait(list(running)):
                connection = cast("Connection", ready)
                try:
                    _take(running[connection], connection.recv())
                except EOFError:
                    connection.close()
                    yield running.pop(connection).ended()
    finally:
        for item in running.values():
            item.process.kill()


def _take(item: _Running, message: Outcome | tuple[str, str] | None) -> None:
    if isinstance(message, Outcome):
        item.outcomes.append(message)
    else:
        item.trying = message


def _hold(task: Task, seed: int, sender: Connection) -> None:
    """Send each trial before it runs, its outcome, and `None` at the end.

    Each process has one thread, and ONNX Runtime's log is dropped.
    """
    torch.set_num_threads(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for outcome in hold_subject(
            SUBJECTS[task.subject],
            task.format,
            task.weights,
            task.mutants,
            seed,
            trying=lambda kind, what: sender.send((kind, what)),
        ):
            sender.send(outcome)
        sender.send(None)
