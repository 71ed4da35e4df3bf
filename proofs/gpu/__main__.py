"""Proves on a machine with an NVIDIA GPU what only a GPU changes; needs no network there.

    python -m proofs.gpu pack FOLDER              elsewhere: what such a machine lacks
    python -m proofs.gpu run FOLDER --output PAGE there: at most eight minutes

Exit status: 0 if everything held, 1 if something did not or the proof cannot run here.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from trimaran.system.errors import TrimaranError
from trimaran.system.processes import interrupt_once

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Pack, or run and write the page; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m proofs.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    pack = verbs.add_parser("pack", help="fill a folder for a machine with a GPU")
    pack.add_argument("folder", type=Path)
    pack.add_argument("--python", default="3.12", choices=("3.11", "3.12"), help="its Python")
    run = verbs.add_parser("run", help="run the proof on this machine")
    run.add_argument("folder", type=Path, help="the folder that was packed")
    run.add_argument("--output", type=Path, required=True, help="file for the page")
    given = parser.parse_args(arguments)
    try:
        return _pack(given.folder, given.python) if given.verb == "pack" else _run(given)
    except TrimaranError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130


def _pack(folder: Path, python: str) -> int:
    from proofs.gpu.files import pack, require_small  # a machine with a GPU lacks what it imports

    pack(folder, python, print)
    print(f"{folder}: {require_small(folder):.0f} MB")
    return 0


def _run(given: argparse.Namespace) -> int:
    from proofs.gpu.page import holds, page
    from proofs.gpu.run import find
    from trimaran.system.files import write_text

    found = find(given.folder.resolve(), _say)
    write_text(given.output, page(found))
    return 0 if holds(found) else 1


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    interrupt_once()
    sys.exit(main())
