"""Conducts an experiment on live traffic: it begins, is looked at, and is decided.

    order = Order("canary", "churn", 8, Plan(steps=(0.05, 0.25, 0.5)), each_s=600)
    decision = conduct(repository, order, "http://127.0.0.1:8004/metrics", by="anna", say=print)

The candidate gets traffic only while this process lives. When it is interrupted or killed, the
gateway sends everything to what is live, and the same order goes on where it was.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import urllib3

from trimaran.checks.raising import checked_config
from trimaran.repository.live import live_release
from trimaran.repository.repository import Repository
from trimaran.rollout.experiments.experiment import Experiment
from trimaran.rollout.experiments.observed import Observed
from trimaran.rollout.experiments.plan import Plan
from trimaran.rollout.experiments.segments import ArmName
from trimaran.rollout.experiments.state import Experimenting
from trimaran.rollout.experiments.verdict import Verdict, next_move
from trimaran.rollout.shadow.shadowing import shadowing
from trimaran.rollout.traffic.arm import CandidateServer, candidate_server
from trimaran.rollout.traffic.arms import Arms
from trimaran.rollout.traffic.arms_log import ArmsLog
from trimaran.rollout.traffic.history import bound_of, counts_of
from trimaran.rollout.traffic.orders import Order, alone, going_of, replaced_by, with_bound
from trimaran.rollout.traffic.predictions import check_goals
from trimaran.rollout.traffic.split import (
    ARMS_LOG,
    CANDIDATE_SHARE,
    SERVER_READY,
    Split,
    announcing,
)
from trimaran.rollout.traffic.units import KEY, forget_units
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.files import read_regular, write_text

__all__ = ["conduct"]

_OWNER_ONLY = 0o600
_LOOK_S = 0.25
_OFTEN_S, _SELDOM_S = 1.0, 30.0
"""How often a look is recorded: at first, and later, or when nothing happens."""
_FLIP_S = 30.0
"""How long the gateway may take to follow a split."""
_SETTLE_S = 1.0
"""How long requests that were under way have to end, before their arm is gone."""


def conduct(
    repository: Repository,
    order: Order,
    figures: str,
    *,
    by: str,
    say: Callable[[str], None],
    look: Callable[[Experimenting, Verdict], None] = lambda state, found: None,
    deploy: Callable[[Verdict], None] | None = None,
    unwanted: Callable[[], str] = str,
    tritonserver: Path | None = None,
) -> Verdict:
    """Run an experiment to its decision, or go on with it; `look` is shown each verdict.

    `figures` is where the gateway of the repository has its figures. Where the candidate wins,
    `deploy` makes it live before its server ends. `unwanted` says, at each look, why the candidate
    is not to be tried any more; nothing while it is. Raises `TrimaranError` where it cannot begin,
    with nothing changed.
    """
    live = live_release(repository.live(order.model))
    if live is None:
        raise TrimaranError(
            f"{order.model} has no live release to compare with; deploy one with 'trimaran deploy "
            f"{order.model}'"
        )
    if checked_config(repository, order.model).HasField("sequence_batching"):
        raise TrimaranError(
            f"the requests of {order.model} depend on one another (sequence_batching), so they "
            "cannot be divided between two servers"
        )
    repository.version(order.model, order.release)
    if order.release == live.number:
        raise UsageError(
            f"{order.model}: release {live.number} is the live one; name another as the candidate"
        )
    check_goals(repository, order.model, order.plan, order.header)
    _require_served(_figures(figures), order.model)
    with ExitStack() as stack:
        stack.enter_context(alone(repository, order.model))
        going = going_of(repository, order, live.number, by)
        place = repository.state / "experiments" / order.model / "candidate"
        say(f"starting a server with release {order.release}")
        server = stack.enter_context(
            candidate_server(
                repository,
                order.model,
                order.release,
                place,
                tritonserver,
                shadow=order.comparing is not None,
            )
        )
        tried = f"golden requests answered: {server.golden}" if server.golden else "untested"
        say(f"the candidate is ready; {tried}")
        if going:
            going.go_on(by=by)
        experiment = going or Experiment.begin(
            repository,
            order.model,
            order.kind,
            str(live.number),
            str(order.release),
            _bounded(order, figures, say),
            by=by,
            header=order.header,
        )
        log = ArmsLog(repository.state / "gateway" / ARMS_LOG)
        stack.callback(log.close)
        seeing = stack.enter_context(_seeing(repository, order, experiment, server, log, say))
        conductor = _Conductor(
            repository, order, figures, experiment, server, seeing, say, look, unwanted
        )
        return conductor.run(by, deploy)


class _Seeing(Protocol):
    socket: str
    """Where the gateway sends copies; empty where it divides the traffic."""

    def seen(self, share: float) -> Mapping[ArmName, Observed]:
        """What the arms did since the last call, at a share of the traffic."""


@contextmanager
def _seeing(
    repository: Repository,
    order: Order,
    experiment: Experiment,
    server: CandidateServer,
    log: ArmsLog,
    say: Callable[[str], None],
) -> Iterator[_Seeing]:
    if order.comparing is None:
        key = _digest_key(experiment.directory)
        arms = Arms(repository, experiment, server.ports, log, key)
        if arms.note:
            say(arms.note)
        yield arms
        return
    with shadowing(experiment, order.model, server.ports, order.comparing, log.news) as shadow:
        yield shadow


def _require_served(figures: str, model: str) -> None:
    """Raise `TrimaranError` where the gateway says that no server takes requests."""
    ready = re.findall(rf"^{SERVER_READY}{{.*}} (\S+)$", figures, re.MULTILINE)
    if figures and "1" not in ready:
        raise TrimaranError(
            f"no server behind the gateway is ready, so {model} has no traffic to divide; start "
            "one with 'trimaran serve'"
        )


def _bounded(order: Order, figures: str, say: Callable[[str], None]) -> Plan:
    """The order's plan, with a bound for errors from what live has shown where it names none."""
    if order.plan.errors is None or order.plan.errors.most is not None:
        return order.plan
    most, why = bound_of(*counts_of(_figures(figures), order.model))
    say(why)
    return with_bound(order.plan, most)


