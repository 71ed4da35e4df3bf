"""Triton's `onnxruntime` backend on the CPU, as a python-based backend."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from trimaran.serving.backends import batching, settings
from trimaran.serving.backends.contract import (
    Interface,
    ModelTensor,
    complete,
    find_mismatch,
    find_unserved,
)
from trimaran.serving.backends.settings import run_options, session_options

_FILE_NAME = "model.onnx"

_TYPES = {
    "tensor(float)": "TYPE_FP32",
    "tensor(double)": "TYPE_FP64",
    "tensor(float16)": "TYPE_FP16",
    "tensor(int64)": "TYPE_INT64",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int16)": "TYPE_INT16",
    "tensor(int8)": "TYPE_INT8",
    "tensor(uint64)": "TYPE_UINT64",
    "tensor(uint32)": "TYPE_UINT32",
    "tensor(uint16)": "TYPE_UINT16",
    "tensor(uint8)": "TYPE_UINT8",
    "tensor(bool)": "TYPE_BOOL",
    "tensor(string)": "TYPE_STRING",
}

_ERROR = re.compile(r"\[ONNXRuntimeError\] : (\d+) : \w+ : (.*)", re.DOTALL)


class TritonPythonModel:
    """One instance of one ONNX model."""

    @staticmethod
    def auto_complete_config(
        auto_complete_model_config: pb_utils.ModelConfig,
    ) -> pb_utils.ModelConfig:
        """Complete a configuration that leaves out inputs or outputs, from the model file."""
        # Its setters refuse `reshape`, which a tensor of shape [batch] needs.
        config = auto_complete_model_config.as_dict()
        if not (config["input"] and config["output"]):
            complete(config, _interface(_open(config, settings.model_being_loaded())))
        return auto_complete_model_config

    def initialize(self, args: dict[str, str]) -> None:
        """Open the model. Raises `TritonModelException` where its configuration contradicts it."""
        config = json.loads(args["model_config"])
        unserved = find_unserved(config)
        if unserved:
            raise pb_utils.TritonModelException(unserved)
        self.session = _open(config, Path(args["model_repository"]) / args["model_version"])
        self.run_options = run_options(config)
        model = _interface(self.session)
        mismatch = find_mismatch(config, model)
        if mismatch:
            raise pb_utils.TritonModelException(mismatch)
        known = {tensor.name: tensor for tensor in (*model.inputs, *model.initializers)}
        self.inputs = {item["name"]: known[item["name"]] for item in config["input"]}
        self.outputs = {item["name"]: item["dims"] for item in config["output"]}
        self.batched = config["max_batch_size"] > 0

    def execute(
        self, requests: list[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        """Answer all requests with one call of the session where their shapes allow."""
        return batching.answer(requests, list(self.inputs), self._run, batched=self.batched)

    def _run(self, arrays: batching.Arrays) -> batching.Arrays:
        feeds = {name: _fed(self.inputs[name], array) for name, array in arrays.items()}
        try:
            results = self.session.run(list(self.outputs), feeds, self.run_options)
        except Exception as error:
            raise RuntimeError(_native_words(error)) from error
        return {
            name: np.reshape(result, dims) if np.ndim(result) == 0 else result
            for (name, dims), result in zip(self.outputs.items(), results, strict=True)
        }


def _open(config: dict[str, Any], directory: Path) -> Any:
    import onnxruntime

    path = settings.model_file(config, directory, _FILE_NAME, inside=_FILE_NAME)
    try:
        return onnxruntime.InferenceSession(
            str(path), session_options(config), providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise pb_utils.TritonModelException(_native_words(error)) from error


def _native_words(error: Exception) -> str:
    match = _ERROR.fullmatch(str(error))
    return f"onnx runtime error {match[1]}: {match[2]}" if match else str(error)


def _interface(session: Any) -> Interface:
    return Interface(
        [_tensor(item) for item in session.get_inputs()],
        [_tensor(item) for item in session.get_outputs()],
        [_tensor(item) for item in session.get_overridable_initializers()],
    )


def _tensor(item: Any) -> ModelTensor:
    if not item.type.startswith("tensor("):
        kind = item.type.partition("(")[0].replace("seq", "sequence").upper()
        raise pb_utils.TritonModelException(
            f"Unsupported ONNX Type 'ONNX_TYPE_{kind}' for I/O '{item.name}', expected "
            "'ONNX_TYPE_TENSOR'."
        )
    shape = tuple(dim if isinstance(dim, int) else -1 for dim in item.shape)
    return ModelTensor(item.name, _TYPES.get(item.type, "TYPE_INVALID"), shape)


def _fed(tensor: ModelTensor, array: np.ndarray) -> np.ndarray:
    if tensor.data_type == "TYPE_STRING":
        array = batching.decoded(tensor.name, array)
    return array if tensor.shape else array.reshape(())
