"""The page `docs/gpu.md`, from what a run found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from proofs.gpu.results import Findings, Outcome, Served, Step

__all__ = ["HEAD", "holds", "page"]

HEAD = """\
# What was tried on a GPU

`make gpu-proof` runs on a machine with an NVIDIA GPU, torch for CUDA and Python 3.12, takes at \
most eight minutes, and needs no network. What such a machine may lack lies in one folder of at \
most 59 MB, which is packed elsewhere: wheels, and the part of trimaran's cache that the proof \
reads.

```sh
.venv/bin/python -m proofs.gpu pack gpu-wheels --python 3.12
make gpu-proof PYTHON=python3.12 WHEELS=gpu-wheels
```

It runs the tests marked `gpu`, exports EfficientNet-Lite0 in every format that the machine can \
make, and measures each with `trimaran bench`. It writes this page.
"""

_TF32 = """\
On a GPU, torch computes convolutions in TF32, with about three decimal digits; so does Triton's \
own backend. The parity gate runs without TF32. `NVIDIA_TF32_OVERRIDE=0` in the server's \
environment turns it off there, too.
"""

_OUTCOMES = {"passed": "held", "failed": "**failed**", "skipped": "skipped", "": "**no outcome**"}
_LOAD = "trimaran bench MODEL --closed --connections 8 --duration 5s"


def holds(found: Findings) -> bool:
    """Whether every step held and every test was passed or skipped, at least one passed."""
    outcomes = {test.outcome for test in found.tests}
    return not any(step.problem for step in found.steps) and "passed" in outcomes <= {
        "passed",
        "skipped",
    }


def page(found: Findings) -> str:
    """The page."""
    machine = ", ".join(f"{name} {value}" for name, value in found.machine.items())
    parts = [
        HEAD,
        f"The last run was on {found.day}: {machine}.\n",
        "## Steps\n",
        _table("step | s | outcome", map(_step, found.steps)),
        "## Tests\n",
        _counted(found.tests),
        _table("test | outcome | why", map(_test, found.tests)),
        "## EfficientNet-Lite0\n",
        f"`{_LOAD}`, each in a server of its own; requests are one photograph's tensor. A server "
        "that takes none of the GPU's memory computes on the CPU.\n",
        _table("format | requests/s | p50 ms | p99 ms | GPU MB", map(_format, found.formats)),
    ]
    return "\n".join([*parts, _TF32])


def _step(step: Step) -> Sequence[str]:
    return step.name, f"{step.seconds:.0f}", _bold(step.problem) or "held"


def _test(test: Outcome) -> Sequence[str]:
    return f"`{test.test}`", _OUTCOMES[test.outcome], test.reason


def _format(format: Served) -> Sequence[str]:
    if format.refused:
        return format.format, f"refused: {format.refused}", "", "", ""
    times = f"{format.p50_ms:.1f}", f"{format.p99_ms:.1f}"
    return format.format, f"{format.rate:.0f}", *times, f"{format.gpu_mb:.0f}"


def _counted(tests: Sequence[Outcome]) -> str:
    counts = Counter(_OUTCOMES[test.outcome].strip("*") for test in tests)
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) + ".\n"


def _bold(text: str) -> str:
    return f"**{text}**" if text else ""


def _table(headings: str, rows: Iterable[Sequence[str]]) -> str:
    """A table, or the sentence that there is nothing to show."""
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    if not cells:
        return "Nothing: the step that leaves this did not come so far.\n"
    line = "|" + " --- |" * (headings.count("|") + 1)
    return "\n".join([f"| {headings} |", line, *(f"| {' | '.join(row)} |" for row in cells), ""])
