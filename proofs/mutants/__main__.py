"""Puts each mistake of the table into a copy of the project and runs the tests that must notice it.

Example: python -m proofs.mutants --output docs/mutants.md

A run that was interrupted goes on where it stopped: what was found is kept in
`.trimaran/mutants.jsonl`, by the mistake and the content of the files that it depends on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from proofs.mutants.mutant import MOST_EQUIVALENT, Mutant, read_table
from proofs.mutants.trial import Found, try_all
from trimaran.system.errors import TrimaranError
from trimaran.system.files import write_text
from trimaran.system.processes import sigterm_as_interrupt

__all__ = ["main", "missed", "page"]

_NO_TEST = "a test is missing"


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the mistakes; status 1 where one survives that is not named as equivalent."""
    parser = argparse.ArgumentParser(prog="python -m proofs.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="mistakes to try; default: all")
    parser.add_argument("--output", type=Path, help="file for the page; default: standard output")
    given = parser.parse_args(arguments)
    table = read_table()
    unknown = set(given.names) - {mutant.name for mutant in table}
    if unknown:
        parser.error(f"there is no mistake {min(unknown)!r} in {Path(__file__).parent}")
    chosen = [mutant for mutant in table if not given.names or mutant.name in given.names]
    try:
        with sigterm_as_interrupt():
            found = try_all(chosen, lambda words: print(words, file=sys.stderr, flush=True))
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on here", file=sys.stderr)
        return 130
    except (TrimaranError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    text = page(chosen, found)
    if given.output is None:
        print(text)
    else:
        write_text(given.output, text)
    survivors = missed(chosen, found)
    for name in survivors:
        print(f"no test notices: {name}", file=sys.stderr)
    return int(bool(survivors))


def missed(mutants: Sequence[Mutant], found: Mapping[str, Found]) -> list[str]:
    """The mistakes that no test noticed although one could."""
    return [m.name for m in mutants if not found[m.name].noticed_by and not m.equivalent]


def page(mutants: Sequence[Mutant], found: Mapping[str, Found]) -> str:
    """The survivors first, then every mistake, as Markdown."""
    survivors = [mutant for mutant in mutants if not found[mutant.name].noticed_by]
    minutes = sum(found[mutant.name].seconds for mutant in mutants) / 60
    lines = [
        "# Mistakes that the tests notice",
        "",
        "Mistakes that people make (a wrong comparison, a swapped argument, a forgotten lock, a "
        "removed check, a wrong unit) are put into a copy of the code, one at a time, and the "
        "tests next to that code are run. At most "
        f"{MOST_EQUIVALENT} may survive, each because it changes nothing that a user can see.",
        "",
        "```",
        "make mutants",
        "```",
        "",
        f"**{len(mutants) - len(survivors)} of {len(mutants)}** are noticed. Their tests ran for "
        f"{minutes:.0f} minutes.",
        "",
    ]
    if survivors:
        lines += ["| survivor | file | why |", "|---|---|---|"]
        lines += [f"| {m.name} | `{m.file}` | {m.equivalent or _NO_TEST} |" for m in survivors]
        lines += [""]
    lines += ["| mistake | file | noticed by |", "|---|---|---|"]
    for mutant in mutants:
        path, _, test = found[mutant.name].noticed_by.partition("::")
        by = f"`{Path(path).name}`: `{test}`" if test else path and f"`{path}`"
        lines += [f"| {mutant.name} | `{mutant.file}` | {by or 'none'} |"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
