"""Triton's side of image preprocessing: `IMAGE` BYTES `[1]` to `PIXELS` FP32 `[3, size, size]`.

The model's instances share the machine's cores. An instance with several cores decodes all images
of all waiting requests in a pool of threads, since the decoder and the resizer release
Python's lock. The images of answered requests are counted by the bins of `reference.json`.

An instance that decodes answers nothing else. So heavy images are decoded by one instance at a
time, and what another one is given meanwhile is answered with 503: light images always find an
instance, if there are several.
"""

from __future__ import annotations

import fcntl
import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

from trimaran.served.boundary import Failed, attempt
from trimaran.served.counters import Counters
from trimaran.served.decoding import ImageSettings, Photograph, measure, read
from trimaran.served.failures import counted
from trimaran.served.image_work import Limits
from trimaran.served.pulse import beating
from trimaran.served.refusal import BusyError

__all__ = ["TritonPythonModel"]


@beating
@counted
class TritonPythonModel:
    """One instance of one version, whose `preprocess.json` says how images are prepared."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read `preprocess.json`, `reference.json` and the parameters of `Limits.of`."""
        self.name = args["model_name"]
        directory = Path(args["model_repository"]) / args["model_version"]
        self.settings = ImageSettings(**json.loads((directory / "preprocess.json").read_text()))
        config = json.loads(args["model_config"])
        self.limits = Limits.of(
            {name: each["string_value"] for name, each in config["parameters"].items()}
        )
        instances = sum(group["count"] for group in config["instance_group"]) or 1
        threads = len(os.sched_getaffinity(0)) // instances
        self.pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self.counters = Counters(args, directory)
        self.heavy = _HeavyPlace(directory / "preprocess.json")

    def execute(
        self, requests: list[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        """One response per request; a bad image fails its own request and no other."""
        images = [attempt(_files, request) for request in requests]
        files = [data for group in images if not isinstance(group, Failed) for data in group]
        together = self.pool.map if self.pool and len(files) > 1 else map
        outcomes = iter(together(partial(attempt, self._read), files))
        try:
            return [
                self._answer(
                    group if isinstance(group, Failed) else [next(outcomes) for _ in group]
                )
                for group in images
            ]
        finally:
            self.heavy.give_back()

    def finalize(self) -> None:
        """End the threads, and report the last counts while Triton still takes reports."""
        if self.pool:
            self.pool.shutdown()
        self.counters.close()

    def _read(self, data: bytes) -> Photograph:
        return read(data, self.settings, self.limits, self.heavy.take)

    def _answer(self, outcomes: list[Photograph | Failed] | Failed) -> pb_utils.InferenceResponse:
        if isinstance(outcomes, Failed):
            return self._refuse(outcomes)
        photographs: list[Photograph] = []
        for index, outcome in enumerate(outcomes):
            if isinstance(outcome, Failed):
                several = len(outcomes) > 1
                which = f"image {index} of {len(outcomes)} " if several else "the image "
                return self._refuse(outcome, which)
            photographs.append(outcome)
        answer = attempt(self._respond, photographs)
        return self._refuse(answer) if isinstance(answer, Failed) else answer

    def _refuse(self, failed: Failed, where: str = "") -> pb_utils.InferenceResponse:
        self.counters.refuse()
        return failed.response(self.name, where)

    def _respond(self, photographs: list[Photograph]) -> pb_utils.InferenceResponse:
        measures = [measure(each) for each in photographs]
        self.counters.add(np.array(measures), np.empty((0, len(measures)), np.int64))
        # A single image needs no copy to become a batch.
        pixels = [each.pixels for each in photographs]
        batch = pixels[0][np.newaxis] if len(pixels) == 1 else np.stack(pixels)
        return pb_utils.InferenceResponse([pb_utils.Tensor("PIXELS", batch)])


class _HeavyPlace:
    """The one place for heavy images among a version's instances, which are processes.

    It is a lock on a file that all of them have, and ends with its process. Where the file system
    has no locks, every instance has a place.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._taken = False

    def take(self) -> None:
        """Have the place until `give_back`, from any thread. Raises `BusyError`."""
        with suppress(OSError):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BusyError(
                    "is large, and another large one is being decoded; send it again later"
                ) from None
        self._taken = True

    def give_back(self) -> None:
        """Leave the place to others."""
        if self._taken:
            self._taken = False
            with suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_UN)


def _files(request: pb_utils.InferenceRequest) -> list[bytes]:
    """The files that a request brings."""
    files = pb_utils.get_input_tensor_by_name(request, "IMAGE").as_numpy().reshape(-1)
    return list(files)
