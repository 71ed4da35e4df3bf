"""`trimaran serve` in this process, where it is refused before it starts a server."""

from __future__ import annotations

from pathlib import Path

from tests.running import port_options
from tests.trimaran.calling import Outcome, call_trimaran
from trimaran.system.ports import free_ports


def serve_refused(root: Path, *arguments: str) -> Outcome:
    """What the command shows, on free ports; ports that are named come last."""
    return call_trimaran("serve", "--repository", root, *port_options(free_ports()), *arguments)
