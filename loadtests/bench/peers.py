"""Every peer in turn with ours, on the same jobs and model files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from loadtests.bench.block import closed_block, warm_up
from loadtests.bench.compare import FIGURES, compare, contestant
from loadtests.bench.limit import limit
from loadtests.bench.plan import tail
from loadtests.bench.settings import Settings
from loadtests.bench.target import Payloads, Target, Wanted, open_target
from loadtests.bench.turns import Turns, take_turns
from loadtests.do_nothing import DO_NOTHING, do_nothing
from loadtests.jobs.files import PHOTOGRAPH, RECORD, JobFiles
from loadtests.jobs.opening import open_job
from loadtests.jobs.published import photograph_files, record_files
from loadtests.payloads.photographs import draw_photographs
from loadtests.payloads.records import draw_records
from loadtests.peers.catalogue import Peer
from loadtests.peers.environments import pinned_version
from loadtests.peers.equality import check_equal
from loadtests.peers.service import serve_peer
from loadtests.subject.service import Service
from trimaran.repository.live import live_versions
from trimaran.repository.repository import Repository
from trimaran.stats.ratio import Ratio
from trimaran.system.errors import TrimaranError

__all__ = ["JOBS", "LIMIT", "UNLOADED", "Beside", "measure_peers"]

LIMIT = "in process"
UNLOADED = "itself, unloaded"

_COUNT = 64
_TAIL_FACTOR = 4.0
"""So much longer is the load whose p99 is compared: a photograph's needs hundreds of requests."""
_CHECKED = 20


@dataclass(frozen=True)
class _JobPlan:
    """How a job is asked of ours: targets, and the one that is measured beside every peer."""

    model: str
    main: str
    """The target beside every peer and the limit."""
    more: Mapping[str, tuple[tuple[str, int], ...]]
    """Further targets and their rows per request, by the peer beside which they are measured.

    A Python model that does nothing is among them: what Triton and a stub cost by themselves.
    """


JOBS: Mapping[str, _JobPlan] = {
    PHOTOGRAPH: _JobPlan(
        "image_classifier",
        "image_classifier@http",
        {"fastapi": (("image_classifier@grpc", 1), ("image_classifier@http", 8))},
    ),
    RECORD: _JobPlan(
        "churn_record",
        "churn_record@generate",
        {
            "fastapi": (
                ("churn_record@grpc", 1),
                ("churn_record@grpc", 32),
                (f"{DO_NOTHING}@grpc", 1),
            )
        },
    ),
}


