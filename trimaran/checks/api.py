"""What `import trimaran` offers for checking a repository."""

from __future__ import annotations

import os
from collections.abc import Sequence

from trimaran.checks.finding import Report
from trimaran.checks.judge import judge
from trimaran.checks.onnx_files import can_read_graphs
from trimaran.checks.reading import model_directories, read_model
from trimaran.repository.repository import DEFAULT_PLACE, Place, opened_at
from trimaran.system.errors import UsageError

__all__ = ["check"]


def check(repository: Place = DEFAULT_PLACE, models: Sequence[str] = ()) -> Report:
    """What Triton would refuse in a repository, and what it accepts and is regretted later.

    No server is started. `models` are those to report on, all by default; the findings are in
    `Report.findings`, each with severity, file, field, and remedy. Raises `TrimaranError` where
    there is no repository, and `UsageError` for a model that it does not have.
    """
    opened = opened_at(repository)
    facts = {name: read_model(opened, name) for name in model_directories(opened)}
    for name in models:
        if name not in facts:
            raise UsageError(
                f"{opened.root}: has no model {name!r}; it has {', '.join(facts) or 'none'}"
            )
    return judge(
        str(opened.root),
        facts,
        list(models),
        cores=os.cpu_count() or 0,
        graphs=can_read_graphs(),
    )
