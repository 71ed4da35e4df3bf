"""`python -m proofs.peers.keeper COMMAND…`: run a command, and end all that it starts.

Whatever a framework starts, also in another session or as a daemon, stays below this process,
because the kernel makes it the parent of every orphan among its descendants. So its process id
stands for the peer: CPU seconds are summed below it, and nothing outlives it. SIGTERM ends the
command, and then everything that is left; so does the end of the process that started this one.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from trimaran.system.processes import children, end_with_parent

__all__ = ["keep"]

_PR_SET_CHILD_SUBREAPER = 36
_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
_STOP_S = 8.0
"""How long the command may take to end by itself."""
_LEFT_S = 2.0
"""How long the rest may take after that; then it is killed."""
_POLL_S = 0.05


def keep(command: Sequence[str]) -> int:
    """Run `command` until it ends or this process gets a signal; its exit status."""
    parent = os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    end_with_parent()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    process = subprocess.Popen(
        command, preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, before)
    )
    try:
        while process.poll() is None and os.getppid() == parent:
            if signal.sigwait(_SIGNALS) != signal.SIGCHLD:
                break
            _reap(process)
    finally:
        _end_all(process)
    return process.returncode


def _end_all(process: subprocess.Popen[bytes]) -> None:
    """End the command, then each process that it left, by its id."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_S)
    _signal(_descendants() - {process.pid}, signal.SIGTERM)
    deadline = time.monotonic() + _LEFT_S
    while _descendants() and time.monotonic() < deadline:
        _reap(process)
        time.sleep(_POLL_S)
    while left := _descendants():
        _signal(left, signal.SIGKILL)
        process.poll()
        _reap(process)
        time.sleep(_POLL_S)
    process.wait()


def _descendants() -> set[int]:
    found: set[int] = set()
    wanted = [os.getpid()]
    while wanted:
        below = children(wanted.pop()) - found
        found |= below
        wanted += below
    return found


def _signal(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _reap(process: subprocess.Popen[bytes]) -> None:
    """Wait for adopted children that are dead; the command itself belongs to `process`."""
    for pid in children(os.getpid()) - {process.pid}:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1:]))
