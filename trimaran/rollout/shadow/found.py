"""What a shadow has found: how often each output agreed, and the worst disagreements.

It is kept as `answers.json` next to the experiment's record, for its owner only, and is bounded.
"""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trimaran.rollout.shadow.comparing import Difference, severity
from trimaran.system.errors import TrimaranError
from trimaran.system.files import read_regular, write_text

__all__ = ["FILE", "Example", "Found", "OfOutput", "kept_values", "read_found"]

FILE = "answers.json"
_OWNER_ONLY = 0o600
_MOST_EXAMPLES, _MOST_ERRORS, _MOST_OUTPUTS = 20, 20, 100
_MOST_VALUES, _LONGEST_TEXT = 64, 200
_OTHERS = "others"


@dataclass
class OfOutput:
    """How often an output was compared."""

    compared: int = 0
    agreed: int = 0
    largest: float | None = None
    """The largest distance; None where no numbers were compared."""


@dataclass(frozen=True)
class Example:
    """Two answers to a request that do not agree. Values are of the first elements only."""

    id: str
    """The request's, as the gateway's audit log has it."""
    severity: float
    distances: Mapping[str, float | None]
    """Of the outputs that do not agree."""
    live: Mapping[str, Any]
    candidate: Mapping[str, Any]
    inputs: Mapping[str, Any] | None = None
    """Only where they were to be kept."""


@dataclass
class Found:
    """What was found until now."""

    tolerance: float
    outputs: dict[str, OfOutput] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    """Of the candidate where live answered, by what it said."""
    worst: list[Example] = field(default_factory=list)
    """The worst first."""
    answered: int = 0
    """Requests of the share that live answered, as the gateway counted them."""
    taken: int = 0
    """Those of them that the candidate was asked too."""

    @property
    def dropped(self) -> int:
        """Those that it was not asked: too large, or too many at once."""
        return max(0, self.answered - self.taken)

    def add(self, differences: Mapping[str, Difference]) -> None:
        """Count two answers."""
        for name, each in differences.items():
            if name not in self.outputs and len(self.outputs) >= _MOST_OUTPUTS:
                continue
            one = self.outputs.setdefault(name, OfOutput())
            one.compared += 1
            one.agreed += each.agrees
            if each.distance is not None:
                one.largest = max(one.largest or 0.0, each.distance)

    def failed(self, error: str) -> None:
        """Count an error of the candidate."""
        known = error in self.errors or len(self.errors) < _MOST_ERRORS
        name = error if known else _OTHERS
        self.errors[name] = self.errors.get(name, 0) + 1

    def is_among_worst(self, differences: Mapping[str, Difference]) -> bool:
        """Whether a disagreement would be kept."""
        last = self.worst[-1] if self.worst else None
        return (
            last is None
            or len(self.worst) < _MOST_EXAMPLES
            or severity(differences) > _severity(last)
        )

    def keep(self, example: Example) -> None:
        """Keep a disagreement, if it is among the worst."""
        self.worst = heapq.nlargest(_MOST_EXAMPLES, [*self.worst, example], key=_severity)

    def record(self) -> dict[str, Any]:
        """As JSON."""
        found: dict[str, Any] = _finite(asdict(self))
        return found

    def write(self, directory: Path) -> None:
        """Replace the file. Raises `OSError`."""
        text = json.dumps(self.record(), indent=2)
        write_text(directory / FILE, text + "\n", _OWNER_ONLY)


def read_found(directory: Path) -> Found | None:
    """What is kept of an experiment; None where nothing is. Raises `TrimaranError`."""
    path = directory / FILE
    try:
        given = _infinite(json.loads(read_regular(path)))
        given["outputs"] = {name: OfOutput(**each) for name, each in given["outputs"].items()}
        given["worst"] = [Example(**each) for each in given["worst"]]
        return Found(**given)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise TrimaranError(f"{path} holds something else than trimaran wrote; remove it") from None


def kept_values(tensors: Mapping[str, np.ndarray], names: Iterable[str]) -> Mapping[str, Any]:
    """The first values of some tensors, as JSON has them."""
    return {name: _first(tensors[name]) for name in names if name in tensors}


def _first(array: np.ndarray) -> Sequence[Any]:
    values = array.ravel()[:_MOST_VALUES].tolist()
    return [each[:_LONGEST_TEXT] if isinstance(each, str) else each for each in values]


def _severity(example: Example) -> tuple[float, float]:
    distances = [each for each in example.distances.values() if each is not None]
    return example.severity, max(distances, default=0.0)


_NAMED = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def _finite(value: Any) -> Any:
    """With texts in place of the numbers that JSON has not."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"number": str(value)}
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def _infinite(value: Any) -> Any:
    """What `_finite` was given."""
    if isinstance(value, dict):
        if value.keys() == {"number"} and value["number"] in _NAMED:
            return _NAMED[value["number"]]
        return {name: _infinite(each) for name, each in value.items()}
    return [_infinite(each) for each in value] if isinstance(value, list) else value
