"""An old name is answered with the new one in a sentence, and exit status 2."""

from __future__ import annotations

import pytest

from tests.trimaran.calling import call_trimaran
from trimaran.cli.main import COMMANDS
from trimaran.cli.renamed import RENAMED_COMMANDS, RENAMED_OPTIONS

OPTIONS = [
    (command, old, new) for command, names in RENAMED_OPTIONS.items() for old, new in names.items()
]


@pytest.mark.parametrize(("old", "new"), RENAMED_COMMANDS.items())
def test_an_old_command(old: str, new: str) -> None:
    for rest in ([], ["--help"], ["model", "--users", "3"]):
        outcome = call_trimaran(*old.split(), *rest)
        assert outcome.status == 2
        assert outcome.error == f"'trimaran {old}' is now '{new}'"


@pytest.mark.parametrize(("command", "old", "new"), OPTIONS)
def test_an_old_option(command: str, old: str, new: str) -> None:
    word = f"{old}rows.json" if old.endswith("=") else old
    for words in ([word, "value"], [f"{word}=value"]):
        outcome = call_trimaran(*command.split(), "model", *words)
        assert outcome.status == 2
        assert f"'trimaran {command} {old}' is now " in outcome.error
        assert new in outcome.error


@pytest.mark.parametrize(("command", "old", "new"), OPTIONS)
def test_a_new_option_is_there_and_the_old_one_is_not(command: str, old: str, new: str) -> None:
    shown = call_trimaran(*command.split(), "--help").stdout.replace("[", " ").split()
    assert (new in shown) is new.startswith("--")
    assert old not in shown


def test_new_commands_are_there() -> None:
    ours = [new.split()[1] for new in RENAMED_COMMANDS.values() if new.startswith("trimaran ")]
    assert set(ours) <= COMMANDS.keys()


def test_words_after_two_dashes_are_no_options() -> None:
    outcome = call_trimaran("predict", "--", "model", "--csv")
    assert "is now" not in outcome.stderr
