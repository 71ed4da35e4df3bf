"""Breaks processes and sends bad requests while good ones are answered, and counts what fails.

Example: python -m proofs.reliability --output docs/reliability.md

A run that was interrupted goes on where it stopped, as long as the code that is tried stays the
same. `--count` is of kills, requests, or the deployments of the soak.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from proofs.reliability.fuzz import describe, fuzz_grpc, fuzz_http
from proofs.reliability.kills import kill_deployments, kill_servers, kill_stubs
from proofs.reliability.page import page
from proofs.reliability.results import Results, state_of
from proofs.reliability.sanitized import sanitize
from proofs.reliability.service import made_repository
from proofs.reliability.soak import soak
from trimaran.repository.repository import Repository
from trimaran.system.errors import TrimaranError
from trimaran.system.files import write_text

__all__ = ["COUNTS", "main"]

_WORK = Path(__file__).parents[2] / ".trimaran" / "reliability"

COUNTS = {
    "stubs": 100,
    "deployments": 100,
    "servers": 20,
    "http": 10_000,
    "grpc": 4_000,
    "soak": 20,
    "sanitizers": 10_000,
}
"""How often each part tries what it tries."""

_SECONDS = 600

Made = Callable[[], Repository]
"""Gives the repository that is served, made at the first call."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts, and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m proofs.reliability",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", help=f"default: all of {', '.join(COUNTS)}")
    parser.add_argument("--count", type=int, help="how often; default: as the page says")
    parser.add_argument("--seconds", type=int, default=_SECONDS, help="length of the soak")
    parser.add_argument("--work", type=Path, default=_WORK, help="where it works and keeps results")
    parser.add_argument("--output", type=Path, help="file for the page; default: standard output")
    parser.add_argument("--show", type=int, metavar="N", help="print a request of http or grpc")
    given = parser.parse_args(arguments)
    for part in given.parts:
        if part not in COUNTS:
            parser.error(f"there is no part {part!r}; choose from {', '.join(COUNTS)}")
    if min(given.seconds, 1 if given.count is None else given.count) < 1:
        parser.error("--count and --seconds are at least 1")
    state = state_of()
    results = Results(given.work / "results", state)
    try:
        made = cache(partial(made_repository, given.work / "served", state, _say))
        if given.show is not None:
            for part in given.parts:
                print(describe(given.show, made(), part))
            return 0
        for part in given.parts or COUNTS:
            _run(part, made, results, given.count or COUNTS[part], given.seconds)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on here", file=sys.stderr)
        return 130
    except TrimaranError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    text = page({part: results.read(part) for part in COUNTS})
    if given.output is None:
        print(text)
    else:
        write_text(given.output, text)
    return 0


def _run(part: str, made: Made, results: Results, count: int, seconds: int) -> None:
    """Go on with a part where its lines end."""
    done = results.read(part)
    first = sum(line.get("requests", 1) for line in done)
    if first >= count:
        return
    began = time.monotonic()
    for line in _lines(part, made, first, count, seconds):
        took_s = time.monotonic() - began
        results.keep(part, {**line, "took_s": round(took_s, 1)})
        first += line.get("requests", 1)
        _say(f"{part}: {first} of {count}, {took_s:.0f} s{_noted(line)}")
        began = time.monotonic()


def _lines(part: str, made: Made, first: int, count: int, seconds: int) -> Iterator[dict[str, Any]]:
    if part == "sanitizers":  # on a repository of its own
        return sanitize(first, count)
    repository = made()
    match part:
        case "stubs":
            return kill_stubs(repository, first, count)
        case "deployments":
            return kill_deployments(repository, first, count)
        case "servers":
            return kill_servers(repository, first, count)
        case "http":
            return fuzz_http(repository, first, count)
        case "grpc":
            return fuzz_grpc(repository, first, count)
        case _:
            return soak(repository, first, count, seconds)


def _noted(line: Mapping[str, Any]) -> str:
    return f", {line['failed']} good requests failed" if line.get("failed") else ""


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
