"""Trying mistakes in a copy of the project: each one is made there, and its tests are run."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from proofs.mutants.mutant import Mutant
from trimaran.system.errors import TrimaranError
from trimaran.system.journal import Journal
from trimaran.system.processes import STDOUT, Child

__all__ = ["PROJECT", "Found", "first_failure", "state_of", "try_all"]

PROJECT = Path(__file__).parents[2]
_FOUND = PROJECT / ".trimaran" / "mutants.jsonl"
_LONGEST_S = 600.0
_ALL_LONGEST_S = 3600.0
_FAILED = 1
"""Pytest's status where a test failed; any other one but 0 means that it could not run."""
_SUMMARY = re.compile(r"^(?:FAILED|ERROR) (\S+?)(?:\[.*)?(?: - .*)?$", re.MULTILINE)
_PYTEST = ("-q", "--tb=no", "-p", "no:cacheprovider")
_APART = ("docs/", "proofs/")
"""What no mistake and no test of one depends on; documents neither."""
_RULES, _RULES_TESTS = "monitoring/prometheus/tests/", "tests/monitoring/test_rules.py"
_MAKERS = ("exporters/", "ensembles/", "trimaran/publishing/", "trimaran/served/")
"""Code whose mistakes show in what the tests make first, which is else made once for all."""


@dataclass(frozen=True)
class Found:
    """The outcome of one mistake: the test that failed, or nothing, and how long the tests ran."""

    noticed_by: str
    seconds: float


def try_all(mutants: Sequence[Mutant], say: Callable[[str], None]) -> dict[str, Found]:
    """What came of each mistake, by its name; `say` is called with the progress.

    What an earlier run found with the same content is not tried again. Raises `TrimaranError`
    where a test fails without any mistake, or cannot run.
    """
    with _copied_project() as (copy, names):
        states = {mutant.name: state_of(mutant, copy, names) for mutant in mutants}
        journal = Journal(_FOUND)
        kept = {name: journal.get(state) for name, state in states.items()}
        found = {name: Found(**result) for name, result in kept.items() if result}
        left = [mutant for mutant in mutants if mutant.name not in found]
        if left:
            say(f"{len(found)} are known; running the tests of {len(left)} without a mistake")
            _require_sound(copy, left)
        for place, mutant in enumerate(left, 1):
            result = _tried(copy, mutant)
            journal.add(states[mutant.name], asdict(result))
            found[mutant.name] = result
            what = result.noticed_by or "SURVIVES"
            say(f"{place} of {len(left)}: {mutant.name}: {what} ({result.seconds:.0f} s)")
        return found


def state_of(mutant: Mutant, copy: Path, names: Iterable[str]) -> str:
    """A digest of a mistake and of every file that decides its outcome.

    Those are all of the project but the documents, the proofs and the tests that it does not name.
    """
    named = {test.partition("::")[0] for test in mutant.tests}
    digest = hashlib.sha256(json.dumps(asdict(mutant)).encode())
    for name in sorted(names):
        test = _RULES_TESTS if name.startswith(_RULES) else name
        other_test = Path(test).name.startswith("test_") and test not in named
        if not (name.startswith(_APART) or name.endswith(".md") or other_test):
            digest.update(f"\0{name}\0".encode() + (copy / name).read_bytes())
    return digest.hexdigest()


def first_failure(printed: str) -> str:
    """The first failed test in what pytest printed, without its parameters, or nothing."""
    found = _SUMMARY.search(printed)
    return found[1] if found else ""


def _require_sound(copy: Path, mutants: Iterable[Mutant]) -> None:
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    status, printed = _run(copy, tests, _ALL_LONGEST_S, keep=True)
    if status is None:
        raise TrimaranError("the tests hang without any mistake")
    if status:
        raise TrimaranError(f"the tests fail without any mistake:\n{printed[-2000:]}")


def _tried(copy: Path, mutant: Mutant) -> Found:
    path = copy / mutant.file
    before = path.read_text(encoding="utf-8")
    path.write_text(mutant.applied(before), encoding="utf-8")
    began = time.monotonic()
    try:
        keep = not mutant.file.startswith(_MAKERS)
        status, printed = _run(copy, ["-x", *mutant.tests], _LONGEST_S, keep=keep)
    finally:
        path.write_text(before, encoding="utf-8")
    seconds = time.monotonic() - began
    if status is None:
        return Found(f"{mutant.tests[0]} (hangs)", seconds)
    if status not in (0, _FAILED):
        raise TrimaranError(f"{mutant.name}: the tests cannot run:\n{printed[-2000:]}")
    return Found((first_failure(printed) or mutant.tests[0]) if status else "", seconds)


def _run(
    copy: Path, arguments: Sequence[str], longest_s: float, *, keep: bool
) -> tuple[int | None, str]:
    """Pytest's status, `None` where it hangs, and what it printed.

    With `keep` what the tests make first stays there for the next ones.
    """
    # The copy's packages win over the installed ones, here and in every process of a test.
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    if keep:
        environment["TRIMARAN_TESTS_MADE"] = str(copy.parent / "made")
    base = f"--basetemp={copy.parent / 'tests'}"
    command = [sys.executable, "-m", "pytest", *_PYTEST, base, *arguments]
    with (
        tempfile.TemporaryFile() as output,
        Child(
            command, stdout=output, stderr=STDOUT, directory=copy, environment=environment
        ) as tests,
    ):
        status = tests.status if tests.wait(longest_s) else None
        output.seek(0)
        return status, output.read().decode(errors="replace")


@contextmanager
def _copied_project() -> Iterator[tuple[Path, list[str]]]:
    """A copy of every file that Git knows, changed ones as they are, and their names."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT, capture_output=True, check=True,
    )  # fmt: skip
    names = [n for n in listed.stdout.decode().split("\0") if n and (PROJECT / n).is_file()]
    with tempfile.TemporaryDirectory(prefix="trimaran-mutants-") as scratch:
        copy = Path(scratch) / "project"
        for name in names:
            target = copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, target)
        yield copy, names
