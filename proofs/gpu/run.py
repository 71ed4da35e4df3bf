"""The proof on the machine with the GPU: its steps in order, within one budget of time.

What the machine lacks comes from the packed folder, into an environment that sees the rest.
"""

from __future__ import annotations

import os
import sys
import time
import tomllib
import venv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from proofs.gpu.machine import CACHE, ON_MACHINE, WHEELS, facts
from proofs.gpu.results import Findings, Outcome, Served, Step, read
from trimaran.system.errors import TrimaranError
from trimaran.system.files import scratch_directory, write_text
from trimaran.system.processes import STDOUT, Child

__all__ = [
    "BUDGET_S",
    "Planned",
    "find",
    "latest",
    "make_environment",
    "plan",
    "require_wheels",
    "run_steps",
    "tests",
]

_PROJECT = Path(__file__).parents[2]

BUDGET_S = 480.0
_END_S = 10.0
"""What is kept of the budget for the end of a step that is stopped, and for the page."""

TESTS, FORMATS = "tests.jsonl", "formats.jsonl"
"""The files that the steps leave."""

_PACK = "python -m proofs.gpu pack FOLDER --python 3.12"

_SHOWN = 40
"""Of the output of a step that failed, in lines."""

_LACKING = """\
import re, sys
from importlib.metadata import distributions
found = {re.sub("[-_.]+", "-", item.name or "").lower() for item in distributions()}
lacking = [name for name in sys.argv[1:] if name not in found]
sys.exit("error: not here: " + ", ".join(lacking) if lacking else 0)
"""


@dataclass(frozen=True)
class Planned:
    """A step to run, for at most `longest_s`. If a needed one fails, no later step runs."""

    name: str
    command: Sequence[str]
    longest_s: float
    is_needed: bool = False


def find(wheels: Path, say: Callable[[str], None]) -> Findings:
    """Run all steps. Raises `TrimaranError` where this machine has no GPU, or no such folder."""
    deadline_s = time.monotonic() + BUDGET_S - _END_S
    machine = facts()
    require_wheels(wheels, f"cp{sys.version_info.major}{sys.version_info.minor}")
    with scratch_directory(_PROJECT / ".trimaran" / "gpu") as work:
        make_environment(work / "environment")
        environment = {**os.environ, "TRIMARAN_CACHE": str(work / "cache")}
        environment.pop("PYTHONPATH", None)  # the environment has its places, after its own
        steps = tuple(run_steps(plan(wheels, work), deadline_s, environment, work / "log", say))
        servers = sorted((work / "cache" / "unpacked").glob("nvidia_pytriton-*"))
        return Findings(
            {**machine, "nvidia-pytriton": "".join(item.name.split("-")[1] for item in servers)},
            time.strftime("%Y-%m-%d"),
            steps,
            latest(Outcome(**line) for line in read(work / TESTS)),
            tuple(Served(**line) for line in read(work / FORMATS)),
        )


def require_wheels(folder: Path, interpreter: str) -> None:
    """Raise `TrimaranError` where a folder was not packed, or for another Python than `cp312`."""
    names = {path.name for path in folder.glob("*")}
    if CACHE not in names:
        raise TrimaranError(f"{folder} has no {CACHE}; pack it elsewhere: {_PACK}")
    compiled = [name for name in names if name.startswith("greenlet-")]
    if not any(f"-{interpreter}-" in name for name in compiled):
        raise TrimaranError(f"{folder} was packed for another Python than this one; {_PACK}")


def make_environment(folder: Path) -> None:
    """A virtual environment that sees what this interpreter sees, and the project.

    Its metadata stand there as an editable installation would have them, for manifests.
    """
    venv.EnvBuilder(symlinks=True).create(folder)
    places = [place for place in sys.path if place.endswith(("site-packages", "dist-packages"))]
    lines = [f"import site; site.addsitedir({place!r})" for place in places]
    (own,) = folder.glob("lib/python*/site-packages")
    write_text(own / "machine.pth", "\n".join([*lines, str(_PROJECT), ""]))
    project = tomllib.loads((_PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name, version = project["name"], project["version"]
    metadata = own / f"{name}-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    write_text(metadata, f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def plan(wheels: Path, work: Path) -> list[Planned]:
    """The steps; the needed ones come first."""
    python = str(work / "environment" / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index"]
    packed = map(str, sorted(wheels.glob("*.whl")))
    pytest = [python, "-m", "pytest", "-m", "gpu", "-q", "-p", "proofs.gpu.outcomes"]
    marked = [str(file.relative_to(_PROJECT)) for file in tests()]
    unpack = [python, "-m", "tarfile", "--filter", "data", "--extract", str(wheels / CACHE)]
    return [
        Planned("wheels", [*pip, "--no-deps", "--no-compile", *packed], 60, True),
        Planned("packages", [python, "-c", _LACKING, *ON_MACHINE, *WHEELS], 30, True),
        Planned("cache", [*unpack, str(work / "cache")], 60, True),
        Planned("tests", [*pytest, "--outcomes", str(work / TESTS), *marked], 240),
        Planned(
            "formats",
            [python, "-m", "proofs.gpu.formats", str(work / FORMATS), str(work / "models")],
            240,
        ),
    ]


def tests() -> list[Path]:
    """The files with tests for a GPU; others import packages that its machine may lack."""
    files = sorted((_PROJECT / "tests").rglob("test_*.py"))
    return [file for file in files if "mark.gpu" in file.read_text(encoding="utf-8")]


def run_steps(
    planned: Sequence[Planned],
    deadline_s: float,
    environment: Mapping[str, str],
    log: Path,
    say: Callable[[str], None],
) -> Iterator[Step]:
    """Run each in turn until `deadline_s` by the monotonic clock; one that is due then is ended."""
    failed = ""
    for item in planned:
        left_s = min(item.longest_s, deadline_s - time.monotonic())
        if failed or left_s <= 0:
            why = f"{failed} failed" if failed else f"the {BUDGET_S:.0f} s were spent"
            yield Step(item.name, 0.0, f"was not begun: {why}")
            continue
        say(f"{item.name}, at most {left_s:.0f} s")
        began_s = time.monotonic()
        problem = _run(item.command, left_s, environment, log)
        if problem:
            say("\n".join([*_lines(log)[-_SHOWN:], problem]))
            failed = item.name if item.is_needed else ""
        yield Step(item.name, round(time.monotonic() - began_s, 1), problem)


def _run(
    command: Sequence[str], longest_s: float, environment: Mapping[str, str], log: Path
) -> str:
    """What was wrong with a command, or nothing."""
    with (
        log.open("wb") as output,
        Child(
            command, directory=_PROJECT, environment=environment, stdout=output, stderr=STDOUT
        ) as child,
    ):
        if not child.wait(longest_s):
            child.end(_END_S / 2)
            return f"was ended after {longest_s:.0f} s"
        if child.status == 0:
            return ""
    said = [line for line in _lines(log) if line.strip()]
    return f"ended with status {child.status}: {said[-1].strip() if said else 'it said nothing'}"


def latest(found: Iterable[Outcome]) -> tuple[Outcome, ...]:
    """The last outcome of each test, in the order in which they were chosen."""
    return tuple({one.test: one for one in found}.values())


def _lines(file: Path) -> tuple[str, ...]:
    if not file.is_file():
        return ()
    return tuple(file.read_text(encoding="utf-8", errors="replace").splitlines())
