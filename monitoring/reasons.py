"""What monitoring has found of the live models, as reasons to train them again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from monitoring.presence import find_prometheus
from trimaran.rollout.retraining.due import Reason
from trimaran.rollout.retraining.watched import Asked
from trimaran.system.errors import TrimaranError

if TYPE_CHECKING:
    from monitoring.accuracy import ReleaseAccuracy
    from monitoring.drift import Finding

__all__ = ["Monitored", "accuracy_reason", "drift_reason"]

_DRIFT_WINDOW = "1d"
_ACCURACY_WINDOW = "15d"
"""As long as `trimaran monitor up` keeps its data."""
_SHOWN = 3


@dataclass(frozen=True)
class Monitored:
    """Asks the Prometheus that monitors a repository, or the one at `prometheus`."""

    repository: Path
    prometheus: str | None = None

    def __call__(self, asked: Asked) -> Sequence[Reason]:
        """As `trimaran monitor drift` and `trimaran monitor accuracy` judge what was served."""
        try:
            address = find_prometheus(self.repository, self.prometheus)
            # Where nothing is monitored, its packages need not be there.
            from monitoring.accuracy import releases
            from monitoring.drift import features
            from monitoring.prometheus_api import Prometheus

            source = Prometheus(address)
            found = []
            if asked.triggers.drift is not None:
                found.append(drift_reason(features(source, _DRIFT_WINDOW), asked))
            if asked.triggers.accuracy is not None:
                found.append(accuracy_reason(releases(source, _ACCURACY_WINDOW), asked))
        except TrimaranError as error:
            return [Reason(None, f"what is served is not known: {error}")]
        return found


def drift_reason(findings: Iterable[Finding], asked: Asked) -> Reason:
    """Whether what the live versions were asked is beyond the bound by its whole interval."""
    bound = asked.triggers.drift or 0.0
    mine = [
        each
        for each in findings
        if _is_live(each.model, each.version, asked) and each.feature != asked.moving
    ]
    judged = [each for each in mine if each.index is not None]
    if not judged:
        rows = max((each.rows for each in mine), default=0)
        return Reason(None, f"drift of what is served cannot be told of {rows:,.0f} rows")
    far = [each for each in judged if each.interval[0] > bound or each.verdict == "absent"]
    if not far:
        return Reason(False, "nothing that is served drifted")
    told = [f"{each.feature} {each.index:.2f}" for each in far[:_SHOWN]]
    more = f" and {len(far) - _SHOWN} more" if len(far) > _SHOWN else ""
    return Reason(True, f"what is served drifted beyond {bound:g}: {', '.join(told)}{more}")


def accuracy_reason(judged: Iterable[ReleaseAccuracy], asked: Asked) -> Reason:
    """Whether the live release fell, or its metric is beyond the bound by its whole interval."""
    metric, bound = asked.metric, asked.triggers.accuracy or 0.0
    mine = [each for each in judged if _is_live(each.model, each.version, asked)]
    for each in mine:
        live = each.figures[metric].live if metric in each.figures else None
        told = f"by {each.outcomes:,.0f} recorded outcomes"
        if live is not None:
            told = f"{metric} is {live.value:.3g} ({live.low:.3g} to {live.high:.3g}) {told}"
        if each.verdict == "fell":
            return Reason(True, f"{each.model} fell: {told}")
        if live is not None and (live.low > bound if asked.less else live.high < bound):
            return Reason(True, f"of {each.model}, {told}, worse than {bound:g}")
    outcomes = sum(each.outcomes for each in mine)
    if not outcomes:
        return Reason(None, "no outcome of what is served was recorded")
    return Reason(False, f"{metric} holds by {outcomes:,.0f} recorded outcomes")


def _is_live(model: str, version: str, asked: Asked) -> bool:
    return model in asked.models and version == str(asked.models[model])
