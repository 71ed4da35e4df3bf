"""How many scans a JPEG has: each one is a pass over all of its pixels."""

from __future__ import annotations

import re

__all__ = ["scans"]

_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
"""Neither a byte of a scan's data nor a restart between its parts."""
_START, _END = b"\xd8", b"\xd9"
_SCAN = b"\xda"


def scans(file: bytes, most: int) -> int:
    """The scans of a JPEG's first picture; of a file with `most` or fewer, perhaps too many.

    Such a file costs one fast search. In another one, what only looks like a scan is left out: in
    a preview, in a colour profile, or in the film that phones append.
    """
    count = file.count(b"\xff" + _SCAN)
    if count <= most:
        return count
    count = at = 0
    while found := _MARKER.search(file, at):
        at = found.end()
        if found[1] == _END:
            break
        count += found[1] == _SCAN
        if found[1] not in (_START, b"\x01"):  # those have no length
            at += int.from_bytes(file[at : at + 2], "big")
    return count
