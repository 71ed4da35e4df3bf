"""Triton's `pytorch` backend for TorchScript on the CPU, as a python-based backend."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils

from serving.backends import batching, settings

_FILE_NAME = "model.pt"
_POSITION = re.compile(r".+__(\d+)")


class TritonPythonModel:
    """One instance of one TorchScript model."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the model. Raises `TritonModelException` where its tensor names do not fit."""
        import torch

        config = json.loads(args["model_config"])
        threads = settings.integer(config, "INTRA_OP_THREAD_COUNT", 0)
        torch.set_num_threads(threads or settings.threads_per_instance(config))
        between = settings.integer(config, "INTER_OP_THREAD_COUNT", 0)
        if between:
            torch.set_num_interop_threads(between)
        torch._C._set_graph_executor_optimize(
            not settings.boolean(config, "DISABLE_OPTIMIZED_EXECUTION", False)
        )
        inference_mode = settings.boolean(config, "INFERENCE_MODE", True)
        self.no_gradients = torch.inference_mode if inference_mode else torch.no_grad
        directory = Path(args["model_repository"]) / args["model_version"]
        path = settings.model_file(config, directory, _FILE_NAME)
        self.torch = torch
        self.module = torch.jit.load(str(path), map_location="cpu").eval()
        self.inputs = _in_call_order(config, _arguments(self.module))
        self.outputs = _outputs(config)
        self.batched = config["max_batch_size"] > 0

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer all requests with one call of the module where their shapes allow."""
        return batching.answer(requests, self.inputs, self._run, batched=self.batched)

    def _run(self, arrays: batching.Arrays) -> batching.Arrays:
        with self.no_gradients():
            result = self.module(*(self.torch.from_numpy(arrays[name]) for name in self.inputs))
        tensors = (result,) if isinstance(result, self.torch.Tensor) else tuple(result)
        return {
            name: _checked(name, position, wanted, tensors)
            for name, (position, wanted) in self.outputs.items()
        }


def _arguments(module: Any) -> list[str]:
    return [argument.name for argument in module.forward.schema.arguments][1:]


def _in_call_order(config: dict[str, Any], arguments: list[str]) -> list[str]:
    """Input names by position: each is an argument of `forward`, or ends in `__<position>`."""
    model, names = config["name"], [item["name"] for item in config["input"]]
    if not names:
        raise pb_utils.TritonModelException(
            f"model '{model}' must specify its inputs and outputs: TorchScript does not hold them"
        )
    positions = {}
    for name in names:
        match = _POSITION.fullmatch(name)
        if name in arguments:
            position = arguments.index(name)
        elif match:
            position = int(match[1])
        else:
            raise pb_utils.TritonModelException(
                f"input '{name}' of model '{model}' is neither an argument of forward "
                f"({', '.join(arguments)}) nor does it follow the <name>__<index> convention"
            )
        positions[position] = name
    if sorted(positions) != list(range(len(names))) or len(names) > len(arguments):
        raise pb_utils.TritonModelException(
            f"model '{model}' takes {len(arguments)} inputs; its configuration names positions "
            f"{sorted(positions)}"
        )
    return [positions[index] for index in range(len(names))]


def _outputs(config: dict[str, Any]) -> dict[str, tuple[int, str]]:
    """Position and Triton type of every output, by name."""
    outputs = {}
    for item in config["output"]:
        match = _POSITION.fullmatch(item["name"])
        if not match:
            raise pb_utils.TritonModelException(
                f"output '{item['name']}' of model '{config['name']}' does not follow the "
                "<name>__<index> convention"
            )
        outputs[item["name"]] = (int(match[1]), item["data_type"])
    return outputs


def _checked(name: str, position: int, wanted: str, tensors: tuple[Any, ...]) -> Any:
    if position >= len(tensors):
        raise ValueError(
            f"output '{name}' is number {position}, the model gives only {len(tensors)} tensors"
        )
    array = tensors[position].numpy()
    if array.dtype != pb_utils.triton_string_to_numpy(wanted):
        raise ValueError(
            f"unexpected datatype {array.dtype} for inference output '{name}', expecting {wanted}"
        )
    return array
