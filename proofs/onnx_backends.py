"""Compares the two backends of the embedded runtime that serve ONNX models: C++ and Python.

A server with each of them runs at once, and both are measured in turn: with the models that are
named, and with a small network. Nothing else may serve the repository.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from onnx import helper

from loadtests.bench.block import Settings, warm_up
from loadtests.bench.compare import FIGURES, Sample, Turns, compare, require_turns, take_turns
from loadtests.bench.target import Payloads, Wanted, open_target
from loadtests.gates import Gates
from loadtests.subject import Service, private_service, unusable
from proofs.small_onnx import graph, value, write_model
from trimaran.cli.options import DEFAULT_REPOSITORY
from trimaran.repository.repository import Repository
from trimaran.serving.runtime import OnnxBackend
from trimaran.system.durations import seconds_of
from trimaran.system.errors import TrimaranError
from trimaran.system.files import temporary_directory
from trimaran.system.processes import cpu_s

_SMALL = "small_network"
_CONFIG = """\
backend: "onnxruntime"
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [16] }
output { name: "y" data_type: TYPE_FP32 dims: [2] }
instance_group { count: 2 kind: KIND_CPU }
"""
_CONNECTIONS = 16
_Services = tuple[Service, Service]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the native backend's figures over the Python one's, and both medians; 2 where not."""
    parser = argparse.ArgumentParser(prog="python -m proofs.onnx_backends", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="MODEL", help="MODEL or MODEL@PROTOCOL")
    parser.add_argument("--turns", type=int, default=10, help="turns of each; default 10")
    parser.add_argument("--duration", default="2s", help="duration of each load; default 2s")
    parser.add_argument(
        "--repository", type=Path, default=DEFAULT_REPOSITORY, help="the model repository"
    )
    given = parser.parse_args(arguments)
    try:
        with unusable():
            seconds = seconds_of(given.duration, "--duration", bare=True)
            settings = Settings(seconds, 0, _CONNECTIONS, Gates(), float("inf"))
            require_turns(given.turns)
            targets = [Wanted.parse(target) for target in given.targets]
            print("| native / python | " + " | ".join(map(" in ".join, FIGURES.items())) + " |")
            print("|---" * (len(FIGURES) + 1) + "|", flush=True)
            if targets:
                repository = Repository.open(given.repository)
                with _both(repository, [target.model for target in targets]) as services:
                    for target in targets:
                        _print_target(services, target, settings, given.turns)
            with temporary_directory() as folder, _both(_small(folder), [_SMALL]) as services:
                _print_row(f"{_SMALL}, unloaded and loaded", _loads(services, seconds, given.turns))
                for protocol in ("http", "grpc"):
                    _print_target(services, Wanted(_SMALL, "", protocol), settings, given.turns)
    except TrimaranError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    return 0


@contextmanager
def _both(repository: Repository, models: Sequence[str]) -> Iterator[_Services]:
    """A server with the native backend, and one with that in Python, of the same models."""
    native = private_service(repository, models, OnnxBackend.native)
    python = private_service(repository, models, OnnxBackend.python, alongside=True)
    with native as ours, python as theirs:
        yield ours, theirs


def _print_target(services: _Services, wanted: Wanted, settings: Settings, turns: int) -> None:
    payloads = Payloads(settings.seed)
    with (
        open_target(wanted, services[0], payloads) as ours,
        open_target(wanted, services[1], payloads) as theirs,
    ):
        for target in (ours, theirs):
            warm_up(target)
        _print_row(str(wanted), compare(ours, theirs, settings, turns, None).turns)


def _loads(services: _Services, seconds: float, turns: int) -> Turns:
    """How often in a second the small network can be unloaded and loaded, and the CPU of that."""

    def measured(service: Service) -> Callable[[int], Sample]:
        def measure(_: int) -> Sample:
            before, began, loads = cpu_s(service.pid or 0), time.monotonic(), 0
            while time.monotonic() < began + seconds:
                service.control.unload(_SMALL)
                service.control.load(_SMALL)
                loads += 1
            took_s, used_s = time.monotonic() - began, cpu_s(service.pid or 0) - before
            return Sample({"rate": loads / took_s, "CPU": used_s / loads * 1e3})

        return measure

    return take_turns([measured(service) for service in services], turns)


def _print_row(name: str, turns: Turns) -> None:
    """A row of the table: each ratio, and the two medians that it is of."""
    cells = []
    for figure in FIGURES:
        ratio = turns.ratio(0, 1, figure)
        medians = " / ".join(f"{turns.median(place, figure):.3g}" for place in (0, 1))
        cells.append(f"{ratio}; {medians}" if ratio else "")
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    if turns.invalid:
        raise TrimaranError(f"{name}: {turns.invalid}")


def _small(folder: Path) -> Repository:
    """A repository with a network of two layers, 16 numbers to 2 probabilities."""
    draw = np.random.default_rng(0).standard_normal
    weights = {
        "a": draw((16, 32)).astype(np.float32),
        "b": draw((32, 2)).astype(np.float32),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("MatMul", ["active", "b"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["y"]),
    ]
    model = graph(nodes, [value("x", (None, 16))], [value("y", (None, 2))], weights)
    repository = Repository.create(folder / "models")
    write_model(repository, _SMALL, model, _CONFIG)
    return repository


if __name__ == "__main__":
    sys.exit(main())
