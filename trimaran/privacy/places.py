"""Every place next to a repository that keeps something about people.

| place | a person is found by |
|---|---|
| `predictions/MODEL` | the record's identifier, clear or masked, and the request's id |
| `predictions/MODEL/outcomes.sqlite` | the same |
| the database of results | the row's identifier |
| `gateway/audit*.log` | the request's id, and the subject, clear or masked |
| `gateway/arms*.log`, `experiments/MODEL/N` | the client's key, while the experiment goes on |

A line more in `places_of` is a place more. Counters have no ids: those of drift, of outcomes and in
Prometheus are sums over many people.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from trimaran.privacy.experiment_units import CountedUnits, ExperimentUnits, arm_keys
from trimaran.privacy.fixed import FixedFile, history_names, prediction_names, request_names
from trimaran.privacy.lines import audit_keys, prediction_keys
from trimaran.privacy.log_files import LogFiles
from trimaran.privacy.masks import Mask, gateway_mask, prediction_mask, unit_mask
from trimaran.privacy.outcomes_index import OutcomesIndex
from trimaran.privacy.place import Fixed, Place
from trimaran.privacy.result_rows import ResultRows
from trimaran.repository.repository import Repository
from trimaran.rollout.experiments.experiment import record_of
from trimaran.rollout.results.database import Database
from trimaran.rollout.shadow.found import FILE as ANSWERS
from trimaran.rollout.traffic.units import KEY
from trimaran.served.histories import USERS
from trimaran.served.outcomes import INDEX
from trimaran.served.prediction_log import SUFFIX

__all__ = ["fixed_of", "places_of"]

_AUDIT, _ARMS = "audit*.log", "arms*.log"
_VERSION = "train without them, deploy that, then remove this version"
_GOLDEN = "replace it by a request that is nobody's"
_SHADOW = "remove it; the experiment's record has no ids"
_COUNTED = "end the experiment; its key is removed then, and the digests are nobody's"
_RUN = "train without them, then remove this run"


def places_of(
    repository: Repository, predictions: Path | None = None, results: Database | None = None
) -> list[Place]:
    """The places from which a person can be removed.

    `results` is the database of results, if it is known, and `predictions` the folder of the
    prediction logs; by default it is next to the repository.
    """
    found: list[Place] = []
    root = repository.state / "predictions" if predictions is None else predictions
    for directory in _folders(root):
        name = f"predictions/{directory.name}"
        # The lines first: what is no longer in the log does not come back into the index.
        found.append(LogFiles(name, directory, f"*{SUFFIX}", prediction_keys, prediction_mask))
        found.append(OutcomesIndex(f"{name}/{INDEX}", directory))
    if results is not None:
        found.append(ResultRows(results.shown, results))
    gateway = repository.state / "gateway"
    found.append(LogFiles("gateway/audit.log", gateway, _AUDIT, audit_keys, gateway_mask))
    for directory in _going(repository):
        name, log = f"experiments/{_name(directory)}", root / directory.parent.name
        found.append(ExperimentUnits(name, directory, log))
        arms = f"gateway/arms.log, {_name(directory)}"
        found.append(LogFiles(arms, gateway, _ARMS, arm_keys, _mask_of(directory)))
    return found


def fixed_of(repository: Repository, runs: Path) -> list[Fixed]:
    """The places in which a person may be that no command changes."""
    root, found = repository.root, list[Fixed]()
    for directory in _going(repository):
        record = record_of(repository, _name(directory)).path
        found.append(CountedUnits(_shown(record), _COUNTED, record))
    for kind, names, files in (
        (_VERSION, history_names, root.glob(f"*/[0-9]*/{USERS}")),
        (_GOLDEN, request_names, root.glob("*/golden/*.json")),
        (_SHADOW, request_names, repository.state.glob(f"experiments/*/*/{ANSWERS}")),
        (_RUN, history_names, runs.glob(f"*/*/{USERS}")),
        (_RUN, prediction_names, runs.glob("*/*/predictions.csv")),
    ):
        # A run's `latest` may be a link to another one.
        for path in sorted({each.resolve() for each in files if each.is_file()}):
            found.append(FixedFile(_shown(path), kind, path, names))
    return found


def _going(repository: Repository) -> list[Path]:
    """The folders of experiments that know their clients."""
    return sorted(each.parent for each in repository.state.glob(f"experiments/*/*/{KEY}"))


def _name(directory: Path) -> str:
    return f"{directory.parent.name}/{directory.name}"


def _mask_of(directory: Path) -> Callable[[Path], Mask | None]:
    return lambda _: unit_mask(directory)


def _folders(root: Path) -> list[Path]:
    return sorted(each for each in root.iterdir() if each.is_dir()) if root.is_dir() else []


def _shown(path: Path) -> str:
    """A path as a person at work in this folder would write it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
