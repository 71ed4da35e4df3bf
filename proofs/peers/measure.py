"""Every peer in turn with ours, on the same jobs and model files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ensembles.pipeline import PythonModel, tensor
from loadtests.bench.block import Settings, closed_block, warm_up
from loadtests.bench.compare import FIGURES, Turns, compare, contestant, take_turns
from loadtests.bench.plan import tail
from loadtests.bench.target import Payloads, Target, Wanted, open_target
from loadtests.payloads import Rows
from loadtests.subject import Service
from proofs.jobs.job import PHOTOGRAPH, RECORD, JobFiles, open_job
from proofs.jobs.published import photograph_files, record_files
from proofs.limit import limit
from proofs.peers.catalogue import Peer
from proofs.peers.check import check_equal, job_inputs
from proofs.peers.environments import pinned_version
from proofs.peers.service import serve_peer
from trimaran.repository.config import ModelConfig
from trimaran.repository.live import live_versions
from trimaran.repository.repository import Repository
from trimaran.stats.bootstrap import Ratio
from trimaran.system.errors import TrimaranError

__all__ = ["JOBS", "LIMIT", "UNLOADED", "Comparison", "measure_peers"]

LIMIT = "in process"
UNLOADED = "itself, unloaded"

_COUNT = 64
_TAIL_FACTOR = 4.0
"""So much longer is the load whose p99 is compared: a photograph's needs hundreds of requests."""
_CHECKED = 20
_NOTHING = "nothing"

_SOURCE = b"""
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        answer = np.zeros((1, 1), np.float32)
        return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", answer)]) for _ in requests]
"""


@dataclass(frozen=True)
class _JobPlan:
    """Our targets for a job, and the one that is compared with every peer."""

    model: str
    main: str
    """The target that is compared with every peer and with the limit."""
    more: Mapping[str, tuple[tuple[str, int], ...]]
    """Further targets and their rows per request, by the peer that they are compared with.

    A Python model that does nothing is among them: it shows what Triton and a stub cost alone.
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
                (f"{_NOTHING}@grpc", 1),
            )
        },
    ),
}


@dataclass(frozen=True)
class Comparison:
    """One of our targets in turn with a peer, or with the limit."""

    job: str
    ours: str
    theirs: str
    setting: str
    """How the other one was set up."""
    medians: Mapping[str, tuple[float, float]]
    """Ours and theirs, by figure."""
    ratios: Mapping[str, Ratio]
    """Ours over theirs, by figure."""
    turns: int
    left_out: int
    invalid: str

    def to_json(self) -> str:
        """One line of text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Comparison:
        """What `to_json` wrote."""
        given: dict[str, Any] = json.loads(text)
        given["invalid"] = given.pop("void", "") or given.get("invalid", "")
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
) -> list[Comparison]:
    """Each job: ours and the limit in turn, then ours and each peer, which rests meanwhile.

    A comparison in the file `trials` is not measured again, and each new one is added to it.
    Raises `TrimaranError` where a peer does not start, or its answers differ from ours.
    """
    found = _remembered(trials)
    for job in jobs:
        work = _Work(job, _files(service, job), job_inputs(job, _COUNT, settings.seed))
        plan = JOBS[job]
        if job == RECORD:
            service.control.load_given(*_do_nothing())
        for theirs, (words, measure) in _BOUNDS.items():
            if _has(found, job, plan.main, theirs):
                continue
            say(f"{job}: {plan.main} {words}")
            with _ours(service, work, plan.main, 1, settings) as ours:
                one = measure(work, ours, settings, turns)
            if one.ratios or one.invalid:
                _add(found, trials, one)
            else:
                say(f"{job}: the generator was late too often; try again when the machine is idle")
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
                traffic = running.traffic(work.inputs)
                rival = Target(title, "http", traffic, job, pid=running.pid)
                warm_up(rival)
                for target, rows in missing:
                    say(f"{job}: {_name(target, rows)} and {title}")
                    with _ours(service, work, target, rows, settings) as ours:
                        compared = compare(ours, rival, settings, turns, None, running.resting)
                    name = _name(target, rows)
                    setting = str(peer.settings[job])
                    _add(found, trials, _comparison(job, name, title, setting, compared.turns))
    return found


