"""Which process of this machine listens on a port, by `/proc`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

__all__ = ["listening_process"]

_LISTENS = "0A"
_ADDRESS, _STATE, _INODE = 1, 3, 9


def listening_process(port: int) -> int | None:
    """The process that listens on a TCP port; `None` if there is none, or another user's."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    for folder in Path("/proc").iterdir():
        if not sockets or not folder.name.isdigit():
            continue
        with suppress(OSError):
            for file in (folder / "fd").iterdir():
                with suppress(OSError):
                    if str(file.readlink()) in sockets:
                        return int(folder.name)
    return None


def _inodes(port: int) -> set[str]:
    found = set()
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                own = int(fields[_ADDRESS].rpartition(":")[2], 16)
                if fields[_STATE] == _LISTENS and own == port:
                    found.add(fields[_INODE])
    return found
