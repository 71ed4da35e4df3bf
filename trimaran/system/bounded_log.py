"""Copies standard input to a log that is kept below a limit; ends with its input.

    program | python bounded_log.py LOG BYTES

Standard output is the open LOG. When it is full, it becomes `LOG.1` and another is begun with the
same rights, so that both hold the last BYTES at least and twice as many at most. Nothing stops the
copying, such as a full disk: the program is never held up, and what cannot be written is dropped.

It runs as a program of its own, which outlives the one that started it, and uses the standard
library alone.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

_CHUNK = 2**20


def copy(path: str, limit: int) -> None:
    """Copy everything until the end of standard input."""
    log, size = sys.stdout.fileno(), 0
    while chunk := os.read(sys.stdin.fileno(), min(_CHUNK, limit)):
        with suppress(OSError):
            if size + len(chunk) > limit:
                size = 0
                Path(path).replace(f"{path}.1")
                fresh = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                os.fchmod(fresh, os.fstat(log).st_mode & 0o777)
                os.dup2(fresh, log)
                os.close(fresh)
            size += os.write(log, chunk)


if __name__ == "__main__":
    copy(sys.argv[1], int(sys.argv[2]))
