"""Puts each mistake of the table into a copy of the project and runs the tests that must notice it.

Example: python -m proofs.mutants --output docs/mutants.md

A run that was interrupted goes on where it stopped: what was found is kept in
`.trimaran/mutants.jsonl`, by the mistake and the content of all files.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from proofs.mutants.mutant import Mutant, read_table
from trimaran.system.errors import TrimaranError
from trimaran.system.files import write_text

__all__ = ["main"]

_PROJECT = Path(__file__).parents[2]
_FOUND = _PROJECT / ".trimaran" / "mutants.jsonl"
_LONGEST_S = 600
_FAILED = 1
"""Pytest's status where a test failed; any other one but 0 means that it could not run."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the mistakes; status 1 where more survive than are named as equivalent."""
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
        noticed = _try_all(chosen)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on here", file=sys.stderr)
        return 130
    except (TrimaranError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    text = page(chosen, noticed)
    if given.output is None:
        print(text)
    else:
        write_text(given.output, text)
    return int(any(not noticed[m.name] and not m.equivalent for m in chosen))


def page(mutants: Sequence[Mutant], noticed: dict[str, bool]) -> str:
    """The survivors first, then every mistake, as Markdown."""
    survivors = [mutant for mutant in mutants if not noticed[mutant.name]]
    lines = [
        "# Mistakes that the tests notice",
        "",
        "Each mistake is put into the code alone, and the tests next to it are run: "
        "`make mutants`.",
        "",
        f"{len(mutants) - len(survivors)} of {len(mutants)} are noticed.",
        "",
        "| survivor | why |",
        "|---|---|",
        *(f"| {m.name} | {m.equivalent or 'a test is missing'} |" for m in survivors),
        "",
        "| mistake | file | noticed |",
        "|---|---|---|",
        *(f"| {m.name} | `{m.file}` | {'yes' if noticed[m.name] else 'no'} |" for m in mutants),
    ]
    return "\n".join(lines) + "\n"


def _try_all(mutants: Sequence[Mutant]) -> dict[str, bool]:
    with tempfile.TemporaryDirectory(prefix="trimaran-mutants-") as scratch:
        copy = Path(scratch) / "project"
        state = _copy_project(copy)
        known = _read_found(state)
        noticed: dict[str, bool] = {}
        sound: set[tuple[str, ...]] = set()
        for done, mutant in enumerate(mutants, 1):
            print(f"{done} of {len(mutants)}: {mutant.name}", file=sys.stderr, flush=True)
            name = mutant.name
            if name not in known:
                if mutant.tests not in sound and _fails(copy, mutant.tests):
                    raise TrimaranError(f"{' '.join(mutant.tests)}: fails without any mistake")
                sound.add(mutant.tests)
                known[name] = _is_noticed(copy, mutant)
                _keep(state, name, known[name])
            noticed[name] = known[name]
        return noticed


def _is_noticed(copy: Path, mutant: Mutant) -> bool:
    path = copy / mutant.file
    before = path.read_text(encoding="utf-8")
    path.write_text(mutant.applied(before), encoding="utf-8")
    try:
        return _fails(copy, mutant.tests)
    finally:
        path.write_text(before, encoding="utf-8")


def _fails(copy: Path, tests: Sequence[str]) -> bool:
    """Whether one of the tests fails, or they hang."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "-m",
        "not long",
    ]
    # The copy's packages win over the installed ones, here and in every process of a test.
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        ended = subprocess.run(
            [*command, f"--basetemp={copy.parent / 'tests'}", *tests],
            cwd=copy, env=environment, capture_output=True, text=True, timeout=_LONGEST_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return True
    if ended.returncode not in (0, _FAILED):
        raise TrimaranError(f"pytest cannot run {' '.join(tests)}:\n{ended.stdout[-2000:]}")
    return ended.returncode == _FAILED


def _copy_project(copy: Path) -> str:
    """Copy every file that Git knows, changed ones as they are; a digest of them all."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=_PROJECT, capture_output=True, check=True,
    )  # fmt: skip
    digest = hashlib.sha256()
    for name in sorted(filter(None, listed.stdout.decode().split("\0"))):
        source = _PROJECT / name
        if not source.is_file():
            continue
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
        digest.update(f"{name}\0".encode() + source.read_bytes())
    return digest.hexdigest()


def _read_found(state: str) -> dict[str, bool]:
    if not _FOUND.is_file():
        return {}
    records = map(json.loads, _FOUND.read_text(encoding="utf-8").splitlines())
    return {each["mistake"]: each["noticed"] for each in records if each["state"] == state}


def _keep(state: str, name: str, noticed: bool) -> None:
    _FOUND.parent.mkdir(exist_ok=True)
    with _FOUND.open("a", encoding="utf-8") as file:
        record = {"state": state, "mistake": name, "noticed": noticed}
        file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    sys.exit(main())
