"""What models count of their inputs and answers, by bins, so that drift can be told.

`counting.py` and `distribution.py` are self-contained, and are copied into the versions that count.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["SOURCES"]

SOURCES = tuple(Path(__file__).parent / file for file in ("counting.py", "distribution.py"))
"""What a Python model that counts needs beside its own sources, and `reference.json`."""
