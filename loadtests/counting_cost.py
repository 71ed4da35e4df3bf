"""What counting costs, end to end: one model in one process, its counting switched in turn.

    trimaran serve --model churn_record
    python -m loadtests.counting_cost churn_record@grpc --turns 200

Two models that do the same differ by some percent where the machine is shared, and that is more
than counting costs. So the target is loaded anew with a switch in its `counters.py`, measured with
counting and without in turn, and then loaded as it was. Reports to Triton are made only
while counting is on, so that it bears all of them in half of the time: what is found is rather
too much than too little.
"""

from __future__ import annotations

import argparse
import mmap
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePath

import numpy as np

from loadtests.bench.block import Block, closed_block, warm_up
from loadtests.bench.compare import FIGURES, contestant, within
from loadtests.bench.settings import Settings
from loadtests.bench.target import Payloads, Target, Wanted, open_target
from loadtests.bench.turns import Turns, take_turns
from loadtests.judging.gates import Gates
from loadtests.subject.service import Service, find_service
from loadtests.subject.version_files import version_files
from trimaran.repository.live import live_versions
from trimaran.stats.ratio import Ratio, paired_ratio
from trimaran.system.errors import TrimaranError

__all__ = ["Switch", "compare_counting", "switched", "table"]

_COUNTING = "counters.py"
_PARAMETER = "switch"
_CONNECTIONS = 16
_WARM_S = 2.0

_SWITCHED = """

import mmap as _mmap

with open({path!r}, "r+b") as _file:
    _switch = _mmap.mmap(_file.fileno(), 2)
_switch[1] = 1
_add, _report = Counters.add, Counters._report


def _add_if_on(self, *rows):
    if _switch[0]:
        _add(self, *rows)


def _report_if_on(self):
    if _switch[0] or self._ended.is_set():
        _report(self)


Counters.add, Counters._report = _add_if_on, _report_if_on
"""


class Switch:
    """Whether the models count that were given its file, whose bytes processes share."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(b"\1\0")
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 2)

    def taken(self) -> bool:
        """Whether a process has it that had not when this was last asked."""
        found, self._shared[1] = self._shared[1], 0
        return bool(found)

    @contextmanager
    def off(self) -> Iterator[None]:
        """Nothing is counted meanwhile."""
        self._shared[0] = 0
        try:
            yield
        finally:
            self._shared[0] = 1


@contextmanager
def switched(service: Service, model: str, switch: Switch) -> Iterator[None]:
    """`model`, and of an ensemble its steps, are served with the switch meanwhile.

    Nothing is written into the repository, from which they are loaded again afterwards. Raises
    `TrimaranError` where nothing of it counts.
    """
    if service.repository is None:
        raise TrimaranError("the files of the model are needed, so the server's repository is")
    with ExitStack() as stack:
        counting = 0
        for name in service.models(model):
            config = service.repository.live(name)
            files: dict[str, bytes] = {}
            for version in live_versions(config):
                directory = service.repository.model(name) / str(version)
                files |= version_files(directory, version)
            found = [path for path in files if PurePath(path).name == _COUNTING]
            for path in found:
                files[path] += _SWITCHED.format(path=str(switch.path)).encode()
            if config is not None and found:
                config.parameters[_PARAMETER].string_value = str(switch.path)  # else it stays
                stack.callback(_load, service, name)
                service.control.load_given(config, files)
                if not switch.taken():
                    raise TrimaranError(f"{name} was not loaded with the switch")
                counting += 1
        if not counting:
            raise TrimaranError(f"{model} counts nothing: no {_COUNTING} in its live version")
        yield


def compare_counting(
    target: Target, switch: Switch, turns: int, seconds: float, tell: Callable[[Block], None]
) -> Turns:
    """Closed loops of `seconds` in turn: counting, not counting, and counting once more."""
    settings = Settings(seconds, 0, _CONNECTIONS, Gates(), float("inf"), tell)
    measure = contestant(target, settings, closed=True, rate=None)
    if closed_block(target, _CONNECTIONS, _WARM_S).outcome.interrupted:
        raise KeyboardInterrupt
    return take_turns([measure, within(switch.off, measure), measure], turns)


def _load(service: Service, model: str) -> None:
    with suppress(TrimaranError):  # a server that went away is told by the run
        service.control.load(model)


def main() -> int:
    """Measure the target that is named, and print the ratios."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.counting_cost")
    parser.add_argument("target", help="MODEL or MODEL@PROTOCOL, as of 'trimaran bench'")
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each block")
    parser.add_argument("--batch", type=int, default=1, help="rows per request")
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
    given = parser.parse_args()
    try:
        wanted = Wanted.parse(given.target)
        service = find_service(given.repository)
        with tempfile.TemporaryDirectory(prefix="trimaran-") as directory, ExitStack() as stack:
            switch = Switch(Path(directory) / "switch")
            stack.enter_context(switched(service, wanted.model, switch))
            target = stack.enter_context(open_target(wanted, service, Payloads(batch=given.batch)))
            warm_up(target)
            measured = compare_counting(target, switch, given.turns, given.seconds, _tell)
        print(table(measured))
    except TrimaranError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    return 0


def table(measured: Turns) -> str:
    """The ratios as a table of Markdown, and those between the blocks that do the same.

    Raises `TrimaranError` where no two turns count.
    """
    if len(measured.turns) < 2:
        raise TrimaranError(
            f"an interval needs at least 2 turns that count; there are {len(measured.turns)}"
            + (f": {measured.void}" if measured.void else "")
        )
    lines = ["| closed loop | counting / not counting | counting / counting |", "|---|---|---|"]
    for figure in FIGURES:
        first, without, second = (measured.values(place, figure) for place in range(3))
        if not first:
            continue
        counting = np.sqrt(np.multiply(first, second)).tolist()
        ratios = paired_ratio(counting, without), paired_ratio(first, second)
        lines.append(f"| {figure} | " + " | ".join(map(_words, ratios)) + " |")
    return "\n".join([*lines, "", f"{len(measured.turns)} turns. {measured.void}".rstrip()])


def _words(ratio: Ratio) -> str:
    return f"{ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f})"


def _tell(block: Block) -> None:
    print(f"{block.run.rate:,.0f} answers/s {block.run.void}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
