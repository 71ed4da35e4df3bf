"""What `rollout.toml` says: what a run of a name trains, who may decide, where its results go.

```toml
[churn]                     # what 'trimaran run churn' does
table = "customers.csv"     # what 'trimaran train' takes
formats = ["onnx"]          # what a deployment exports; the default
approvals = 2               # people who must stand behind a run, its reviewer among them; default 1

[churn.train]               # options of 'trimaran train'
target = "left"
cost-missed = 100

[churn.retrain]             # when it is trained again: see `trimaran.rollout.retrain_plan`

[roles]                     # who may do what; a role that is left out is everyone's
review = ["anna", "bo"]
approve = ["anna", "bo"]    # the default is those who may review
deploy = ["bo"]
ignore = ["anna", "bo"]

[results]                   # where the rows' answers go, and why they have them
database = "postgresql://trimaran@db.internal/results"   # or a file of SQLite
explained_rows = 200        # of a run, or of one scoring; the default
features = 5                # that explain a row; the default
```

Paths are relative to the file. Every key but `table` may be left out.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from trimaran.repository.project import Project, read_project
from trimaran.repository.repository import check_model_name
from trimaran.rollout.retrain_plan import RetrainPlan, retrain_plan
from trimaran.system.errors import TrimaranError
from trimaran.system.project_file import find_project_file
from trimaran.system.toml_text import (
    nearest,
    parse_toml,
    read_utf8,
    refuse_unknown,
    texts_of,
    value_of,
)

__all__ = [
    "ROLES",
    "SETTINGS_FILE",
    "Plan",
    "Results",
    "Settings",
    "find_settings",
    "parse_settings",
    "read_settings",
    "settings_at",
]

SETTINGS_FILE = "rollout.toml"
ROLES = ("review", "approve", "deploy", "ignore")
"""What a person may be allowed to do."""

_ROLES, _RESULTS = "roles", "results"
_OF_RESULTS = ("database", "explained_rows", "features")
_MOST_EXPLAINED, _MOST_FEATURES = 1_000_000, 1000
_KEYS = ("table", "formats", "approvals", "train", "retrain")
_MOST_APPROVALS = 20
_NETWORK = "onnx"
"""The format that a run's ensemble takes its network in."""


@dataclass(frozen=True)
class Plan:
    """What a run of a name does."""

    name: str
    table: str
    """A public table, a file, a folder or an address, as `trimaran train` takes it."""
    train: Mapping[str, Any] = field(default_factory=dict)
    """Options of `trimaran train`, as they are written."""
    formats: tuple[str, ...] = (_NETWORK,)
    approvals: int = 1
    file: Path | None = None
    """What says so; None for a public table of which no file does."""
    retrain: RetrainPlan | None = None
    """When it is trained again; None where that is only asked for by name."""


@dataclass(frozen=True)
class Results:
    """Where the rows' answers go, and how many of them are explained."""

    database: str | None = None
    """An address of PostgreSQL or a file of SQLite; None for one in the repository's state."""
    explained_rows: int = 200
    """The most rows of a run, or of one scoring, that are explained."""
    features: int = 5
    """The most features that explain a row."""


@dataclass(frozen=True)
class Settings:
    """A `rollout.toml`; `path` is None where there is none."""

    path: Path | None = None
    plans: Mapping[str, Plan] = field(default_factory=dict)
    roles: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Who may do what; a role without a list is everyone's."""
    results: Results = Results()

    def plan(self, name: str, public: Sequence[str] = ()) -> Plan:
        """What a run of `name` does; a `public` table needs no file. Raises `TrimaranError`."""
        check_model_name(name)
        if name in self.plans:
            return self.plans[name]
        if name in public:
            return Plan(name, name)
        if self.path is None:
            raise TrimaranError(
                f"nothing says what a run of {name} trains on; write a {SETTINGS_FILE} with a "
                f"table [{name}] and its key table, or choose a public table: {', '.join(public)}"
            )
        known = dict.fromkeys([*self.plans, *public])
        raise TrimaranError(f"{self.path} has no table [{name}]; {nearest(name, known)}")

    def approvals(self, name: str) -> int:
        """How many people must stand behind a run of `name`."""
        return self.plans[name].approvals if name in self.plans else Plan.approvals

    def formats(self, name: str) -> tuple[str, ...]:
        """What a deployment of a run of `name` exports."""
        return self.plans[name].formats if name in self.plans else Plan.formats

    def require_role(self, role: str, person: str) -> None:
        """Raise `TrimaranError` unless a person may do this."""
        allowed = self.roles.get(role)
        if role == "approve" and allowed is None:
            allowed = self.roles.get("review")
        if allowed is not None and person not in allowed:
            who = ", ".join(allowed) or "nobody"
            raise TrimaranError(
                f"{person} may not {role} a run: [{_ROLES}] in {self.path} allows {who}"
            )


