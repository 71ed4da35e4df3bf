"""The command `trimaran`, called in this process."""

from __future__ import annotations

import io
import signal
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from tests.running import PROJECT
from trimaran.cli.main import main


@dataclass(frozen=True)
class Outcome:
    """What the command's process would have shown."""

    status: int
    stdout: str
    stderr: str

    @property
    def error(self) -> str:
        """The one sentence after `error:`; fails where there is a traceback, or another count."""
        assert "Traceback" not in self.stderr, self.stderr
        errors = [line for line in self.stderr.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1, self.stderr
        return errors[0].removeprefix("error: ")


def call_trimaran(*arguments: str | Path, cwd: Path = PROJECT, stdin: str = "") -> Outcome:
    """`trimaran` with `arguments` in `cwd`, and this process put back as it was afterwards."""
    before = sys.argv, sys.stdin, list(sys.path)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    out, err = io.StringIO(), io.StringIO()
    status: object = 0
    sys.argv, sys.stdin = ["trimaran", *map(str, arguments)], io.StringIO(stdin)
    try:
        with chdir(cwd), redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as exit:
        status = exit.code or 0
    finally:
        sys.argv, sys.stdin, sys.path[:] = before
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert isinstance(status, int)
    return Outcome(status, out.getvalue(), err.getvalue())
