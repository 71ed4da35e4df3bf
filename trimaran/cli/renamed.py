"""Names of commands and options that were changed, and the sentence that gives the new one.

$ trimaran predict churn --csv customers.csv
error: 'trimaran predict --csv' is now 'trimaran predict --input'
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trimaran.system.errors import UsageError

__all__ = ["RENAMED_COMMANDS", "RENAMED_OPTIONS", "refuse_old_names"]

_PEERS = "an option of 'python -m proofs.peers'"

RENAMED_COMMANDS: Mapping[str, str] = {
    "load": "trimaran locust",
    "bench peers": "python -m proofs.peers",
}
"""The command that is called today, by the words of before."""

RENAMED_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "predict": {
        "--csv": "--input",
        "--json=": "--input",
        "--out": "--output",
        "--json-output": "--json",
    },
    "feedback": {"--csv": "--input", "--out": "--output"},
    "explore": {"--out": "--output"},
    "train": {"--data": "its argument, as in 'trimaran train customers.csv'"},
    "bench": {
        "--seconds": "--duration",
        "--pairs": "--turns",
        "--peer": _PEERS,
        "--job": _PEERS,
        "--trials": _PEERS,
    },
    "perf": {"--seconds": "--duration", "--concurrency": "--connections"},
    "tune": {"--seconds": "--duration", "--out": "--output"},
    "monitor report": {"--html": "--output"},
}
"""The option of today, or what has it, by command and option of before.

`--json=` is the option with a value; without one it is a flag.
"""


def refuse_old_names(command: str, words: Sequence[str]) -> None:
    """Raise `UsageError` where a command, or an option among the words after it, is an old name."""
    for old in (command, " ".join([command, *words[:1]])):
        if old in RENAMED_COMMANDS:
            raise UsageError(f"'trimaran {old}' is now '{RENAMED_COMMANDS[old]}'")
    options = RENAMED_OPTIONS.get(command, {})
    for word in words:
        if word == "--":
            return
        name, equals, _ = word.partition("=")
        for old in (name, name + equals):
            if old in options:
                new = options[old]
                shown = f"'trimaran {command} {new}'" if new.startswith("--") else new
                raise UsageError(f"'trimaran {command} {old}' is now {shown}")