@dataclass(frozen=True)
class Beside:
    """One of our targets in turn with a peer, or with the limit."""

    job: str
    ours: str
    theirs: str
    setting: str
    """How the other was set up."""
    medians: Mapping[str, tuple[float, float]]
    """Ours and theirs, by figure."""
    ratios: Mapping[str, Ratio]
    """Ours over theirs, by figure."""
    turns: int
    left_out: int
    void: str

    def to_json(self) -> str:
        """One line of text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Beside:
        """What `to_json` wrote."""
        given: dict[str, Any] = json.loads(text)
        ratios = {name: Ratio(**ratio) for name, ratio in given.pop("ratios").items()}
        return cls(**given, ratios=ratios)


def measure_peers(
    service: Service,
    peers: Sequence[Peer],
    jobs: Sequence[str],
    settings: Settings,
    turns: int,
    trials: Path | None,
    say: Callable[[str], None],
) -> list[Beside]:
    """Each job: ours beside the limit, then beside each peer, which rests while ours is measured.

    What `trials` holds already is not measured again; what is measured is added to it. Raises
    `TrimaranError` where a peer does not start, or answers something else than ours.
    """
    found = _remembered(trials)
    for job in jobs:
        work = _Work(job, _files(service, job), _inputs(job, settings.seed))
        plan = JOBS[job]
        if job == RECORD:
            service.control.load_given(*do_nothing())
        for theirs, (words, measure) in _BOUNDS.items():
            if _has(found, job, plan.main, theirs):
                continue
            say(f"{job}: {plan.main} {words}")
            with _ours(service, plan.main, 1, settings) as ours:
                one = measure(work, ours, settings, turns)
            if one.ratios or one.void:
                _add(found, trials, one)
            else:
                say(f"{job}: the generator was too late to tell; try again in a quieter hour")
        for peer in peers:
            title = f"{peer.title} {pinned_version(peer)}"
            wanted = [(plan.main, 1), *plan.more.get(peer.name, ())]
            missing = [
                (target, rows)
                for target, rows in wanted
                if not _has(found, job, _name(target, rows), title)
            ]
            if not missing:
                continue
            say(f"{job}: {title} starts, {peer.settings[job]}")
            with serve_peer(peer, work.files, work.inputs[0]) as running:
                check_equal(running, open_job(work.files), work.inputs[:_CHECKED])
                endpoint = running.endpoint(work.inputs)
                rival = Target(title, "http", endpoint, job, pid=running.pid)
                warm_up(rival)
                for target, rows in missing:
                    say(f"{job}: {_name(target, rows)} beside {title}")
                    with _ours(service, target, rows, settings) as ours:
                        compared = compare(ours, rival, settings, turns, None, running.resting)
                    name = _name(target, rows)
                    setting = str(peer.settings[job])
                    _add(found, trials, _beside(job, name, title, setting, compared.turns))
    return found


def _add(found: list[Beside], trials: Path | None, one: Beside) -> None:
    """Keep a comparison, in the file too. Raises `TrimaranError` for a void one."""
    if one.void:
        raise TrimaranError(f"{one.ours} beside {one.theirs} is void: {one.void}")
    found.append(one)
    if trials:
        trials.parent.mkdir(parents=True, exist_ok=True)
        with trials.open("a", encoding="utf-8") as file:
            file.write(one.to_json() + "\n")


def _remembered(trials: Path | None) -> list[Beside]:
    if trials is None or not trials.is_file():
        return []
    return [Beside.from_json(line) for line in trials.read_text(encoding="utf-8").splitlines()]


def _has(found: Sequence[Beside], job: str, ours: str, theirs: str) -> bool:
    return any((one.job, one.ours, one.theirs) == (job, ours, theirs) for one in found)


def _name(target: str, rows: int) -> str:
    return target if rows == 1 else f"{target}, {rows} rows a request"


def _files(service: Service, job: str) -> JobFiles:
    """The files of what is live."""
    repository = service.repository
    if repository is None:
        raise TrimaranError("peers are measured beside a repository's own server; leave --host out")
    number = _live_number(repository, JOBS[job].model)
    read = photograph_files if job == PHOTOGRAPH else record_files
    return read(repository, JOBS[job].model, number)


def _live_number(repository: Repository, model: str) -> int:
    return max(live_versions(repository.live(model)))


def _inputs(job: str, seed: int) -> list[bytes]:
    if job == PHOTOGRAPH:
        return draw_photographs(_COUNT, seed)
    return [json.dumps(record).encode() for record in draw_records(_COUNT, seed)]


@contextmanager
def _ours(service: Service, target: str, rows: int, settings: Settings) -> Iterator[Target]:
    payloads = Payloads(settings.seed, _COUNT, rows)
    with open_target(Wanted.parse(target), service, payloads) as opened:
        warm_up(opened)
        yield opened


@dataclass(frozen=True)
class _Work:
    """A job with what it is done with."""

    job: str
    files: JobFiles
    inputs: Sequence[bytes]


def _beside_limit(work: _Work, ours: Target, settings: Settings, turns: int) -> Beside:
    with limit(work.files, work.inputs, settings.seconds) as bound:
        measured = take_turns([contestant(ours, settings, True, None), bound], turns)
    return _beside(work.job, ours.name, LIMIT, "a process for each core", measured)


def _beside_unloaded(work: _Work, ours: Target, settings: Settings, turns: int) -> Beside:
    longer = replace(settings, seconds=_TAIL_FACTOR * settings.seconds)
    ceiling = closed_block(ours, settings.connections, settings.seconds)
    if ceiling.outcome.interrupted:
        raise KeyboardInterrupt
    void = ceiling.run.void
    measured = Turns(void=void) if void else tail(ours, longer, ceiling.run.rate, turns)
    setting = "p99 at 70 % load; median of one connection"
    return _beside(work.job, ours.name, UNLOADED, setting, measured)


_BOUNDS = {
    LIMIT: ("beside the work in plain processes", _beside_limit),
    UNLOADED: ("at 70 % load beside itself, unloaded", _beside_unloaded),
}
"""What our main target is measured against before the peers."""


def _beside(job: str, ours: str, theirs: str, setting: str, measured: Turns) -> Beside:
    ratios = {figure: measured.ratio(0, 1, figure) for figure in FIGURES}
    kept = {figure: ratio for figure, ratio in ratios.items() if ratio is not None}
    medians = {figure: (measured.median(0, figure), measured.median(1, figure)) for figure in kept}
    return Beside(
        job, ours, theirs, setting, medians, kept, len(measured.turns), measured.left_out,
        measured.void,
    )  # fmt: skip
