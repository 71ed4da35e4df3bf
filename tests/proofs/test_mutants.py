"""The table of mistakes fits the code as it stands."""

from __future__ import annotations

import ast

import pytest

from proofs.mutants.__main__ import page
from proofs.mutants.mutant import Mutant, read_table
from tests.running import PROJECT


@pytest.mark.parametrize("mutant", read_table(), ids=lambda mutant: mutant.name)
def test_a_mistake_can_be_made_and_tests_are_there(mutant: Mutant) -> None:
    text = (PROJECT / mutant.file).read_text(encoding="utf-8")
    ast.parse(mutant.applied(text))
    for test in mutant.tests:
        path, _, name = test.partition("::")
        assert f"def {name}" in (PROJECT / path).read_text(encoding="utf-8")


def test_what_is_not_there_once_is_refused() -> None:
    mutant = Mutant("m", "a.py", "x", "y", ("tests/a.py",))
    with pytest.raises(ValueError, match=r"occurs 2 times in a\.py"):
        mutant.applied("x = x")


def test_survivors_come_first() -> None:
    first, second = (Mutant(name, "a.py", "x", "y", ("tests/a.py",)) for name in ("one", "two"))
    text = page([first, second], {"one": True, "two": False})
    assert "1 of 2 are noticed" in text
    assert "| two | a test is missing |" in text
