"""The results of all candidates: what won, in words, in a manifest, and as terminal tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.markup import escape
from rich.table import Table

from loadtests.optimizing.candidates import Candidate
from loadtests.optimizing.decision import Choice, Entrant, Point, choose, missed
from loadtests.optimizing.measuring import Alone, Plan, rows_each
from loadtests.reports.tables import number
from trimaran.stats.bootstrap import median_estimate

__all__ = ["Results", "Standing", "estimate", "export_table", "speed_table"]


@dataclass(frozen=True)
class Standing:
    """One candidate with all that was found of it."""

    candidate: Candidate
    alone: Alone
    points: tuple[Point, ...]

    @property
    def refused(self) -> str:
        """Why it was not measured to the end, or nothing."""
        return self.candidate.refused or self.alone.refused

    @property
    def entrant(self) -> Entrant:
        """What decides about it."""
        mine = self.candidate
        return Entrant(mine.name, mine.precision, mine.size, self.points)


@dataclass(frozen=True)
class Results:
    """All candidates of a model, and the choice among them."""

    model: str
    plan: Plan
    standings: tuple[Standing, ...]

    @property
    def choice(self) -> Choice:
        """The decision on those that were measured."""
        entrants = [each.entrant for each in self.standings if not each.refused]
        return choose(entrants, self.plan.bound_ms)

    @property
    def aim(self) -> str:
        """What was asked for, in words."""
        sizes = ", ".join(map(str, self.plan.batch_sizes))
        bound = self.plan.bound_ms
        return f"most rows/s at {sizes} row{'' if sizes == '1' else 's'} a request" + (
            "" if bound is None else f" with p99 within {bound:g} ms"
        )

    @property
    def refusals(self) -> Mapping[str, str]:
        """Reasons, by the names of those that were refused for them."""
        names: dict[str, list[str]] = {}
        for standing in self.standings:
            if standing.refused:
                names.setdefault(standing.refused, []).append(standing.candidate.name)
        return {", ".join(those): reason for reason, those in names.items()}

    @property
    def winner(self) -> Standing | None:
        """The candidate that won, if one keeps the bound."""
        chosen = self.choice.winner
        return next((s for s in self.standings if chosen and s.candidate.name == chosen.name), None)

    @property
    def verdict(self) -> str:
        """The choice in a sentence."""
        choice, bound = self.choice, self.plan.bound_ms
        if choice.winner is None or choice.at is None:
            if choice.nearest is None:
                return f"no export of {self.model} can be served"
            entrant, point = choice.nearest
            return (
                f"no export of {self.model} keeps p99 within {bound:g} ms; the nearest is "
                f"{entrant.name} at {rows_each(point.batch)}: {missed(point, bound)}"
            )
        words = f"{choice.winner.name} wins ({self.aim}): {number(choice.at.rate)} rows/s"
        words += f" at {rows_each(choice.at.batch)}"
        ratios = [f"{ratio} times {name}" for name, ratio in choice.ratios.items()]
        words += f"; its rows/s are {', '.join(ratios)}" if ratios else ""
        level = ", ".join(choice.level)
        return words + (f"; level with it, and less simple: {level}" if level else "")

    def beat(self) -> list[dict[str, Any]]:
        """Every other candidate for the winner's manifest, with its figures or why it lost."""
        choice, rows = self.choice, []
        for standing in self.standings:
            mine = standing.candidate
            if choice.winner and mine.name == choice.winner.name:
                continue
            row: dict[str, Any] = {"format": mine.format, "precision": mine.precision}
            if standing.refused:
                rows.append({**row, "refused": standing.refused})
                continue
            row |= {"agreement": mine.agreement, "size": mine.size}
            row["rows_per_s"] = {str(p.batch): p.rate for p in standing.points}
            row["p99_ms"] = {str(p.batch): p.nearest_ms for p in standing.points}
            if mine.name in choice.ratios:
                ratio = choice.ratios[mine.name]
                row["winners_rate_ratio"] = [ratio.value, ratio.low, ratio.high]
            rows.append(row)
        return rows


def export_table(results: Results) -> Table:
    """A line for each candidate: what it is, or that it was refused; within 80 columns."""
    table = Table(title=f"Exports of {escape(results.model)}", title_justify="left")
    table.add_column("export", no_wrap=True)
    for heading in ("agrees", "size MB", "RAM MB", "load s"):
        table.add_column(heading, justify="right")
    for standing in results.standings:
        mine, alone = standing.candidate, standing.alone
        if standing.refused:
            table.add_row(mine.name, "refused")
            continue
        table.add_row(
            _marked(results, mine.name),
            mine.agreement,
            f"{mine.size / 1e6:.2f}",
            number(median_estimate(alone.memory).value / 1e6),
            estimate(alone.load_s),
        )
    return table


def speed_table(results: Results) -> Table:
    """A line for each candidate and number of rows: rows/s and p99; within 80 columns."""
    bound = results.plan.bound_ms
    title = "In the server" if bound is None else f"In the server, p99 within {bound:g} ms"
    table = Table(title=title, title_justify="left")
    table.add_column("export", no_wrap=True)
    for heading in ("rows", "rows/s", "p99 ms"):
        table.add_column(heading, justify="right")
    for standing in results.standings:
        for point in standing.points:
            table.add_row(
                _marked(results, standing.candidate.name),
                str(point.batch),
                "misses" if missed(point, bound) else estimate(point.rates),
                estimate(point.p99_ms) or number(point.nearest_ms),
            )
    return table


def estimate(values: Sequence[float]) -> str:
    """The median with its 95 % interval; empty without values."""
    if not values:
        return ""
    found = median_estimate(values)
    return f"{number(found.value)} ({number(found.low)} to {number(found.high)})"


def _marked(results: Results, name: str) -> str:
    won = results.winner is not None and results.winner.candidate.name == name
    return f"[bold]{name}[/bold]" if won else name
