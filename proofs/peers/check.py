"""`python -m proofs.peers.check [--peer NAME] [--job JOB]`: serve each peer and compare answers.

It needs the peers' environments, and a repository in which both jobs are published.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from loadtests.payloads import draw_photographs
from proofs.jobs.customers import draw_customers
from proofs.jobs.job import PHOTOGRAPH, RECORD, Job, JobFiles, open_job
from proofs.jobs.published import photograph_files, record_files
from proofs.peers.catalogue import PEERS, Peer, peer_named
from proofs.peers.environments import pinned_version
from proofs.peers.service import PeerService, serve_peer
from trimaran.cli.options import DEFAULT_REPOSITORY
from trimaran.repository.repository import Repository
from trimaran.system.errors import TrimaranError
from trimaran.system.processes import start_time, still_runs

__all__ = ["check", "check_equal", "difference", "job_files", "job_inputs"]

_COUNT: Mapping[str, int] = {PHOTOGRAPH: 8, RECORD: 50}
_CHANCE = 1e-6
"""The most that a probability of churn may differ."""
_SHARE = 1e-4
"""The most that a label's probability may differ: a batch is computed in another order."""


def job_files(repository: Repository, job: str) -> JobFiles:
    """A job's newest files in a repository. Raises `TrimaranError` where they are missing."""
    return photograph_files(repository) if job == PHOTOGRAPH else record_files(repository)


def job_inputs(job: str, count: int, seed: int = 0) -> list[bytes]:
    """Photographs' files, or records as JSON. The same seed gives the same inputs."""
    if job == PHOTOGRAPH:
        return draw_photographs(count, seed)
    return [json.dumps(record).encode() for record in draw_customers(count, seed)]


def check(peer: Peer, files: JobFiles) -> str:
    """Serve a job by a peer and compare its answers; a line about it.

    Raises `TrimaranError` where an answer differs, or a process outlives the service.
    """
    inputs = job_inputs(files.job, _COUNT[files.job])
    with serve_peer(peer, files, inputs[0]) as service:
        check_equal(service, open_job(files), inputs)
        began = {pid: start_time(pid) for pid in service.processes()}
    left = [pid for pid, ticks in began.items() if still_runs(pid, ticks)]
    if left:
        raise TrimaranError(f"{peer.title} left the processes {left} behind")
    return f"{len(inputs)} answers equal, {len(began)} processes, none left ({service.setting})"


def check_equal(service: PeerService, job: Job, inputs: Sequence[bytes]) -> None:
    """Raise `TrimaranError` for the first input that a peer answers differently."""
    for at, data in enumerate(inputs):
        found, wanted = service.ask(data), job.answer(data)
        words = difference(service.job, found, wanted)
        if words:
            raise TrimaranError(f"{service.peer.title} disagrees on input {at}: {words}")


def difference(job: str, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """How two answers differ; empty where they are equal."""
    if job == PHOTOGRAPH:
        if found["label"] != wanted["label"]:
            return f"labels {found['label']}, expected {wanted['label']}"
        pairs = zip(found["probability"], wanted["probability"], strict=True)
        apart = max(abs(mine - right) for mine, right in pairs)
        return f"probabilities are {apart:g} apart" if not apart <= _SHARE else ""
    if found["churn_prediction"] != wanted["churn_prediction"]:
        return f"prediction {found['churn_prediction']}, expected {wanted['churn_prediction']}"
    apart = abs(found["churn_probability"] - wanted["churn_probability"])
    return f"probabilities are {apart:g} apart" if not apart <= _CHANCE else ""


def main() -> None:
    """Check all peers, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repository", type=Path, default=DEFAULT_REPOSITORY)
    parser.add_argument("--peer", action="append", metavar="NAME", help=", ".join(PEERS))
    parser.add_argument("--job", choices=(PHOTOGRAPH, RECORD), action="append")
    arguments = parser.parse_args()
    failed = False
    try:
        repository = Repository.open(arguments.repository)
        peers = [peer_named(name) for name in arguments.peer or PEERS]
        jobs = {job: job_files(repository, job) for job in arguments.job or (PHOTOGRAPH, RECORD)}
    except TrimaranError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    for peer in peers:
        for job, files in jobs.items():
            try:
                words = check(peer, files)
            except TrimaranError as error:
                failed, words = True, f"FAILED: {error}"
            print(f"{peer.title} {pinned_version(peer)}, {job}: {words}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
