"""An interpreter that has imported torch, and whose forks each run the command once.

Each line on standard input is a JSON object with `arguments` and `environment`. It prints the
fork's process id, waits for another line, and prints how the fork ended: `exit 0`, `signal 9`.
The id stays the fork's own until that second line, whether or not the fork has ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.running import PROJECT


def serve() -> None:
    """Warm up what a fork needs, then fork for every request."""
    import torch

    import exporters.export_command  # noqa: F401 - so that no fork has to import it
    from exporters.formats.onnx import OnnxExporter
    from tests.models import linear
    from trimaran.cli.main import main

    torch.set_num_threads(1)  # threads do not survive a fork
    with tempfile.TemporaryDirectory() as directory, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in OnnxExporter().captures(linear(), Path(directory) / "model.onnx"):
            pass
    print("ready", flush=True)
    while line := sys.stdin.readline():
        request = json.loads(line)
        process = os.fork()
        if process == 0:
            run(main, request)
        print(process, flush=True)
        sys.stdin.readline()
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        print(f"signal {-status}" if status < 0 else f"exit {status}", flush=True)


def run(main, request: Mapping) -> None:
    """The command in a fork, which ends with it."""
    status: object = 99
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.environ.update(request["environment"])
        sys.argv = ["trimaran", *request["arguments"]]
        main()
        status = 0
    except SystemExit as exit:
        status = exit.code or 0
    finally:
        os._exit(status if isinstance(status, int) else 98)


class Forks:
    """The parent's side: start a fork, kill it or not, and learn how it ended."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def start(self, *arguments: str | Path, **environment: str) -> int:
        """Begin the command in a fork; its process id."""
        request = {"arguments": [str(a) for a in arguments], "environment": environment}
        return int(self._ask(json.dumps(request)))

    def end(self) -> str:
        """How the fork ended, once it has."""
        return self._ask("")

    def _ask(self, line: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@contextmanager
def forks() -> Iterator[Forks]:
    """An interpreter of that kind, ended after the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.exporters.forks"],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Forks(process)
        process.communicate(timeout=60)
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    serve()