def _add(found: list[Comparison], trials: Path | None, one: Comparison) -> None:
    """Keep a comparison, in the file too. Raises `TrimaranError` for an invalid one."""
    if one.invalid:
        raise TrimaranError(
            f"{one.ours} and {one.theirs}: the comparison is invalid: {one.invalid}"
        )
    found.append(one)
    if trials:
        trials.parent.mkdir(parents=True, exist_ok=True)
        with trials.open("a", encoding="utf-8") as file:
            file.write(one.to_json() + "\n")


def _remembered(trials: Path | None) -> list[Comparison]:
    if trials is None or not trials.is_file():
        return []
    return [Comparison.from_json(line) for line in trials.read_text(encoding="utf-8").splitlines()]


def _has(found: Sequence[Comparison], job: str, ours: str, theirs: str) -> bool:
    return any((one.job, one.ours, one.theirs) == (job, ours, theirs) for one in found)


def _name(target: str, rows: int) -> str:
    return target if rows == 1 else f"{target}, {rows} rows a request"


def _files(service: Service, job: str) -> JobFiles:
    """The files of what is live."""
    repository = service.repository
    if repository is None:
        raise TrimaranError("peers need a server that was started on a repository")
    number = _live_number(repository, JOBS[job].model)
    read = photograph_files if job == PHOTOGRAPH else record_files
    return read(repository, JOBS[job].model, number)


def _live_number(repository: Repository, model: str) -> int:
    return max(live_versions(repository.live(model)))


@contextmanager
def _ours(
    service: Service, work: _Work, target: str, rows: int, settings: Settings
) -> Iterator[Target]:
    wanted = Wanted.parse(target)
    ready = _texts(work) if wanted.model == _NOTHING else None
    payloads = Payloads(settings.seed, _COUNT, rows, ready=ready)
    with open_target(wanted, service, payloads) as opened:
        warm_up(opened)
        yield opened


@dataclass(frozen=True)
class _Work:
    """A job with its files and inputs."""

    job: str
    files: JobFiles
    inputs: Sequence[bytes]


def _texts(work: _Work) -> Rows:
    """The job's inputs for the model that does nothing, which nobody published."""
    return Rows([{"RECORD": np.array([[data]], np.object_)} for data in work.inputs], "the job's")


def _against_limit(work: _Work, ours: Target, settings: Settings, turns: int) -> Comparison:
    with limit(work.files, work.inputs, settings.seconds) as bound:
        measured = take_turns([contestant(ours, settings, True, None), bound], turns)
    return _comparison(work.job, ours.name, LIMIT, "a process for each core", measured)


def _against_unloaded(work: _Work, ours: Target, settings: Settings, turns: int) -> Comparison:
    longer = replace(settings, seconds=_TAIL_FACTOR * settings.seconds)
    ceiling = closed_block(ours, settings.connections, settings.seconds)
    if ceiling.outcome.interrupted:
        raise KeyboardInterrupt
    invalid = ceiling.run.invalid
    measured = Turns(invalid=invalid) if invalid else tail(ours, longer, ceiling.run.rate, turns)
    setting = "p99 at 70 % load; median of one connection"
    return _comparison(work.job, ours.name, UNLOADED, setting, measured)


_BOUNDS = {
    LIMIT: ("and the work in plain processes", _against_limit),
    UNLOADED: ("at 70 % load and unloaded", _against_unloaded),
}
"""What our main target is compared with before the peers."""


def _comparison(job: str, ours: str, theirs: str, setting: str, measured: Turns) -> Comparison:
    ratios = {figure: measured.ratio(0, 1, figure) for figure in FIGURES}
    kept = {figure: ratio for figure, ratio in ratios.items() if ratio is not None}
    medians = {figure: (measured.median(0, figure), measured.median(1, figure)) for figure in kept}
    return Comparison(
        job, ours, theirs, setting, medians, kept, len(measured.turns), measured.left_out,
        measured.invalid,
    )  # fmt: skip


def _do_nothing() -> tuple[ModelConfig, dict[str, bytes]]:
    """The configuration and files of a Python model that takes a text and answers zero."""
    record, answer = tensor("RECORD", "BYTES", 1), tensor("Y", "FP32", 1)
    model = PythonModel(_NOTHING, [record], [answer], sources=[], max_batch_size=1024)
    return model.config(), {"1/model.py": _SOURCE}
