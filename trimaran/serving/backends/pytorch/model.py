"""Triton's `pytorch` backend for TorchScript and AOTInductor, as a python-based backend."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from trimaran.serving.backends import batching, settings, signature
from trimaran.serving.backends.contract import find_unserved
from trimaran.serving.backends.pytorch_package import FILE_NAME as PACKAGE_NAME
from trimaran.serving.backends.pytorch_package import Package

_FILE_NAME = "model.pt"


class TritonPythonModel:
    """One instance of one model: TorchScript, or a package of AOTInductor."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the model. Raises `TritonModelException` where its configuration does not fit."""
        config = json.loads(args["model_config"])
        refusal = find_unserved(config) or signature.find_refusal(config)
        if refusal:
            raise pb_utils.TritonModelException(refusal)
        directory = Path(args["model_repository"]) / args["model_version"]
        is_package = settings.platform(config) == "torch_aoti"
        file_name = PACKAGE_NAME if is_package else _FILE_NAME
        path = settings.model_file(config, directory, file_name)
        inference_mode = settings.boolean(config, "INFERENCE_MODE", True)
        # Torch takes seconds to import, and a mistake in the configuration shows without it.
        settings.apply_torch_settings(config)
        device = settings.device(args)
        self.batched = config["max_batch_size"] > 0
        self.model = (
            Package(config, path, device)
            if is_package
            else _Script(config, path, device, inference_mode)
        )

    def execute(
        self, requests: list[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        """Answer all requests with one call of the module where their shapes allow."""
        model = self.model
        return batching.answer(requests, model.inputs, model.run, batched=self.batched)


class _Script:
    """One instance of one TorchScript module."""

    def __init__(
        self, config: dict[str, Any], path: Path, device: str, inference_mode: bool
    ) -> None:
        import torch

        self.torch = torch
        self.device = device
        self.inference_mode = inference_mode
        self.module = self._load(path, config["name"])
        arguments = _arguments(self.module)
        self.inputs = signature.call_order(config, arguments)
        self.texts = {i["name"] for i in config["input"] if i["data_type"] == "TYPE_STRING"}
        self.as_dictionary = signature.takes_dictionary(arguments)
        self.outputs = config["output"]
        self.positions = signature.output_positions(config)

    def _load(self, path: Path, name: str) -> Any:
        try:
            with warnings.catch_warnings(), self.torch.inference_mode(self.inference_mode):
                # That TorchScript is deprecated is nothing that whoever serves it can change.
                warnings.simplefilter("ignore", DeprecationWarning)
                return self.torch.jit.load(str(path), map_location=self.device)
        except Exception as error:
            problem = f"failed to load model '{name}': {error}"
            raise pb_utils.TritonModelException(problem) from error

    def run(self, arrays: batching.Arrays) -> batching.Arrays:
        inputs = {name: self._value(name, arrays[name]) for name in self.inputs}
        # In this order: without inference mode, its block would switch gradients on again.
        with self.torch.inference_mode(self.inference_mode), self.torch.no_grad():
            values = self._call(inputs)
        return {
            item["name"]: signature.as_array(item, self.positions[item["name"]], values)
            for item in self.outputs
        }

    def _value(self, name: str, array: np.ndarray) -> Any:
        if name in self.texts:
            return batching.decoded(name, array).tolist()
        return self.torch.from_numpy(array).to(self.device)

    def _call(self, inputs: dict[str, Any]) -> tuple[Any, ...]:
        try:
            result = self.module(inputs) if self.as_dictionary else self.module(*inputs.values())
            return tuple(_on_cpu(value) for value in signature.as_values(result))
        except Exception as error:
            raise RuntimeError(f"PyTorch execute failure: {error}") from error


def _on_cpu(value: Any) -> Any:
    return value if isinstance(value, list) else value.cpu()


def _arguments(module: Any) -> list[signature.Argument]:
    return [
        signature.Argument(argument.name, argument.type.kind(), str(argument.type))
        for argument in module.forward.schema.arguments[1:]
    ]
