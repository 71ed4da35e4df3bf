"""The results of a benchmark, as a report and on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from loadtests.bench.block import Block
from loadtests.bench.compare import FIGURES, Compared
from loadtests.bench.plan import Measured
from loadtests.bench.target import Target
from loadtests.gates import Gate
from loadtests.generator.ceiling import Ceiling
from loadtests.reports.run import Report
from loadtests.reports.tables import number

__all__ = ["block_line", "compare_report", "print_compared", "target_report"]


def target_report(
    command: str,
    target: Target,
    ceiling: Ceiling,
    measured: Measured,
    about: Mapping[str, str],
) -> Report:
    """The report on one target."""
    return Report(
        title=f"Benchmark of {target.name}",
        command=command,
        about={
            "payloads": target.source,
            **_generator(ceiling),
            **_times(measured.blocks),
            **about,
        },
        runs=[block.run for block in measured.blocks],
        figures=measured.figures,
        invalid=measured.invalid,
    )


def compare_report(
    command: str,
    ours: Target,
    theirs: Target,
    ceiling: Ceiling,
    compared: Compared,
    gates: Sequence[Gate],
    about: Mapping[str, str],
) -> Report:
    """The report on two targets; the gates are those of the comparison, not of a run."""
    blocks = compared.turns.blocks()
    return Report(
        title=f"{ours.name} and {theirs.name}",
        command=command,
        about={
            "payloads": f"{ours.source}; {theirs.source}",
            **_generator(ceiling),
            **_times(blocks),
            **about,
        },
        runs=[block.run for block in blocks],
        figures={
            f"{name}, {ours.name} / {theirs.name}": asdict(ratio)
            for name, ratio in compared.ratios.items()
        },
        invalid=compared.turns.invalid,
        gates=gates,
    )


def block_line(block: Block) -> str:
    """One block in a line."""
    run = block.run
    words = (
        f"{run.target}  {run.load}: {number(run.rate)} answers/s, p50 "
        f"{number(run.latency_ms['p50'])} ms, p99 {number(run.latency_ms['p99'])} ms"
    )
    return f"{words}  invalid: {run.invalid}" if run.invalid else words


def print_compared(screen: Console, ours: str, theirs: str, compared: Compared) -> None:
    """The medians of both, and the ratios between them."""
    table = Table()
    for heading in ("", ours, theirs, f"{ours} / {theirs} (95 % interval)"):
        table.add_column(heading, justify="right" if heading else "left")
    for figure, ratio in compared.ratios.items():
        medians = (number(compared.turns.median(place, figure)) for place in (0, 1))
        table.add_row(f"{figure}, {FIGURES[figure]}", *medians, str(ratio))
    screen.print(table)
    left_out = compared.turns.left_out
    words = f"{len(compared.turns.turns)} turns count"
    words += f", {left_out} invalid ones were left out" if left_out else ""
    late = compared.turns.late
    words += f", {late} without latencies, since the generator was late" if late else ""
    screen.print(
        f"{words}; medians; open loop at {compared.rate:,.0f} requests/s",
        highlight=False,
        soft_wrap=True,
    )


def _generator(ceiling: Ceiling) -> dict[str, str]:
    return {
        "generator": f"carries {ceiling.rate:,.0f} requests/s of these payloads, "
        f"{ceiling.cpu_s * 1e6:.0f} µs of CPU each"
    }


def _times(blocks: Sequence[Block]) -> dict[str, str]:
    """The span of Unix time of the measurement, to look up other records of that time."""
    if not blocks:
        return {}
    return {"window": f"{blocks[0].began:.3f} to {blocks[-1].ended:.3f} (Unix time)"}
