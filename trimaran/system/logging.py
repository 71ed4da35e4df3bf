"""The log of long-running commands: on standard error, as text or as one JSON object per line.

2026-11-26 21:14:05 WARNING churn_record version 3: stub 0 (process 4711) died
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum

__all__ = ["LogFormat", "configure_logging", "logger"]

_ROOT = "trimaran"


class LogFormat(StrEnum):
    """How a record is written."""

    text = "text"
    json = "json"


def logger(name: str) -> logging.Logger:
    """The logger of a part of trimaran, such as `serve`; silent below WARNING until configured."""
    return logging.getLogger(f"{_ROOT}.{name}")


def configure_logging(format: LogFormat) -> None:
    """Send everything from INFO on to standard error; a second call replaces the first."""
    handler = _StandardError()
    if format is LogFormat.json:
        handler.setFormatter(_JsonFormatter())
    else:
        handler.setFormatter(
            logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S")
        )
    root = logging.getLogger(_ROOT)
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    root.propagate = False


class _StandardError(logging.Handler):
    """Writes to what `sys.stderr` is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stderr, flush=True)
        except Exception:
            self.handleError(record)


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)
