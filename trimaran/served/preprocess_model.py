"""Triton's side of image preprocessing: `IMAGE` BYTES `[1]` to `PIXELS` FP32 `[3, size, size]`.

The model's instances share the machine's cores. An instance with several cores decodes all images
of all waiting requests in a pool of threads, since the decoder and the resizer release
Python's lock. The images of answered requests are counted by the bins of `reference.json`.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

from trimaran.served.counters import Counters
from trimaran.served.decoding import (
    DEFAULT_MAX_PIXELS,
    ImageError,
    ImageSettings,
    Photograph,
    measure,
    read,
)
from trimaran.served.failures import counted

__all__ = ["TritonPythonModel"]


@counted
class TritonPythonModel:
    """One instance of one version, whose `preprocess.json` says how images are prepared."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read `preprocess.json`, `reference.json` and the parameter `max_megapixels`."""
        directory = Path(args["model_repository"]) / args["model_version"]
        self.settings = ImageSettings(**json.loads((directory / "preprocess.json").read_text()))
        config = json.loads(args["model_config"])
        parameter = config["parameters"].get("max_megapixels")
        self.max_pixels = (
            round(float(parameter["string_value"]) * 1e6) if parameter else DEFAULT_MAX_PIXELS
        )
        instances = sum(group["count"] for group in config["instance_group"]) or 1
        threads = len(os.sched_getaffinity(0)) // instances
        self.pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self.counters = Counters(args, directory)

    def execute(
        self, requests: list[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        """One response per request; a bad image fails its own request and no other."""
        images = [
            pb_utils.get_input_tensor_by_name(request, "IMAGE").as_numpy().reshape(-1)
            for request in requests
        ]
        files = [data for group in images for data in group]
        together = self.pool.map if self.pool and len(files) > 1 else map
        outcomes = iter(together(self._read, files))
        return [self._respond([next(outcomes) for _ in group]) for group in images]

    def finalize(self) -> None:
        """End the threads, and report the last counts while Triton still takes reports."""
        if self.pool:
            self.pool.shutdown()
        self.counters.close()

    def _read(self, data: bytes) -> Photograph | ImageError:
        try:
            return read(data, self.settings, self.max_pixels)
        except ImageError as error:
            return error
        except Exception as error:  # whatever a file does to the decoder, its batch mates live on
            return ImageError(f"cannot be decoded: {type(error).__name__}: {error}")

    def _respond(self, outcomes: list[Photograph | ImageError]) -> pb_utils.InferenceResponse:
        photographs: list[Photograph] = []
        for index, outcome in enumerate(outcomes):
            if isinstance(outcome, ImageError):
                self.counters.refuse()
                which = "the image" if len(outcomes) == 1 else f"image {index} of {len(outcomes)}"
                error = pb_utils.TritonError(f"{which} {outcome}", pb_utils.TritonError.INVALID_ARG)
                return pb_utils.InferenceResponse(error=error)
            photographs.append(outcome)
        measures = [measure(each) for each in photographs]
        self.counters.add(np.array(measures), np.empty((0, len(measures)), np.int64))
        # A single image needs no copy to become a batch.
        pixels = [each.pixels for each in photographs]
        batch = pixels[0][np.newaxis] if len(pixels) == 1 else np.stack(pixels)
        return pb_utils.InferenceResponse([pb_utils.Tensor("PIXELS", batch)])
