"""The report: which artifacts were made wrong, which matter, and which the gate passed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from exporters.tolerance import DEFAULT_TOLERANCES
from proofs.gate.fresh import BOUND
from proofs.gate.kinds import KINDS
from proofs.gate.trial import Outcome

__all__ = ["Tally", "page"]

_HEAD = (
    "| artifacts | that matter | of these refused | **missed** | off by less | of these refused |"
)


@dataclass(frozen=True)
class Tally:
    """The outcomes of a run."""

    outcomes: Sequence[Outcome]

    @property
    def unchanged(self) -> list[Outcome]:
        """Artifacts as they were exported."""
        return [o for o in self.outcomes if o.unchanged]

    @property
    def mutants(self) -> list[Outcome]:
        """Artifacts that were made wrong."""
        return [o for o in self.outcomes if not o.unchanged]

    @property
    def refused_wrongly(self) -> list[Outcome]:
        """Artifacts that the gate refuses as they were exported."""
        return [o for o in self.unchanged if o.problem]

    @property
    def matters(self) -> list[Outcome]:
        """Mutants that are off by more than is promised."""
        return [o for o in self.mutants if o.matters]

    @property
    def missed(self) -> list[Outcome]:
        """Those of them that the gate passes."""
        return [o for o in self.mutants if o.missed]

    @property
    def near(self) -> list[Outcome]:
        """Mutants beyond the gate's own tolerance on fresh inputs, and not beyond the promise."""
        return [o for o in self.mutants if 1 < o.fresh <= BOUND]

    @property
    def near_passed(self) -> list[Outcome]:
        """Those of them that the gate passes."""
        return [o for o in self.near if not o.problem]

    def row(self, name: str) -> str:
        """One line of a table."""
        matter, missed = len(self.matters), len(self.missed)
        near, passed = len(self.near), len(self.near_passed)
        cells = [len(self.mutants), matter, matter - missed, missed, near, near - passed]
        return f"| {name} | " + " | ".join(map(str, cells)) + " |"


def page(outcomes: Iterable[Outcome], command: str) -> str:
    """The report in Markdown."""
    tally = Tally(list(outcomes))
    rtol, share = DEFAULT_TOLERANCES["FP32"]
    subjects = list(dict.fromkeys(o.subject for o in tally.outcomes))
    kinds = [kind for kind in KINDS if any(o.kind == kind for o in tally.mutants)]
    worst = max((o.fresh for o in tally.unchanged), default=0.0)
    return "\n".join(
        [
            "# The parity gate, tested with wrong artifacts",
            "",
            f"{len(subjects)} small modules with random weights are exported to ONNX and "
            "TorchScript. Each artifact is then changed in one place, as a faulty exporter or a "
            "mistake would change it, and given to the gate that `trimaran export` runs before "
            "it publishes ([`architecture.md`](architecture.md)), for up to {MAX_BATCH_SIZE} rows. "
            "The artifact is also compared with eager PyTorch on inputs that the gate never "
            "sees: each module has its own code to draw them, in batches of every size and at "
            "every length, and row by row.",
            "",
            "```",
            command,
            "```",
            "",
            f"The gate's own tolerance for FP32 is {rtol:g} of an element and {share:g} of the "
            "root mean square of its output. An artifact **matters** if any element of any output "
            f"is off by more than {BOUND:g} times that on fresh inputs, or has another shape, "
            f"or is not finite, or is missing because the runtime fails. An artifact that "
            f"cannot be loaded, or does not answer the example in its shape, is not counted. "
            f"*Off by "
            f"less* is between once and {BOUND:g} times the tolerance.",
            "",
            f"- {len(tally.matters)} of {len(tally.mutants)} changed artifacts matter; the gate "
            f"refuses {len(tally.matters) - len(tally.missed)} of them and misses "
            f"**{len(tally.missed)}**.",
            f"- Of {len(tally.unchanged)} unchanged artifacts, of several seeds of weights each, "
            f"it refuses **{len(tally.refused_wrongly)}**; on fresh inputs they are off by at most "
            f"{worst:.2g} times the tolerance.",
            "",
            *_table("change", kinds, tally, lambda o: o.kind),
            *_table("module", subjects, tally, lambda o: o.subject),
            *_listed(
                "Missed",
                "Errors are multiples of the gate's tolerance.",
                tally.missed,
            ),
            *_listed(
                f"Passed, and off by less than {BOUND:g} times the tolerance",
                "On inputs other than the gate's, these exceed its own tolerance, but not the "
                "bound.",
                tally.near_passed,
            ),
            *_refused(tally.refused_wrongly),
        ]
    )


def _table(
    head: str, names: Sequence[str], tally: Tally, key: Callable[[Outcome], str]
) -> list[str]:
    rows = [Tally([o for o in tally.mutants if key(o) == name]).row(name) for name in names]
    return [
        f"| {head} {_HEAD}",
        "|---|---:|---:|---:|---:|---:|---:|",
        *rows,
        tally.row("**all**"),
        "",
    ]


def _listed(heading: str, words: str, outcomes: Sequence[Outcome]) -> list[str]:
    if not outcomes:
        return [f"## {heading}", "", "None.", ""]
    return [
        f"## {heading}",
        "",
        words,
        "",
        "| module, format | change | what | on fresh inputs | on the gate's |",
        "|---|---|---|---:|---:|",
        *(
            f"| {o.subject}, {o.format} | {o.kind} | {o.what} | {_times(o.fresh)} "
            f"| {_times(o.seen)} |"
            for o in outcomes
        ),
        "",
    ]


def _refused(outcomes: Sequence[Outcome]) -> list[str]:
    if not outcomes:
        return []
    lines = [f"- {o.subject}, {o.format}, {o.what}: {o.problem}" for o in outcomes]
    return ["## Unchanged and refused", "", *lines, ""]


def _times(excess: float) -> str:
    return "no answer of its shape" if math.isinf(excess) else f"{excess:.3g}"
