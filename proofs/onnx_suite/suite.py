"""Adds and serves ONNX's own model files, and compares the answers with ONNX Runtime's.

Each model that ONNX Runtime computes in this process must get equal answers from Triton.
Example: python -m proofs.onnx_suite --output docs/onnx-suite.md
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from exporters.adding import Wish, add_file
from proofs.onnx_suite.cases import (
    Answered,
    Arrays,
    Case,
    compute,
    find_cases,
    spread,
    write_operators,
)
from proofs.onnx_suite.page import Reached, Result, page
from trimaran.repository.repository import Repository
from trimaran.serving.client import Client, Protocol
from trimaran.serving.runtime import find_runtime
from trimaran.serving.server import Server, private_server
from trimaran.system.console import console
from trimaran.system.errors import TrimaranError
from trimaran.system.files import write_text

__all__ = ["RTOL", "difference", "run_suite"]

RTOL = 1e-6
"""How far an answer may be off where threads add in another order, relative to the largest."""

_GROUP = 8
_LOADS_TOGETHER = 2
_BY_COMMAND = 3


def run_suite(
    cases: Sequence[Case], root: Path, advance: Callable[[str], None] = lambda name: None
) -> list[Result]:
    """Try every case in a repository below `root`; `advance` is called with the name of each model
    that is done.
    """
    repository = Repository.create(root / "models")
    results: dict[str, Result] = {}
    waiting: list[tuple[str, Answered]] = []

    def done(result: Result) -> None:
        results[result.name] = result
        advance(result.name)

    for case in cases:
        answered = compute(case)
        if isinstance(answered, str):
            done(Result(case.name, Reached.FOUND, answered))
            continue
        refusal = _add(case, answered, repository, by_command=len(waiting) < _BY_COMMAND)
        if refusal:
            done(Result(case.name, Reached.COMPUTED, refusal.replace(f"{case.path}: ", "")))
            continue
        waiting.append((case.name, answered))
    with private_server(find_runtime(), repository) as server:
        for start in range(0, len(waiting), _GROUP):
            group = waiting[start : start + _GROUP]
            for result in _served(server, group, "grpc" if start // _GROUP % 2 else "http"):
                done(result)
    return [results[case.name] for case in cases]


def difference(expected: np.ndarray, actual: np.ndarray) -> float | None:
    """The largest error relative to the largest value, 0 where all is equal.

    A scalar is served as `[1]`. `None` where dtype or shape is another, or values that are no
    numbers differ.
    """
    if expected.ndim == 0:
        expected = expected.reshape(1)
    if expected.dtype.kind in "OSU":
        expected = np.array([str(text).encode() for text in expected.ravel()], dtype=object)
        return 0.0 if expected.tolist() == actual.ravel().tolist() else None
    if (expected.dtype, expected.shape) != (actual.dtype, actual.shape):
        return None
    if expected.tobytes() == actual.tobytes():
        return 0.0
    if expected.dtype.kind != "f" or not np.array_equal(np.isfinite(expected), np.isfinite(actual)):
        return None
    finite = np.isfinite(expected)
    largest = float(np.abs(expected[finite]).max(initial=0.0))
    error = float(np.abs(expected[finite].astype(float) - actual[finite].astype(float)).max())
    return error / largest if largest else None


def _add(case: Case, answered: Answered, repository: Repository, *, by_command: bool) -> str:
    """The refusal of the file; empty where it was added.

    Where made-up inputs fail, the recorded ones are given as `--sample`.
    """
    if by_command:
        command = [sys.executable, "-m", "trimaran", "add", str(case.path)]
        command += ["--name", case.name, "--repository", str(repository.root)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        return ended.stderr.strip() if ended.returncode else ""
    sample = repository.root.with_name("inputs.npz")
    refusal = ""
    for given in (None, sample):
        try:
            add_file(case.path, repository, Wish(name=case.name, sample=given))
            return ""
        except TrimaranError as error:
            refusal = str(error)
        if "--sample" not in refusal:
            break
        inputs, _ = answered.pairs[0]
        arrays: Any = {n: a.astype(str) if a.dtype == object else a for n, a in inputs.items()}
        np.savez(sample, **arrays)
    return refusal


def _served(
    server: Server, group: Sequence[tuple[str, Answered]], protocol: Protocol
) -> list[Result]:
    """Load the group, ask each model, and take all away again."""
    with ThreadPoolExecutor(_LOADS_TOGETHER) as pool:
        refusals = list(pool.map(lambda item: _load(server, item[0]), group))
    results = []
    with Client(server.endpoint, protocol) as client:
        for (name, answered), refusal in zip(group, refusals, strict=True):
            if refusal:
                results.append(Result(name, Reached.ADDED, refusal))
            else:
                results.append(_asked(client, name, answered))
    for name, _ in group:
        server.control.unload(name)
    return results


def _load(server: Server, name: str) -> str:
    try:
        server.control.load(name)
    except TrimaranError as error:
        return str(error)
    return ""


def _asked(client: Client, name: str, answered: Answered) -> Result:
    errors: list[float] = []
    for inputs, expected in answered.pairs:
        try:
            outputs = client.infer(name, _sent(inputs)).outputs
        except TrimaranError as error:
            return Result(name, Reached.ADDED, str(error))
        for output, array in expected.items():
            apart = difference(array, outputs[output])
            if apart is None or apart > RTOL:
                cause = f"output {output!r} differs" + (f" by {apart:.1e}" if apart else "")
                return Result(name, Reached.SERVED, cause)
            errors.append(apart)
    reached = Reached.EQUAL if any(errors) else Reached.IDENTICAL
    return Result(name, reached, answers=len(answered.pairs))


def _sent(inputs: Arrays) -> Mapping[str, np.ndarray]:
    """Inputs as a client sends them: a scalar as `[1]`, text as bytes."""
    sent = {}
    for name, array in inputs.items():
        array = array.reshape(array.shape or (1,))
        if array.dtype.kind in "OSU":
            flat = [str(text).encode() for text in array.ravel()]
            array = np.array(flat, dtype=object).reshape(array.shape)
        sent[name] = np.ascontiguousarray(array)
    return sent


def main() -> int:
    """Run the suite from the command line; exit status 1 if an added model differs."""
    parser = argparse.ArgumentParser(prog="python -m proofs.onnx_suite", description=__doc__)
    parser.add_argument(
        "--limit", type=int, metavar="N", help="only N models, evenly spread over the suite"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="file for the page")
    parser.add_argument(
        "--operators", type=int, metavar="N", help="add N tests of one operator each"
    )
    options = parser.parse_args()
    columns = BarColumn(), TimeElapsedColumn(), TextColumn("{task.completed}/{task.total}")
    described = TextColumn("{task.description}")
    with (
        tempfile.TemporaryDirectory() as scratch,
        Progress(*columns, described, console=console(stderr=True)) as progress,
    ):
        cases = spread(find_cases(), options.limit)
        if options.operators:
            cases += spread(write_operators(Path(scratch) / "operators"), options.operators)
        task = progress.add_task("starting", total=len(cases))
        results = run_suite(
            cases,
            Path(scratch),
            lambda name: progress.update(task, description=name, advance=1),
        )
    text = page(results, " ".join([".venv/bin/python -m proofs.onnx_suite", *sys.argv[1:]]))
    print(text)
    if options.output:
        write_text(options.output, text)
    return int(any(Reached.COMPUTED <= r.reached < Reached.EQUAL for r in results))
