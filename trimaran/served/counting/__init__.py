"""What models count of their inputs and answers, by bins, so that drift can be told.

All files but `describing.py` are self-contained, and are copied into the versions that count.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["METRICS", "SOURCES"]

_HERE = Path(__file__).parent

METRICS = _HERE / "custom_metrics.py"
"""What a Python model that has metrics needs beside its own sources."""

SOURCES = (METRICS, *(_HERE / file for file in ("counting.py", "distribution.py")))
"""What a Python model that counts needs beside its own sources, and `reference.json`."""
