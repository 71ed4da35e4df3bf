"""How good some settings are: the highest rate in a closed loop that keeps the bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loadtests.bench.block import closed_block, warm_up
from loadtests.bench.target import Target
from loadtests.tuning.knobs import Knobs, with_knobs
from trimaran.repository.config import ModelConfig, format_config
from trimaran.serving.control import Control
from trimaran.system.errors import TrimaranError

__all__ = ["Score", "Tuned", "best_load"]

_CONNECTIONS = (1, 2, 4, 8, 16, 32, 64)
_PATIENCE = 2


@dataclass(frozen=True)
class Score:
    """What settings came to. The rate is 0 where no load kept the bound."""

    rate: float
    """Rows per second."""
    p99_ms: float
    connections: int
    cpu_ms: float
    """Of the server, per row."""


class Tuned:
    """A private server whose models take settings, without anything being written."""

    def __init__(self, control: Control, live: Mapping[str, ModelConfig]) -> None:
        self._control = control
        self._live = live
        self._loaded = {name: format_config(config) for name, config in live.items()}

    def apply(self, settings: Mapping[str, Knobs]) -> None:
        """Load every model whose settings differ from what is loaded. Raises `TrimaranError`."""
        for model, knobs in settings.items():
            wanted = with_knobs(self._live[model], knobs)
            text = format_config(wanted)
            if text != self._loaded[model]:
                self._control.load_given(wanted)
                self._loaded[model] = text


def best_load(target: Target, p99_ms: float, seconds: float) -> Score:
    """More and more connections, until the rate falls or the bound is broken twice in a row."""
    warm_up(target)
    best = Score(0.0, float("inf"), 0, float("nan"))
    worse = 0
    for connections in _CONNECTIONS:
        block = closed_block(target, connections, seconds)
        run = block.run
        if block.outcome.interrupted:
            raise KeyboardInterrupt
        if run.void:
            raise TrimaranError(run.void)
        rate = run.rate * run.rows
        p99 = run.latency_ms["p99"]
        if p99 <= p99_ms and rate > best.rate:
            best = Score(rate, p99, connections, (run.server_cpu_ms or 0.0) / run.rows)
            worse = 0
        else:
            if not best.connections and p99 < best.p99_ms:
                best = Score(0.0, p99, 0, (run.server_cpu_ms or 0.0) / run.rows)
            worse += 1
        if worse == _PATIENCE:
            break
    return best
