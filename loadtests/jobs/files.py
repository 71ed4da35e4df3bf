"""Which published files a job is opened from, in a form that any process can be given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

__all__ = ["JOB_VARIABLE", "PHOTOGRAPH", "RECORD", "JobFiles"]

PHOTOGRAPH = "photograph"
RECORD = "record"

JOB_VARIABLE = "TRIMARAN_JOB"
"""The environment variable that tells a peer's processes what to open."""


@dataclass(frozen=True)
class JobFiles:
    """Version directories by their part in the job; `top` is how many labels are answered.

    A photograph's parts are `preprocess`, `classifier` and `labels`; a record's is `record`.
    """

    job: str
    directories: Mapping[str, str]
    top: int = 0

    def to_json(self) -> str:
        """One line of text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> JobFiles:
        """What `to_json` wrote."""
        return cls(**json.loads(text))
