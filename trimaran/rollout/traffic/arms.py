"""What both arms of a canary or an A/B test did: at the gateway, and in the prediction log."""

from __future__ import annotations

from collections.abc import Mapping

from trimaran.repository.repository import Repository
from trimaran.rollout.experiments.experiment import Experiment
from trimaran.rollout.experiments.observed import Observed
from trimaran.rollout.experiments.segments import ArmName
from trimaran.rollout.traffic.arms_log import ArmsLog, Ends
from trimaran.rollout.traffic.predictions import Predictions
from trimaran.rollout.traffic.units import SEEN, Units
from trimaran.system.ports import Ports

__all__ = ["Arms"]


class Arms:
    """Follows both logs for an experiment. `ports` are those of the candidate's server.

    `key` is of the digests of clients and predictions.
    """

    def __init__(
        self, repository: Repository, experiment: Experiment, ports: Ports, log: ArmsLog, key: str
    ) -> None:
        self.socket = ""
        self._experiment = experiment
        self._log = log
        self._units = Units(experiment.directory / SEEN)
        self._ends = Ends(experiment.state.name, ports, self._is_new)
        self._predictions = Predictions(repository, experiment, key)
        self._share = 0.0

    @property
    def note(self) -> str:
        """What is not compared although the plan asks for it, as a sentence; empty for nothing."""
        return self._predictions.note

    def seen(self, share: float) -> Mapping[ArmName, Observed]:
        """What the arms did since the last call, at a share; late outcomes are recorded as well."""
        if share != self._share:
            self._share = share
            self._predictions.begin()
        found = self._ends.counted(self._log.news(), share)
        self._units.keep()
        self._predictions.count_outcomes()
        return self._predictions.seen_by(found, self._segment)

    def _is_new(self, unit: str) -> bool:
        return self._units.is_new(self._segment, unit)

    @property
    def _segment(self) -> int:
        return len(self._experiment.state.segments)
