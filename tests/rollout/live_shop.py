"""A trained shop whose runs are live by what the ledger says, and databases of its results."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.rollout.project import Project
from trimaran.rollout.results.delivery import Delivered, deliver
from trimaran.rollout.runs.decisions import deciding
from trimaran.rollout.runs.settings import Plan, Results, Settings
from trimaran.rollout.runs.training import begin


def make_live(project: Project, number: int) -> None:
    """Have the ledger say that a run is live, as its release of the same number."""
    with deciding(project.repository) as now:
        for event, details in (
            ("deploying", {"persist": False}),
            ("prepared", {"parts": {"shop": number}}),
            ("deployed", {"persist": False}),
        ):
            now.writer.add("bo", event, f"shop/{number}", details)


def go_live(project: Project, release: int) -> None:
    """Have the ledger say that another release is live, as after a rollback."""
    with deciding(project.repository) as now:
        now.writer.add("bo", "live", "shop", {"release": release, "how": "trimaran rollback"})


def finish_second(project: Project) -> None:
    """Another run that ended as the first did."""
    begun = begin(project.repository, Plan("shop", "shop.csv"), "other.csv", "anna")
    with deciding(project.repository) as now:
        done = now.runs["shop/1"].outcome
        now.writer.add("anna", "finished", begun.id, done)


@dataclass(frozen=True)
class Place:
    """A database, and how a person reads it."""

    address: str
    rows: Callable[[str], list[Any]]

    def settings(self) -> Settings:
        return Settings(results=Results(self.address))

    def deliver(self, project: Project) -> Delivered:
        return deliver(project.repository, self.settings(), "shop")

    def shown(self) -> list[str]:
        """The runs that the view shows."""
        return [row[0] for row in self.rows("SELECT DISTINCT run FROM shop_current")]


def sqlite_at(path: Path) -> Place:
    def rows(sql: str) -> list[Any]:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            return connection.execute(sql).fetchall()

    return Place(str(path), rows)
