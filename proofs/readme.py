"""Runs every command of the README and the task pages as printed, in order, in a clone's folder.

    .venv/bin/python -m proofs.readme                   README.md, then docs/get-started.md, ...
    .venv/bin/python -m proofs.readme docs/export.md    these pages only

The files that the pages take for the reader's own (photographs, a table) are made first. A command
that runs until Ctrl-C keeps running in the background. It is ended by Ctrl-C when another takes its
place, and at the end. The clone's repository changes as a reader's would. The exit status is 1 if a
command ended with another status than expected, or printed a traceback.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path

from proofs.page_files import make_files
from proofs.pages import TASKS, Block, blocks, commands

PYTHON = ".venv/bin/python"
_PATIENCE_S = 900.0
_READY_S = 180.0
_END_S = 60.0

LEFT_OUT: Mapping[str, str] = {
    r"^make test": "proofs.fresh runs tests itself",
    r"^make bench$": "it installs five other servers, and measures for long",
    r"--seeds 5\b": "it trains five times",
    r"train photos --seed\b": "it trains as the command before it",
    r"train food_reviews$": "it fine-tunes an encoder for half an hour",
    r"--epochs 0$": "it embeds five thousand reviews",
    r"train \S*(\.parquet|\.xlsx|\.sqlite|\.duckdb|://)": "it needs the reader's own",
    r"^TRIMARAN_IMAGES=/path/to/": "it needs a hundred images of the reader's own",
    r"^tritonserver ": "it runs in NVIDIA's container",
}
"""Commands that are not run, and why."""

UNTIL_CTRL_C: Mapping[str, str] = {
    r"^(make serve|\S*trimaran serve)\b": "Press Ctrl-C to stop",
    r"^\S*trimaran monitor up\b": "Prometheus is at",
    r"^\S*trimaran gateway up\b": "Press Ctrl-C to stop",
    r"^\S*python clients\.py\b": "asking",
}
"""Commands that run until Ctrl-C, and what each prints once it is ready."""

FOR_A_WHILE: Mapping[str, float] = {
    r"^\S*trimaran monitor watch\b": 8.0,
    r"^\S*trimaran tune\b": 60.0,
    r"^\S*trimaran optimize\b": 45.0,
}
"""Commands that a reader would end by Ctrl-C, and after how many seconds."""

ALONE = r"^\S*trimaran (tune|optimize)\b"
"""Commands for which the server must be stopped."""


@dataclass(frozen=True)
class Expected:
    """How a command ends and what it prints, where that is not only status 0."""

    statuses: tuple[int, ...]
    says: str


EXPECTED: Mapping[str, Expected] = {
    r"^\(": Expected((0,), ""),  # it goes on in the background
    r"^.*\bcurl -s --json\b": Expected((0,), '"model_name"'),
    r"^\S*trimaran monitor watch\b": Expected((0, 130), "churn_record"),
    # A fast machine may be done before they are ended.
    r"^\S*trimaran tune\b": Expected((0, 2), "trial 0: "),
    r"^\S*trimaran optimize\b": Expected((0, 2), "exporting"),
    # Whether this machine is quiet and keeps an SLO is not what is proved.
    r"^\S*trimaran bench\b": Expected((0, 1, 2), "requests/s"),
    r"^\S*trimaran (locust|perf)\b": Expected((0, 1, 2), "p99"),
    r"^\S*python -m proofs\.limit\b": Expected((0, 1, 2), "limit"),
    r"^\S*trimaran monitor report\b": Expected((0, 1), "churn_record"),
    r"^\S*trimaran monitor drift\b": Expected((0, 1), "churn_record"),
    r"^\S*trimaran (ab|experiment report) leavers_record\b": Expected((1,), "proven to be worse"),
    r"^\S*trimaran (shadow|experiment report) churn\b": Expected((1,), "proven to break"),
    r"^\S*trimaran monitor accuracy\b": Expected((0,), "1 outcome"),
    # The page on tables trained on a table with this customer, which is then named.
    r"^\S*trimaran privacy erase\b": Expected((0, 1), "predictions/churn_record"),
}


@dataclass
class Running:
    """A command in its own shell, and what it has printed."""

    command: str
    process: subprocess.Popen[str]
    output: io.StringIO = field(default_factory=io.StringIO)

    def __post_init__(self) -> None:
        self.reader = threading.Thread(target=self._read, daemon=True)

    @classmethod
    def start(cls, command: str) -> Running:
        """Start a command as it runs when pasted into a shell."""
        process = subprocess.Popen(
            ["bash", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        running = cls(command, process)
        running.reader.start()
        return running

    def wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until a condition holds; whether it did before the time was over."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def ended(self) -> bool:
        """Whether the command has ended."""
        return self.process.poll() is not None

    def says(self, text: str) -> bool:
        """Whether it has printed a text."""
        return text in self.output.getvalue()

    def interrupt(self) -> None:
        """Do what Ctrl-C does in a terminal."""
        if not self.ended():
            os.killpg(self.process.pid, signal.SIGINT)
        if not self.wait(self.ended, _END_S):
            os.killpg(self.process.pid, signal.SIGKILL)
            self.output.write("\nit did not end after Ctrl-C\n")

    def problem(self, expected: Expected) -> str:
        """Why it did not end as expected, or an empty string."""
        self.process.wait(_END_S)
        self.reader.join(_END_S)
        if self.says("Traceback (most recent call last)"):
            return "it printed a traceback"
        if self.process.returncode not in expected.statuses:
            return f"it ended with status {self.process.returncode}"
        if not self.says(expected.says):
            return f"it did not say {expected.says!r}"
        return ""

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.output.write(line)


class Walk:
    """A reader's way through the pages.

    After a line that ends with `cd FOLDER`, the commands of the page are run in that folder, except
    those that begin with `.venv/` or a bracket.
    """

    def __init__(self) -> None:
        self.home = self.folder = Path.cwd()
        self.background: dict[str, Running] = {}
        self.failures = 0
        self.count = 0

    def follow(self, page: Path) -> None:
        """Every block of a page, in order.

        A block whose first line is `# FILE` is written to that file; any other Python is run.
        """
        self.folder = self.home
        for block in blocks(page):
            where = f"{page}:{block.line}"
            name = re.match(r"# (\S+\.\w+)$", "".join(block.lines[:1]))
            if name:
                self._write(Path(name[1]), block, where)
            elif block.language == "python":
                Path("pasted.py").write_text("\n".join(block.lines), encoding="utf-8")
                self._run(f"{PYTHON} pasted.py", where)
            for number, command in commands(block):
                self._shell(command, f"{page}:{number}")

    def end(self) -> None:
        """End every command that still runs, the last first."""
        for kind in reversed(list(self.background)):
            self._stop(kind)

    def _write(self, path: Path, block: Block, where: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(block.lines) + "\n", encoding="utf-8")
        self._print("written", 0.0, f"{where} {path}")

    def _shell(self, command: str, where: str) -> None:
        if changed := re.search(r"&& cd (\w+)$", command):
            self.folder = self.home / changed[1]
        at_home = command.startswith((".venv/", "("))
        with chdir(self.home if at_home else self.folder):
            self._shell_here(command, where)

    def _shell_here(self, command: str, where: str) -> None:
        why = next((why for kind, why in LEFT_OUT.items() if re.search(kind, command)), None)
        kind = next((kind for kind in UNTIL_CTRL_C if re.match(kind, command)), None)
        if why is not None:
            self._print("left out", 0.0, f"{where} {command}: {why}")
        elif kind is None:
            if re.match(ALONE, command):
                self._stop(next(iter(UNTIL_CTRL_C)))
            self._run(command, where)
        else:
            self._stop(kind)
            self._start(kind, command, where)

    def _run(self, command: str, where: str) -> None:
        began = time.monotonic()
        running = Running.start(command)
        while_s = next((s for kind, s in FOR_A_WHILE.items() if re.match(kind, command)), None)
        try:
            if not running.wait(running.ended, while_s or _PATIENCE_S):
                running.interrupt()
        except KeyboardInterrupt:
            running.interrupt()
            raise
        found = (each for kind, each in EXPECTED.items() if re.match(kind, command))
        problem = running.problem(next(found, Expected((0,), "")))
        self._report(running, problem, time.monotonic() - began, where)

    def _start(self, kind: str, command: str, where: str) -> None:
        began = time.monotonic()
        running = Running.start(command)
        ready = UNTIL_CTRL_C[kind]
        running.wait(lambda: running.ended() or running.says(ready), _READY_S)
        problem = "" if running.says(ready) else f"it did not say {ready!r}"
        if problem:
            running.interrupt()
        else:
            self.background[kind] = running
        self._report(running, problem, time.monotonic() - began, where)

    def _stop(self, kind: str) -> None:
        running = self.background.pop(kind, None)
        if running is not None:
            began = time.monotonic()
            running.interrupt()
            # Make ends with 2, or by the signal itself, where what it runs was interrupted.
            problem = running.problem(Expected((0, 2, 130, -signal.SIGINT), "stopped"))
            self._report(running, problem, time.monotonic() - began, "Ctrl-C to")

    def _report(self, running: Running, problem: str, took_s: float, where: str) -> None:
        self.count += 1
        self._print("FAILED" if problem else "ran", took_s, f"{where} {running.command}")
        if problem:
            self.failures += 1
            print(f"        {problem}; its last lines:")
            for line in running.output.getvalue().splitlines()[-25:]:
                print(f"        {line}")

    @staticmethod
    def _print(what: str, took_s: float, text: str) -> None:
        shown = text if len(text) < 150 else f"{text[:147]}..."
        print(f"{what:8} {took_s:7.1f} s  {shown}", flush=True)


def main() -> int:
    """Follow the pages; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m proofs.readme", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("pages", nargs="*", type=Path, help="pages to follow; default: all")
    pages = parser.parse_args().pages or [Path(name) for name in TASKS]
    # A shell that starts this in the background has it, and what it starts, ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    make_files()
    walk = Walk()
    try:
        for page in pages:
            walk.follow(page)
    finally:
        walk.end()
    print(f"\n{walk.count - walk.failures} passed, {walk.failures} failed")
    return 1 if walk.failures else 0


if __name__ == "__main__":
    sys.exit(main())
