"""A folder in which runs are made, as tests see it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proofs.page_files import make_contracts
from tests.trimaran.calling import Outcome, call_trimaran
from trimaran.repository.live import live_release
from trimaran.repository.repository import Repository
from trimaran.rollout.runs.checklist import ITEMS
from trimaran.rollout.runs.decisions import ledger_of


@dataclass(frozen=True)
class Project:
    """A folder, and the name of its runs."""

    folder: Path
    name: str

    @property
    def repository(self) -> Repository:
        return Repository.create(self.folder / "model_repository")

    def call(self, *arguments: str, by: str = "anna") -> Outcome:
        """A command that must succeed."""
        outcome = call_trimaran(*arguments, f"--by={by}", cwd=self.folder)
        assert outcome.status == 0, outcome.stderr
        return outcome

    def refused(self, *arguments: str, by: str = "anna") -> str:
        """What a command says that must not succeed; the ledger must stay as it was."""
        ledger = ledger_of(self.repository).path
        before = ledger.read_bytes() if ledger.exists() else b""
        error = self.fails(*arguments, by=by)
        assert (ledger.read_bytes() if ledger.exists() else b"") == before
        return error

    def fails(self, *arguments: str, by: str = "anna") -> str:
        """What a command says that must not succeed."""
        outcome = call_trimaran(*arguments, f"--by={by}", cwd=self.folder)
        assert outcome.status in (1, 2)
        return outcome.error

    def records(self) -> list[dict[str, Any]]:
        found = call_trimaran("runs", self.name, "--json", cwd=self.folder)
        records: list[dict[str, Any]] = json.loads(found.stdout)
        return records

    def states(self) -> list[str]:
        return [record["state"] for record in self.records()]

    def told(self, about: str) -> list[str]:
        """The history, without numbers, times and people."""
        lines = call_trimaran("history", about, cwd=self.folder).stdout.splitlines()
        return [line.partition(": ")[2] for line in lines]

    def live(self, model: str | None = None) -> int | None:
        """What is live of a model, by default that of the runs' name."""
        found = live_release(self.repository.live(model or self.name))
        return found.number if found else None


def answers(**changed: str) -> str:
    """A file of answers, all yes but those that are `changed`."""
    tables = [
        f'[{name}]\nanswer = "{changed.get(name, "yes")}"\nnote = "looked at {name}"\n'
        for name in ITEMS
    ]
    return "\n".join(tables)


def live_contracts(folder: Path, settings: str) -> Project:
    """A folder with a `rollout.toml` and `approved.toml`, whose run `contracts/1` is live."""
    (folder / "rollout.toml").write_text(settings)
    (folder / "approved.toml").write_text(answers())
    make_contracts(folder / "contracts.csv", 600)
    project = Project(folder, "contracts")
    project.call("run", "contracts")
    project.call("review", "contracts/1", "--answers=approved.toml")
    project.call("deploy", "contracts/1")
    return project
