"""The README's two commands on a bare Debian, as an ordinary user, from nothing.

    sudo make fresh                                          with Debian's own Python 3.11
    sudo make fresh FRESH="--python /path/to/python3.12"     with one that Debian does not have

builds a root file system with Debian's packages (kept in the cache), copies a clean clone in, and
runs what a reader would: no root, no `/sbin` on PATH, no compiler, no `libpython`, 64 MB of shared
memory, a folder with a space in its name, and a first try that is interrupted. Then it breaks the
machine in ways in which readers' machines are broken, one at a time, and checks that each ends with
the right sentence. With `--python`, after the first command, it proves only what depends on the
interpreter. The exit status is 0 where all held, 1 where something did not, and 3 where
nothing could be proved here.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from proofs.bare_machine import CLONE, HOME, Ended, Machine, bare_machine, require_possible
from proofs.pages import AT_LEISURE, TASKS
from trimaran.system.downloads import cache_directory
from trimaran.system.errors import TrimaranError
from trimaran.system.files import exclusive_lock

MONITORING = "tests/monitoring/test_rules.py"
COMPILING = "tests/exporters/formats/test_aoti.py"
STUBS = "tests/trimaran/serving/test_runtime.py tests/trimaran/serving/test_stubs.py"
SLICE = (
    f"{STUBS} tests/trimaran/serving/test_small_room.py "
    f"{MONITORING} tests/monitoring/test_dashboard.py "
    "tests/loadtests/test_perf.py "
    f"tests/trimaran/system/test_compiler.py {COMPILING} "
    "tests/trimaran/serving/native/test_building.py "
    "tests/trimaran/serving/test_served_formats.py"
)

_DEBIAN = HOME / ".cache/trimaran/debian"

_STATUS_NOT_PROVED = 3
_INTERRUPT_WITHIN_S = 900.0


Act = Callable[[Machine], Ended]


@dataclass(frozen=True)
class Trial:
    """One thing to prove: what to do, and what its output and status must be."""

    name: str
    act: Act
    says: str
    """A regular expression that the output must hold."""
    status: int | None = 2
    """What it must end with: by default as `make` does with an error of what it runs."""
    longest_s: float = 15.0


def main() -> int:
    """Run all trials, and print what did not hold, or why nothing could be proved."""
    parser = argparse.ArgumentParser(prog="python -m proofs.fresh", description=__doc__)
    parser.add_argument(
        "--python", type=Path, help="an interpreter that is not one of Debian's packages"
    )
    parser.add_argument("--only", help="only the demo and the trials whose name contains this text")
    options = parser.parse_args()
    # A shell that starts this in the background has it, and what it starts, ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        require_possible(options.python)
        home = cache_directory() / "fresh"
        with exclusive_lock(home / ".lock"), bare_machine(home, options.python) as machine:
            return _prove(machine, _trials(options.python, options.only or ""), home / "logs")
    except TrimaranError as error:
        print(f"\nNOT PROVED: {error}", file=sys.stderr)
        return _STATUS_NOT_PROVED
    except KeyboardInterrupt:
        print("\nNOT PROVED: interrupted", file=sys.stderr)
        return _STATUS_NOT_PROVED


def _trials(python: Path | None, only: str) -> list[Trial]:
    """The trials in order: refusals before the installation, the installation, and after it.

    With another interpreter than Debian's, those after it that depend on the interpreter.
    """
    words = [f"PYTHON={python}"] if python else []
    demo = Trial("make demo", _make("demo", *words), "Egyptian cat", status=0, longest_s=1800.0)
    closed = _with_closed_stub(demo.act)
    after = [Trial("a stub that Triton closed", closed, "Egyptian cat", 0, 60.0)]
    # The tests come after the README, whose commands install what they need.
    tests = _make("test", f"TESTS={STUBS if python else SLICE}", *words)
    slice_of_tests = Trial("a slice of make test", tests, r"\d+ passed", 0, 1800.0)
    if python is None:
        before = [*_refusals(words), *_interruptions(demo.act)]
        after += [*_with_debians_python(demo.act), slice_of_tests, *_without_apt_at_all()]
    else:
        before = _refusals(words)
        other = _make("demo", "PYTHON=/usr/bin/python3")
        after += [Trial("another interpreter", other, "but .venv was made with"), slice_of_tests]
    return [*before, demo, *(trial for trial in after if only in trial.name)]


def _refusals(words: Sequence[str]) -> list[Trial]:
    demo = _make("demo", *words)
    return [
        Trial("no such interpreter", _make("demo", "PYTHON=python3.99"), "there is no python3.99"),
        Trial("another processor", _on_i686(demo), "x86-64 Linux, and this is linux on i686"),
        Trial("a home that cannot be written", _make("demo", *words, HOME="/"), "TRIMARAN_CACHE"),
        Trial("another user's cache", _with_roots_cache(demo), "trimaran belongs to root"),
        Trial("a small disk", _make("demo", *words, TMPDIR="/dev/shm"), "MB free and 500 MB"),  # noqa: S108
        Trial("no network", _make("demo", *words, offline=True), "check the network"),
    ]


def _interruptions(demo: Act) -> list[Trial]:
    no_venv = _without(Path("/usr/lib/python3.11/ensurepip"), demo)
    goes_on = "the same command continues"
    return [
        Trial("no python3-venv", no_venv, "apt-get install python3.11-venv"),
        Trial("a first try, interrupted", _interrupted(()), goes_on, None, 1000.0),
    ]


def _with_debians_python(demo: Act) -> list[Trial]:
    trimaran = f"{CLONE}/.venv/bin/trimaran"
    locale = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    small = _run(trimaran, "serve", shared_memory_mb=2, offline=True)
    library = _DEBIAN / "debian-12/libpython3.11"
    no_library = _without(library, _run(trimaran, "serve", offline=True))
    pages = [page for page in TASKS if page not in AT_LEISURE]
    readme = _run(f"{CLONE}/.venv/bin/python", "-m", "proofs.readme", *pages)
    return [
        Trial("make demo, again", demo, "Egyptian cat", 0, 60.0),
        Trial("a locale without UTF-8", _make("demo", **locale), "Egyptian cat", 0, 60.0),
        Trial("almost no shared memory", small, "--shm-size", 1),
        Trial("no libpython", no_library, r"needs libpython3\.11\.so\.1\.0", 1),
        Trial(
            "every command of the README and of task pages that are followed in one go",
            readme,
            r"\b0 failed",
            0,
            3600.0,
        ),
    ]


def _without_apt_at_all() -> list[Trial]:
    listed = (
        r"(?s)promtool: .*chromium: .*perf_analyzer: .*g\+\+: 'g\+\+' cannot be run here.*"
        r"apt-get install prometheus .*g\+\+"
    )
    some = _make("test", f"TESTS={MONITORING} {COMPILING}", "SKIP_MISSING=1")
    left_out = r"(?s)(?=.*needs promtool, which)(?=.*needs g\+\+, which is not here).*\d passed"
    return [
        Trial("a distribution without apt", _without_apt(_make("test")), listed, 2, 120.0),
        Trial("the tests that can run there", _without_apt(some), left_out, 0, 120.0),
    ]


def _run(*command: str, **more: Any) -> Act:
    return lambda machine: machine.run(*command, **more)


def _make(*words: str, **more: Any) -> Act:
    return _run("make", *words, **more)


def _on_i686(act: Act) -> Act:
    def changed(machine: Machine) -> Ended:
        return act(replace(machine, before=("linux32",)))

    return changed


def _without(path: Path, act: Act) -> Act:
    """The same while a path of the machine is moved away."""

    def changed(machine: Machine) -> Ended:
        here = machine.path(path)
        (found,) = here.parent.glob(here.name)
        aside = found.rename(f"{found}.away")
        try:
            return act(machine)
        finally:
            aside.rename(found)

    return changed


def _without_apt(act: Act) -> Act:
    return _without(_DEBIAN, _without(Path("/usr/bin/apt-get"), act))


def _with_roots_cache(act: Act) -> Act:
    def changed(machine: Machine) -> Ended:
        cache = machine.path(HOME / ".cache" / "trimaran")
        cache.mkdir()
        try:
            return act(machine)
        finally:
            cache.rmdir()

    return changed


def _with_closed_stub(act: Act) -> Act:
    """The state in which Triton leaves a stub that did not start, of any version."""

    def changed(machine: Machine) -> Ended:
        found = list(machine.path(HOME / ".cache/trimaran").rglob("triton_python_backend_stub"))
        for stub in found:
            stub.chmod(0o100)
        if not found:
            raise TrimaranError("no stub is in the cache; its place has changed")
        return act(machine)

    return changed


def _interrupted(words: Sequence[str]) -> Act:
    """`make demo`, and Ctrl-C once pip has begun to fill the environment."""

    def act(machine: Machine) -> Ended:
        started = machine.start("make", "demo", *words)
        site = machine.path(CLONE / ".venv" / "lib")
        deadline = time.monotonic() + _INTERRUPT_WITHIN_S
        while not list(site.glob("python3*/site-packages/numpy")):
            if time.monotonic() > deadline or started.process.poll() is not None:
                break
            time.sleep(0.05)
        if started.process.poll() is None:
            os.killpg(started.process.pid, signal.SIGINT)
        return started.end(60.0)

    return act


def _prove(machine: Machine, trials: Sequence[Trial], logs: Path) -> int:
    """Carry out each trial, print a line for each, and the output of those that did not hold."""
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    failed = 0
    for number, trial in enumerate(trials, start=1):
        ended = trial.act(machine)
        log = logs / f"{number:02}.log"
        log.write_text(ended.output, encoding="utf-8")
        problem = _problem(trial, ended)
        print(f"{'FAILED' if problem else 'held':7} {ended.seconds:7.1f} s  {trial.name}")
        if problem:
            failed += 1
            print(f"        {problem}; the last lines of {log}:")
            print("".join(f"        {line}\n" for line in ended.output.splitlines()[-30:]))
        sys.stdout.flush()
    print(f"\n{len(trials) - failed} passed, {failed} failed")
    return 1 if failed else 0


def _problem(trial: Trial, ended: Ended) -> str:
    """Why a trial did not hold, or an empty string."""
    if "Traceback (most recent call last)" in ended.output:
        return "it printed a traceback"
    if trial.status is not None and ended.status != trial.status:
        return f"it ended with status {ended.status} and not {trial.status}"
    if not re.search(trial.says, ended.output):
        return f"it did not say {trial.says!r}"
    if ended.seconds > trial.longest_s:
        return f"it took longer than {trial.longest_s:.0f} s"
    return ""


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
