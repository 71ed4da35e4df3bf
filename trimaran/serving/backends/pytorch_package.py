"""The platform `torch_aoti` of the `pytorch` backend: native code that AOTInductor compiled.

Torch loads the package as the native backend does, by its name `model` and without any pickle. The
rules and the wording are those of `src/pt2/` in triton-inference-server/pytorch_backend.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trimaran.repository.model_files.aoti_package import (
    DEVICE,
    FIT_REMEDY,
    TORCH,
    find_misfit,
    open_package,
    read_package,
    this_machine,
)
from trimaran.repository.model_files.call_specification import input_names, result_names
from trimaran.serving.backends import batching, signature

__all__ = ["FILE_NAME", "Package"]

FILE_NAME = "model.pt2"


class Package:
    """One instance of one package, on the device `cpu` or `cuda:0`."""

    def __init__(self, config: Mapping[str, Any], path: Path, device: str) -> None:
        """Load it. Raises `ValueError` or `TrimaranError` where it fits not this machine, or not
        its configuration.
        """
        name = config["name"]
        facts = _fitting(name, path, device)
        # Without it, a request of a wrong length is read past its end. Not every package may be
        # checked: torch's default refuses a single row.
        if TORCH in facts:
            os.environ["AOTI_RUNTIME_CHECK_INPUTS"] = "1"
        import torch

        self.torch, self.name, self.device = torch, name, device
        self.loader = open_package(path, device)
        given, answered = self.loader.get_call_spec()
        taken, results = input_names(given), result_names(answered)
        _require_count(name, len(config["input"]), len(taken))
        places = {self._place("input", item, taken): item["name"] for item in config["input"]}
        _require_count(name, len(places), len(taken))
        self.inputs = [places[place] for place in range(len(taken))]
        self.outputs = [(item, self._place("output", item, results)) for item in config["output"]]

    def _place(self, kind: str, item: Mapping[str, Any], known: list[str]) -> int:
        """The number of a configured tensor, which names its place or its number."""
        name = item["name"]
        numbered = [f"{kind.upper()}__{place}" for place in range(len(known))]
        for names in (known, numbered):
            if name in names:
                return names.index(name)
        raise ValueError(
            f'{kind.capitalize()} "{name}" for model instance "{self.name}" is not found in model '
            f"{kind} map; it has {', '.join(known)}, or {', '.join(numbered)}"
        )

    def run(self, arrays: batching.Arrays) -> batching.Arrays:
        """Arrays by name in, and out. Raises `RuntimeError` with torch's reason."""
        tensors = [self.torch.from_numpy(arrays[name]).to(self.device) for name in self.inputs]
        try:
            values = [value.cpu() for value in self.loader.boxed_run(tensors)]
        except Exception as error:
            raise RuntimeError(
                f'Inductor model instance "{self.name}" execution failure: {error}'
            ) from error
        return {item["name"]: signature.as_array(item, at, values) for item, at in self.outputs}


def _fitting(name: str, path: Path, device: str) -> dict[str, str]:
    """The metadata of a package. Raises where it does not fit the machine or the device."""
    facts = read_package(path, str(path))
    made_for, kind = facts[DEVICE], device.partition(":")[0]
    problem = find_misfit(facts, this_machine(with_gpu=made_for == "cuda"))
    if problem is None and made_for != kind:
        problem = f"was compiled for {made_for}, and its instance runs on {kind}"
    if problem:
        raise ValueError(f"failed to load model '{name}': {path} {problem}; {FIT_REMEDY}")
    return facts


def _require_count(name: str, wanted: int, known: int) -> None:
    if wanted != known:
        raise ValueError(
            f'Failed to load model "{name}" configuration expects {wanted} inputs, but model '
            f"expects {known} inputs."
        )
