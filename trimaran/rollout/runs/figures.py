"""What a finished run of any family says in figures: how good it is, on what, and for whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trimaran.training.run_directory import RunDirectory

__all__ = ["Figures", "Slice", "figures_of_metrics"]


@dataclass(frozen=True)
class Slice:
    """How good it is for the rows of one group."""

    field: str
    group: str
    rows: int
    scores: Mapping[str, float | None]
    """By the names that people use; the first is the main one."""
    small: bool
    """Whether there are too few rows to judge."""


@dataclass(frozen=True)
class Figures:
    """Of the test part, unless a name says otherwise."""

    estimator: str
    metric: str
    """The main metric, as people call it."""
    value: float | None
    """None where no outcome is known."""
    interval: Sequence[float] | None
    """Of 95 %."""
    source: str
    """Where the data are from."""
    digest: str
    """SHA-256 of the data, in hexadecimal."""
    rows: Mapping[str, int]
    """By part."""
    scores: Mapping[str, float]
    """Other metrics, by the names that people use."""
    validation: float | None = None
    """The main metric on the validation part."""
    less_is_better: bool = False
    baselines: Mapping[str, float] = field(default_factory=dict)
    """The main metric of simpler models."""
    importance: Sequence[Mapping[str, Any]] = ()
    """Of fields, the most important first."""
    slices: Sequence[Slice] = ()
    features: Sequence[tuple[str, str]] = ()
    """Fields and their kinds."""
    takes: str = ""
    """What it takes where that is no fields, as a sentence."""
    target: str = ""
    """What it predicts, in words."""
    goal: float | None = None
    split: str = ""
    notes: Sequence[str] = ()
    size: int = 0
    """Bytes of the weights; 0 where it has none of its own."""

    @property
    def tested(self) -> int:
        """The rows on which it was scored."""
        return int(self.rows.get("test", 0))

    def outcome(self) -> dict[str, Any]:
        """What the ledger keeps."""
        return {
            "estimator": self.estimator,
            "metric": self.metric,
            "value": self.value,
            "interval": list(self.interval) if self.interval else None,
            "rows": dict(self.rows),
            "digest": self.digest,
        }


def figures_of_metrics(
    run: RunDirectory,
    main: str,
    names: Mapping[str, str],
    interval: Sequence[float] | None,
    *,
    takes: str = "",
    target: str = "",
    slices: Sequence[Slice] = (),
) -> Figures:
    """Of a run of texts, photographs or choices, whose metrics people call by `names`.

    `main` is the key of the main metric, and `interval` its own. The other arguments are as in
    `Figures`.
    """
    metrics, config = run.metrics(), run.config()
    test = metrics["test"]
    baselines = {name: each.get("test", each) for name, each in metrics["baselines"].items()}
    data = config.get("data", {})
    return Figures(
        estimator=str(metrics["model"]),
        metric=names[main],
        value=float(test[main]) if main in test else None,
        interval=interval,
        source=str(config.get("source", "")),
        digest=str(data.get("digest", "")) if isinstance(data, dict) else "",
        rows=metrics["rows"],
        scores={name: float(test[key]) for key, name in names.items() if key in test},
        validation=metrics.get("validation", {}).get(main),
        baselines={name: float(each[main]) for name, each in baselines.items()},
        slices=slices,
        takes=takes,
        target=target,
        split="at random, by a seed",
        notes=metrics["notes"],
    )