def find_settings(folder: Path, given: Path | None = None) -> Settings:
    """The settings in `given`, or in the `rollout.toml` beside the project's `trimaran.toml`.

    `folder` is where the command works. Where there is no project it is the file there. Without a
    file, they are those of the project's table and first model, or empty. Raises `TrimaranError`
    for the first thing wrong.
    """
    if given is not None:
        return read_settings(given)
    project = find_project_file(folder)
    home = project.parent if project else folder
    path = Path(os.path.relpath(home / SETTINGS_FILE))  # as people write it here
    found = read_settings(path) if path.exists() else Settings()
    return _with_project(found, read_project(project)) if project else found


def settings_at(given: Settings | Path | None) -> Settings:
    """Settings as they are, those of a file, or those of the working directory."""
    return given if isinstance(given, Settings) else find_settings(Path.cwd(), given)


def _with_project(settings: Settings, project: Project) -> Settings:
    """The settings with the project's own table and model, where they say nothing of it."""
    if not project.table or not project.models or project.models[0] in settings.plans:
        return settings
    name = project.models[0]
    plan = Plan(name, os.path.relpath(project.table))
    return replace(settings, plans={**settings.plans, name: plan})


def read_settings(path: Path) -> Settings:
    """The settings in a `rollout.toml`. Raises `TrimaranError` for the first thing wrong."""
    try:
        return parse_settings(read_utf8(path), path)
    except TrimaranError as error:
        raise TrimaranError(f"{path}: {error}") from None


def parse_settings(text: str, path: Path) -> Settings:
    """The settings in the text of the file at `path`."""
    document = parse_toml(text)
    roles = value_of(document, _ROLES, dict, f"a table [{_ROLES}]") or {}
    refuse_unknown(roles, ROLES, f"[{_ROLES}]: ")
    found = {role: texts_of(roles, role, f"[{_ROLES}]: ") or () for role in roles}
    plans = {
        name: _plan(name, table, path)
        for name, table in document.items()
        if name not in (_ROLES, _RESULTS)
    }
    return Settings(path, plans, found, _results(document, path.parent))


def _results(document: Mapping[str, Any], folder: Path) -> Results:
    table = value_of(document, _RESULTS, dict, f"a table [{_RESULTS}]") or {}
    where = f"[{_RESULTS}]: "
    refuse_unknown(table, _OF_RESULTS, where)
    database = value_of(table, "database", str, "an address of PostgreSQL, or a file", where)
    if database == "":
        raise TrimaranError(f"{where}database is ''; expected an address of PostgreSQL, or a file")
    if database is not None and "://" not in database:
        database = str(folder / database)
    return Results(
        database,
        _count(table, "explained_rows", Results.explained_rows, 0, _MOST_EXPLAINED),
        _count(table, "features", Results.features, 1, _MOST_FEATURES),
    )


def _count(table: Mapping[str, Any], key: str, default: int, least: int, most: int) -> int:
    where = f"[{_RESULTS}]: "
    found = value_of(table, key, int, f"a number from {least} to {most}", where)
    if found is not None and not least <= found <= most:
        raise TrimaranError(f"{where}{key} is {found}; expected a number from {least} to {most}")
    return default if found is None else int(found)


def _plan(name: str, table: Any, path: Path) -> Plan:
    if not isinstance(table, dict):
        known = nearest(name, [_ROLES])
        raise TrimaranError(f"{name} is {table!r}; expected a table [NAME] or [{_ROLES}]; {known}")
    check_model_name(name)
    where = f"[{name}]: "
    refuse_unknown(table, _KEYS, where)
    train = value_of(table, "train", dict, f"a table [{name}.train]", where) or {}
    given = texts_of(table, "formats", where)
    formats = Plan.formats if given is None else given
    if _NETWORK not in formats:
        raise TrimaranError(
            f"{where}formats lacks {_NETWORK!r}, in which a run's ensemble takes its network; add "
            "it"
        )
    approvals = value_of(table, "approvals", int, "a number of people", where)
    if approvals is not None and not 1 <= approvals <= _MOST_APPROVALS:
        raise TrimaranError(
            f"{where}approvals is {approvals}; expected a number of people from 1 to "
            f"{_MOST_APPROVALS}"
        )
    source = value_of(table, "table", str, "a table, as 'trimaran train' takes it", where)
    again = value_of(table, "retrain", dict, f"a table [{name}.retrain]", where)
    return Plan(
        name,
        _place(path.parent, source or name),
        {key: _option(key, value, path.parent) for key, value in train.items()},
        formats,
        Plan.approvals if approvals is None else approvals,
        path,
        None if again is None else retrain_plan(again, name, path.parent),
    )


def _place(folder: Path, source: str) -> str:
    """A path of the file's own folder; anything else as it is."""
    beside = folder / source
    return str(beside) if "://" not in source and beside.exists() else source


def _option(key: str, value: Any, folder: Path) -> Any:
    return _place(folder, value) if key == "schema" and isinstance(value, str) else value