def _figures(address: str) -> str:
    """What the gateway counts; empty while it does not answer."""
    try:
        with urllib3.PoolManager(retries=False, timeout=5.0) as pool:
            return pool.request("GET", address).data.decode()
    except (urllib3.exceptions.HTTPError, UnicodeDecodeError):
        return ""


def _digest_key(directory: Path) -> str:
    """The key of the digests of clients' keys, which is the experiment's own."""
    path = directory / KEY
    if not path.exists():
        write_text(path, secrets.token_hex(32), _OWNER_ONLY)
    return read_regular(path).decode("ascii", "replace")[:64]


class _Conductor:
    def __init__(
        self,
        repository: Repository,
        order: Order,
        figures: str,
        experiment: Experiment,
        server: CandidateServer,
        seeing: _Seeing,
        say: Callable[[str], None],
        look: Callable[[Experimenting, Verdict], None],
        unwanted: Callable[[], str],
    ) -> None:
        self._repository = repository
        self._order = order
        self._figures = figures
        self._experiment = experiment
        self._server = server
        self._seeing = seeing
        self._say = say
        self._look = look
        self._unwanted = unwanted
        self._digest_key = _digest_key(experiment.directory)
        self._recorded = time.monotonic()

    def run(self, by: str, deploy: Callable[[Verdict], None] | None) -> Verdict:
        state = self._experiment.state
        self._say(
            f"{state.name}: release {state.releases['candidate']} against "
            f"{state.releases['live']}, which is live"
        )
        with announcing(self._repository, self._order.model) as announce:
            found = None
            while found is None:
                share = self._experiment.state.segment.share
                announce(self._split(share))
                self._await_gateway(share)
                gets = "is asked" if self._seeing.socket else "gets"
                self._say(f"the candidate {gets} {100 * share:.3g} % of the traffic")
                found = self._until_moved(share)
            self._say(f"{found.word}: {found.why}")
            if found.word == "promote" and deploy is not None:
                deploy(found)
        began = time.monotonic()
        self._await_gateway(None)
        live = state.releases["candidate" if found.word == "promote" and deploy else "live"]
        ended = f"all traffic goes to release {live}"
        ended = "no answer is compared" if self._seeing.socket else ended
        self._say(f"{ended}, {time.monotonic() - began:.1f} s later")
        if self._experiment.state.decision is None:
            self._experiment.decide(found, by=by)
        forget_units(self._experiment.directory)
        time.sleep(_SETTLE_S)
        return found

    def _until_moved(self, share: float) -> Verdict | None:
        """Look until another share is due (None), or the experiment is over."""
        while True:
            time.sleep(_LOOK_S)
            found = self._verdict(share)
            state = self._experiment.state
            if state.decision is not None:
                return state.decision
            if state.segment.share != share:
                self._say(state.notes[-1])
                return None
            at_step_s = state.elapsed_s - state.weighed_s + time.monotonic() - self._recorded
            later = [each for each in state.plan.steps[1:] if each > share]
            move = next_move(found.word, waited=at_step_s >= self._order.each_s, last=not later)
            if move in ("back", "over"):
                return found
            if move == "next":
                self._experiment.weigh(later[0], by=self._order.kind)
                return None

    def _verdict(self, share: float) -> Verdict:
        """What is to be done, after the requests that ended since the last look."""
        self._experiment.refresh()
        state = self._experiment.state
        if state.decision is not None:
            return state.decision
        live = live_release(self._repository.live(self._order.model))
        if live is None or str(live.number) != state.releases["live"]:
            return replaced_by(live.number if live else None)
        if self._server.problem:
            return Verdict("abort", f"The candidate is gone: {self._server.problem}.")
        if not self._is_due(state):
            return self._experiment.verdict()
        if why := self._unwanted():
            return Verdict("inconclusive", why)
        seen = self._seeing.seen(share)
        self._recorded = time.monotonic()
        found = self._experiment.observe(seen["live"], seen["candidate"])
        self._look(self._experiment.state, found)
        return found

    def _is_due(self, state: Experimenting) -> bool:
        """Whether to look: often at first, and then after a hundredth more of the time."""
        waited = (state.elapsed_s - state.weighed_s) / 100
        return time.monotonic() - self._recorded >= min(max(_OFTEN_S, waited), _SELDOM_S)

    def _split(self, share: float) -> Split:
        state = self._experiment.state
        return Split(
            experiment=state.name,
            model=self._order.model,
            live=state.releases["live"],
            candidate=state.releases["candidate"],
            share=share,
            ports=self._server.ports,
            header=self._order.header,
            digest_key=self._digest_key,
            socket=self._seeing.socket,
        )

    def _await_gateway(self, share: float | None) -> None:
        """Wait until the gateway follows a split, or none. Raises `TrimaranError` for a begin."""
        deadline = time.monotonic() + _FLIP_S
        while self._followed() != share:
            if time.monotonic() > deadline:
                raise TrimaranError(
                    f"the gateway does not follow the split of {self._order.model} within "
                    f"{_FLIP_S:g} s; see what 'trimaran gateway up' says"
                )
            time.sleep(_LOOK_S / 4)

    def _followed(self) -> float | None:
        """The share by which the gateway divides the traffic of the model now."""
        text = _figures(self._figures)
        labels = f'model="{self._order.model}",experiment="{self._experiment.state.name}"'
        found = re.search(rf"^{CANDIDATE_SHARE}{{{re.escape(labels)}}} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else None
