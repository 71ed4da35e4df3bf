"""`trimaran serve` in this process, where it is refused before it starts a server."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.running import port_options
from tests.trimaran.calling import Outcome, call_trimaran
from trimaran.system.ports import free_ports

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


def serve_refused(root: Path, *arguments: str) -> Outcome:
    """What the command shows, on free ports; ports that are named come last.

    The command sets handlers of signals for its whole process, so they are put back.
    """
    before = {number: signal.getsignal(number) for number in _NUMBERS}
    try:
        return call_trimaran("serve", "--repository", root, *port_options(free_ports()), *arguments)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
