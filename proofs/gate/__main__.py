"""Tests the parity gate with artifacts that are wrong in one place each.

Example: python -m proofs.gate --output docs/gate.md
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from proofs.gate.page import Tally, page
from proofs.gate.tasks import SUBJECTS, hold_all, tasks
from proofs.gate.trial import Outcome

__all__ = ["main"]

_COUNT = 1200
_WEIGHTS = 5
"""Seeds of weights with which every artifact is also tried unchanged."""


def main(arguments: list[str] | None = None) -> int:
    """Run the trials and write the page; status 1 where the gate missed or refused wrongly."""
    parser = argparse.ArgumentParser(prog="python -m proofs.gate", description=__doc__)
    parser.add_argument("--count", type=int, default=_COUNT, help="number of wrong artifacts")
    parser.add_argument("--seed", type=int, default=7, help="random seed of the changes")
    parser.add_argument("--output", type=Path, help="file for the page; default: standard output")
    parser.add_argument("--processes", type=int, default=2, help="processes at a time")
    given = parser.parse_args(arguments)
    if given.count < 1 or given.seed < 0 or given.processes < 1:
        parser.error("--count and --processes need at least 1, and --seed at least 0")
    outcomes: list[Outcome] = []
    try:
        for some in hold_all(tasks(given.count, _WEIGHTS), given.seed, given.processes):
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
    names = list(SUBJECTS)
    outcomes.sort(key=lambda o: (names.index(o.subject), o.format, o.kind, o.what))
    command = f".venv/bin/python -m proofs.gate --count {given.count} --seed {given.seed}"
    text = page(outcomes, command)
    if given.output is None:
        print(text)
    else:
        given.output.write_text(text, encoding="utf-8")
    tally = Tally(outcomes)
    return 1 if tally.missed or tally.refused_wrongly else 0


if __name__ == "__main__":
    sys.exit(main())
