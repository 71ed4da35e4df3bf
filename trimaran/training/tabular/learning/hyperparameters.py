"""The hyperparameters of a training, as one frozen value that can be written as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trimaran.system.errors import TrimaranError

__all__ = ["ESTIMATORS", "IMBALANCES", "NETWORKS", "Hyperparameters"]

NETWORKS = ("mlp", "tabnet")
ESTIMATORS = ("linear", "forest", "boosting")
"""The models that are no networks: those of the task's baselines, in this order."""
IMBALANCES = ("none", "weights", "resample", "smote")


@dataclass(frozen=True)
class Hyperparameters:
    """How a network is built and fitted. Raises `TrimaranError` for a value out of range.

    The members, width and depth are those of `mlp`; steps, units and relaxation those of `tabnet`.
    Of another model than a network only the imbalance counts.
    """

    network: str = "mlp"
    """One of `NETWORKS` or `ESTIMATORS`."""
    leaf_nodes: int = 12
    """The most leaves of the decision tree whose cuts become the encoding's edges."""
    min_leaf: int = 10
    """The fewest rows in one of those leaves."""
    step_width: float = 0.05
    """The width of a step of the encoding, in units of the features."""
    members: int = 8
    """How many networks are averaged."""
    hidden: int = 32
    depth: int = 2
    """Hidden layers."""
    steps: int = 3
    """Attentive decision steps."""
    units: int = 32
    """The width of a decision, and of an attention."""
    relaxation: float = 1.5
    """How often a column may be attended to; 1 is once."""
    dropout: float = 0.25
    imbalance: str = "none"
    """`none`, `weights` (rarer outcomes weigh more), `resample` (they are drawn more often) or
    `smote` (records of them are made up: see `features.smote`)."""
    learning_rate: float = 3e-3
    """The highest learning rate, after the warm-up."""
    weight_decay: float = 0.1
    batch_size: int = 256
    warmup_epochs: int = 2
    clip_norm: float = 1.0
    """The largest norm of a gradient."""
    ema: float = 0.98
    """The decay per step of the averaged weights, which are kept."""
    epochs: int = 100
    patience: int = 25
    """The fit ends after this many epochs without a better validation loss."""

    def __post_init__(self) -> None:
        for name, known in (("network", (*NETWORKS, *ESTIMATORS)), ("imbalance", IMBALANCES)):
            value = getattr(self, name)
            if value not in known:
                raise TrimaranError(f"{name} is {value!r}; it must be one of {', '.join(known)}")
        for name, least, most in _RANGES:
            value = getattr(self, name)
            if not least <= value <= most:
                raise TrimaranError(f"{name} is {value}; it must be between {least} and {most}")

    def as_dict(self) -> dict[str, Any]:
        """The values by name, in order."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Hyperparameters:
        """The inverse of `as_dict`. Raises `TrimaranError` for an unknown name or a wrong type."""
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for name, value in values.items():
            if name not in fields:
                raise TrimaranError(
                    f"there is no hyperparameter {name!r}; choose from {', '.join(fields)}"
                )
            expected = type(fields[name].default)
            fits = isinstance(value, int | float if expected is float else expected)
            if not fits or isinstance(value, bool):
                raise TrimaranError(
                    f"the hyperparameter {name} is {value!r}; expected {expected.__name__}"
                )
        return cls(**values)


_RANGES: tuple[tuple[str, float, float], ...] = (
    ("leaf_nodes", 2, 4096),
    ("min_leaf", 1, 1_000_000),
    ("step_width", 1e-6, 100.0),
    ("members", 1, 1024),
    ("hidden", 1, 65536),
    ("depth", 1, 64),
    ("steps", 1, 64),
    ("units", 1, 65536),
    ("relaxation", 1.0, 100.0),
    ("dropout", 0.0, 0.99),
    ("learning_rate", 1e-9, 10.0),
    ("weight_decay", 0.0, 100.0),
    ("batch_size", 2, 1_000_000),
    ("warmup_epochs", 0, 100_000),
    ("clip_norm", 1e-9, 1e9),
    ("ema", 0.0, 1.0),
    ("epochs", 1, 100_000),
    ("patience", 1, 100_000),
)
