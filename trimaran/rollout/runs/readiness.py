"""Whether a run is ready to serve, measured in this process: latency, size, and missing values.

What is measured is the network alone, on one thread: by ONNX Runtime once it is exported, and
before that by PyTorch. What a server adds, `trimaran bench` measures.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from trimaran.stats.latency import quantiles
from trimaran.system.errors import TrimaranError
from trimaran.system.files import write_text

__all__ = ["BATCHES", "Predict", "Readiness", "Timed", "Trial", "measured", "read_readiness"]

BATCHES = (1, 64)
"""Rows of a call."""
FILE = "readiness.json"
_MOST, _FEWEST = 500, 2
_RARE = 100
"""Calls, of fewer of which the slowest stands for p99."""
_LONGEST_S = 1.5
"""Of each size, once it was called `_FEWEST` times."""

Array = npt.NDArray[Any]
Predict = Callable[[Array], Sequence[Array]]
"""What a network says of rows, `[rows, ...]` as it takes them: an array of rows for each output."""


class Trial(Protocol):
    """What is served of a run, to be tried without a server."""

    def module(self) -> nn.Module:
        """The network, in eval mode."""

    def batch(self, rows: int) -> Array:
        """Rows of the training part as the network takes them when they are served."""

    def missing(self, predict: Predict) -> str:
        """What is answered where values are missing, tried, as a sentence."""


@dataclass(frozen=True)
class Timed:
    """How long calls took."""

    rows: int
    calls: int
    p50_s: float
    p99_s: float
    """The slowest, of fewer than a hundred calls."""


@dataclass(frozen=True)
class Readiness:
    """What was measured, and of what."""

    runtime: str
    """`ONNX Runtime` or `PyTorch`."""
    size: int
    """Bytes of the file that it loads."""
    timed: tuple[Timed, ...]
    missing: str

    def write(self, folder: Path) -> None:
        """Keep it in the folder of a run."""
        write_text(folder / FILE, json.dumps(asdict(self), indent=1) + "\n")

    def sentences(self) -> list[str]:
        """It in words."""
        return [
            *(
                f"{each.rows} {'row' if each.rows == 1 else 'rows'}: {_shown(each.p50_s)} in the "
                f"median, {_shown(each.p99_s)} {_rare(each)} ({self.runtime}, one thread)."
                for each in self.timed
            ),
            f"The network's file has {self.size / 1e3:,.1f} kB.",
            self.missing,
        ]


def read_readiness(folder: Path) -> Readiness | None:
    """What was kept in the folder of a run; None where nothing is. Raises `TrimaranError`."""
    path = folder / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        timed = tuple(Timed(**each) for each in found.pop("timed"))
        return Readiness(**found, timed=timed)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrimaranError(f"{path} cannot be used ({type(error).__name__}); remove it") from error


def measured(trial: Trial, weights: Path, exported: Path | None = None) -> Readiness:
    """Measure what is served of a run; `exported` is its ONNX file, once there is one.

    `weights` are those of the run's directory.
    """
    with _predicting(trial, exported) as (runtime, predict):
        timed = tuple(_timed(predict, trial.batch(rows)) for rows in BATCHES)
        missing = trial.missing(predict)
    return Readiness(runtime, (exported or weights).stat().st_size, timed, missing)


@contextmanager
def _predicting(trial: Trial, exported: Path | None) -> Iterator[tuple[str, Predict]]:
    if exported is not None:
        yield "ONNX Runtime", _of_onnx(exported)
        return
    module, threads = trial.module(), torch.get_num_threads()

    def predict(rows: Array) -> Sequence[Array]:
        with torch.inference_mode():
            found = module(torch.from_numpy(rows))
        return [each.numpy() for each in (found if isinstance(found, tuple) else (found,))]

    torch.set_num_threads(1)
    try:
        yield "PyTorch", predict
    finally:
        torch.set_num_threads(threads)


def _of_onnx(path: Path) -> Predict:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    return lambda rows: session.run(None, {given.name: rows})


def _timed(predict: Predict, rows: Array) -> Timed:
    predict(rows)  # the first call also reserves memory
    taken: list[float] = []
    while len(taken) < _MOST and (len(taken) < _FEWEST or sum(taken) < _LONGEST_S):
        began = time.perf_counter()
        predict(rows)
        taken.append(time.perf_counter() - began)
    found = quantiles(np.array(taken))
    return Timed(len(rows), len(taken), found["p50"], found["p99"])


def _shown(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


def _rare(timed: Timed) -> str:
    which = "at most" if timed.calls < _RARE else "at p99"
    return f"{which} of {timed.calls} calls"
