"""Exports every architecture in every format, and prints the results as a table."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from proofs.architectures.trial import FORMATS, Trial, catalogue, markdown, try_each

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Try the architectures, print or write the table; 0 where each came out as expected."""
    parser = argparse.ArgumentParser(prog="python -m proofs.architectures", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        help="an architecture or a family of them; repeatable",
    )
    parser.add_argument("--output", type=Path, help="file for the table; default: standard output")
    parser.add_argument(
        "--trials", type=Path, help="file that keeps results; a later call continues from it"
    )
    parser.add_argument("--processes", type=int, default=2, help="processes at a time")
    options = parser.parse_args(arguments)
    known = catalogue()
    chosen = [a for a in known if not options.only or {a.name, a.family} & set(options.only)]
    unknown = set(options.only or ()) - {word for a in known for word in (a.name, a.family)}
    if unknown or options.processes < 1:
        parser.error(
            f"there is no architecture {sorted(unknown)[0]!r}" if unknown else "--processes is < 1"
        )
    names = [a.name for a in chosen]
    trials = [t for t in _kept(options.trials) if t.architecture in names]
    names = [name for name in names if name not in {t.architecture for t in trials}]
    try:
        for done in try_each(names, options.processes):
            trials += done
            _keep(options.trials, done)
            for trial in done:
                print(
                    f"[{len(trials) // len(FORMATS)}/{len(chosen)}] {trial.line()}", file=sys.stderr
                )
    except KeyboardInterrupt:
        print("interrupted: no table was written", file=sys.stderr)
        return 130
    text = markdown(chosen, trials)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    else:
        print(text)
    return 0 if all(trial.as_expected for trial in trials) else 1


def _kept(path: Path | None) -> list[Trial]:
    """The trials of an earlier, interrupted run, one JSON object a line."""
    if path is None or not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [Trial(**{**row, "axes": tuple(row["axes"])}) for row in rows]


def _keep(path: Path | None, trials: list[Trial]) -> None:
    if path is not None:
        with path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(trial)) + "\n" for trial in trials)


if __name__ == "__main__":
    sys.exit(main())
