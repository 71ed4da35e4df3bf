"""Compares `trimaran check` with the real server on mutated repositories.

Example: python -m proofs.mutations --output docs/checker.md
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from proofs.mutations.confusion import Confusion, page
from proofs.mutations.oracle import oracle
from proofs.mutations.trial import Outcome, hold_trial, make_trials
from trimaran.serving.runtime import find_runtime

__all__ = ["hold_trials", "main"]

_COUNT = 580


def hold_trials(count: int, seed: int, *, progress: bool = False) -> Iterator[Outcome]:
    """The outcome of `count` repositories, one by one; the first ones are unchanged."""
    with (
        tempfile.TemporaryDirectory(prefix="trimaran-mutations-") as root,
        oracle(Path(root)) as server,
    ):
        for done, trial in enumerate(make_trials(count, seed), 1):
            yield hold_trial(server, trial)
            if progress:
                print(f"\r{done} of {count}: {trial.kind:<40}", end="", file=sys.stderr)
    if progress:
        print(file=sys.stderr)


def main(arguments: list[str] | None = None) -> int:
    """Run the trials, and write the page; status 1 where the checker missed something."""
    parser = argparse.ArgumentParser(prog="python -m proofs.mutations", description=__doc__)
    parser.add_argument("--count", type=int, default=_COUNT, help="number of repositories")
    parser.add_argument("--seed", type=int, default=7, help="random seed of the mutations")
    parser.add_argument("--output", type=Path, help="file for the page; default: standard output")
    given = parser.parse_args(arguments)
    outcomes: list[Outcome] = []
    try:
        for outcome in hold_trials(given.count, given.seed, progress=True):
            outcomes.append(outcome)  # noqa: PERF402 - what was done counts when interrupted
    except KeyboardInterrupt:
        print(f"\ninterrupted after {len(outcomes)}; nothing is written", file=sys.stderr)
        return 130
    command = f".venv/bin/python -m proofs.mutations --count {given.count} --seed {given.seed}"
    text = page(outcomes, command, find_runtime().version)
    if given.output is None:
        print(text)
    else:
        given.output.write_text(text)
    found = Confusion(outcomes)
    for outcome in (*found.missed, *found.unjustified):
        print(
            f"{outcome.trial.number} {outcome.trial.good}: {outcome.trial.kind}: "
            f"{outcome.trial.change}: checker: {outcome.checker}; server: {outcome.server}",
            file=sys.stderr,
        )
    return 1 if found.missed else 0


if __name__ == "__main__":
    sys.exit(main())
