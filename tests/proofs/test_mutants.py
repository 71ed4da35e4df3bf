"""The table of mistakes fits the code as it stands."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from proofs.mutants.__main__ import missed, page
from proofs.mutants.mutant import MOST_EQUIVALENT, Mutant, read_table
from proofs.mutants.trial import Found, first_failure, state_of
from tests.running import PROJECT

PARSERS = {".py": ast.parse, ".yml": yaml.safe_load, ".lua": str}  # which only Envoy parses
MUTANT = Mutant("m", "a.py", "x", "y", ("tests/test_a.py",))


@pytest.mark.parametrize("mutant", read_table(), ids=lambda mutant: mutant.name)
def test_a_mistake_can_be_made_and_tests_are_there(mutant: Mutant) -> None:
    text = (PROJECT / mutant.file).read_text(encoding="utf-8")
    PARSERS[Path(mutant.file).suffix](mutant.applied(text))
    for test in mutant.tests:
        path, _, name = test.partition("::")
        written = (PROJECT / path).read_text(encoding="utf-8")
        for part in name.partition("[")[0].split("::"):
            assert f"def {part}" in written or f"class {part}" in written


def test_there_are_sixty_and_few_that_nothing_can_notice() -> None:
    table = read_table()
    assert len(table) >= 60
    assert sum(bool(mutant.equivalent) for mutant in table) <= MOST_EQUIVALENT


def test_what_is_not_there_once_is_refused() -> None:
    with pytest.raises(ValueError, match=r"occurs 2 times in a\.py"):
        MUTANT.applied("x = x")


def test_survivors_come_first_and_count_unless_they_are_equivalent() -> None:
    mutants = [replace(MUTANT, name=name) for name in ("one", "two")]
    found = {"one": Found("tests/test_a.py::test_x", 30.0), "two": Found("", 90.0)}
    text = page(mutants, found)
    assert "**1 of 2** are noticed. Their tests ran for 2 minutes." in text
    assert "| two | `a.py` | a test is missing |" in text
    assert "| one | `a.py` | `test_a.py`: `test_x` |" in text
    assert missed(mutants, found) == ["two"]
    mutants[1] = replace(mutants[1], equivalent="it only logs")
    assert "| two | `a.py` | it only logs |" in page(mutants, found)
    assert missed(mutants, found) == []


def test_what_was_found_holds_until_something_changes_that_decides_it(tmp_path: Path) -> None:
    files = ("a.py", "tests/test_a.py", "tests/test_b.py", "tests/hosting.py", "README.md")
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("before")
    before = state_of(MUTANT, tmp_path, files)
    changes = {}
    for name in files:
        (tmp_path / name).write_text("after")
        changes[name] = state_of(MUTANT, tmp_path, files) != before
        (tmp_path / name).write_text("before")
    assert [name for name, changed in changes.items() if changed] == [
        "a.py",
        "tests/test_a.py",
        "tests/hosting.py",
    ]
    assert state_of(replace(MUTANT, replace="z"), tmp_path, files) != before


def test_the_test_that_failed_is_named_without_its_parameters() -> None:
    printed = "F\n=== short test summary ===\nFAILED tests/test_a.py::test_x[1 - 2] - assert 1\n"
    assert first_failure(printed) == "tests/test_a.py::test_x"
    assert first_failure("ERROR tests/test_a.py::test_y - E") == "tests/test_a.py::test_y"
    assert first_failure("1 passed") == ""
