"""A job by its files, in whichever process it shall run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Protocol

from loadtests.jobs.files import JOB_VARIABLE, PHOTOGRAPH, JobFiles
from loadtests.jobs.photographs import Photographs
from loadtests.jobs.records import Records

__all__ = ["Job", "given_files", "open_job"]


class Job(Protocol):
    """Bytes to an answer: of a photograph's file, or of a record as JSON.

    Both methods raise `ValueError` saying what is wrong with an input.
    """

    def answer(self, data: bytes) -> dict[str, Any]:
        """The answer to one input."""

    def answer_many(self, batch: Sequence[bytes]) -> list[dict[str, Any]]:
        """The answers to several inputs."""


def open_job(files: JobFiles, threads: int = 1) -> Photographs | Records:
    """The job that `files` are for, with so many intra-op threads."""
    return Photographs(files, threads) if files.job == PHOTOGRAPH else Records(files, threads)


def given_files() -> JobFiles:
    """The files that the environment names."""
    return JobFiles.from_json(os.environ[JOB_VARIABLE])
