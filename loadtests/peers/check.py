"""`python -m loadtests.peers.check [--peer NAME] [--job JOB]`: serve each peer and compare answers.

For peers' environments that were made, and a repository in which both jobs are published.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from loadtests.jobs.files import PHOTOGRAPH, RECORD, JobFiles
from loadtests.jobs.opening import open_job
from loadtests.jobs.published import photograph_files, record_files
from loadtests.payloads.photographs import draw_photographs
from loadtests.payloads.records import draw_records
from loadtests.peers.catalogue import PEERS, Peer, peer_named
from loadtests.peers.environments import pinned_version
from loadtests.peers.equality import check_equal
from loadtests.peers.service import serve_peer
from trimaran.repository.repository import Repository
from trimaran.system.errors import TrimaranError
from trimaran.system.processes import start_time

__all__ = ["check", "inputs_of", "job_files"]

_COUNT: Mapping[str, int] = {PHOTOGRAPH: 8, RECORD: 50}


def job_files(repository: Repository, job: str) -> JobFiles:
    """A job's newest files in a repository. Raises `TrimaranError` where they are missing."""
    return photograph_files(repository) if job == PHOTOGRAPH else record_files(repository)


def inputs_of(job: str, count: int, seed: int = 0) -> list[bytes]:
    """Photographs' files, or records as JSON. The same seed gives the same ones."""
    if job == PHOTOGRAPH:
        return draw_photographs(count, seed)
    return [json.dumps(record).encode() for record in draw_records(count, seed)]


def check(peer: Peer, files: JobFiles) -> str:
    """Serve a job by a peer and compare its answers; what was done, in words.

    Raises `TrimaranError` where an answer differs, or a process outlives the service.
    """
    inputs = inputs_of(files.job, _COUNT[files.job])
    with serve_peer(peer, files, inputs[0]) as service:
        check_equal(service, open_job(files), inputs)
        began = {pid: start_time(pid) for pid in service.processes()}
    left = [pid for pid, ticks in began.items() if ticks and start_time(pid) == ticks]
    if left:
        raise TrimaranError(f"{peer.title} left the processes {left} behind")
    return f"{len(inputs)} answers equal, {len(began)} processes, none left ({service.setting})"


def main() -> None:
    """Check all peers, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
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
