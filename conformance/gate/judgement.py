"""The gate's word on an artifact: what `exporters.export` asks before it publishes one."""

from __future__ import annotations

from exporters.original import Original
from exporters.parity import Run, measure_parity

__all__ = ["judgement"]


def judgement(original: Original, run: Run) -> str:
    """Why the gate refuses an artifact, and an empty text where it passes it."""
    report = measure_parity(
        original.interface.outputs,
        original.spec.tolerances,
        original.batches,
        original.expected,
        run,
        labels=original.labels,
        ties=original.ties,
        scales=original.scales,
        shares=original.shares,
    )
    return report.problem
