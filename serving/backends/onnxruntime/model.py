"""Triton's `onnxruntime` backend on the CPU, as a python-based backend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils

from serving.backends import batching, settings
from serving.backends.contract import ModelTensor, complete, find_mismatch

_FILE_NAME = "model.onnx"

_LEVELS = {
    -1: "ORT_ENABLE_BASIC",
    0: "ORT_ENABLE_ALL",
    1: "ORT_ENABLE_EXTENDED",
    2: "ORT_DISABLE_ALL",
}
"""`optimization { graph { level } }`, as the native backend reads it."""

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


class TritonPythonModel:
    """One instance of one ONNX model."""

    @staticmethod
    def auto_complete_config(auto_complete_model_config: Any) -> Any:
        """Complete a configuration that leaves out inputs or outputs, from the model file."""
        config = auto_complete_model_config.as_dict()
        if not (config["input"] and config["output"]):
            session = _open(config, settings.model_being_loaded())
            complete(auto_complete_model_config, *_tensors(session))
        return auto_complete_model_config

    def initialize(self, args: dict[str, str]) -> None:
        """Open the model. Raises `TritonModelException` where its configuration contradicts it."""
        config = json.loads(args["model_config"])
        directory = Path(args["model_repository"]) / args["model_version"]
        self.session = _open(config, directory)
        inputs, outputs = _tensors(self.session)
        mismatch = find_mismatch(config, inputs, outputs)
        if mismatch:
            raise pb_utils.TritonModelException(mismatch)
        self.inputs = [tensor.name for tensor in inputs]
        self.outputs = [item["name"] for item in config["output"]]
        self.batched = config["max_batch_size"] > 0

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer all requests with one call of the session where their shapes allow."""
        return batching.answer(requests, self.inputs, self._run, batched=self.batched)

    def _run(self, arrays: batching.Arrays) -> batching.Arrays:
        return dict(zip(self.outputs, self.session.run(self.outputs, arrays), strict=True))


def _open(config: dict[str, Any], directory: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.integer(
        config, "intra_op_thread_count", 0
    ) or settings.threads_per_instance(config)
    options.inter_op_num_threads = settings.integer(config, "inter_op_thread_count", 0)
    options.enable_cpu_mem_arena = settings.boolean(config, "enable_mem_arena", True)
    options.enable_mem_pattern = settings.boolean(config, "enable_mem_pattern", True)
    if settings.integer(config, "execution_mode", 0) == 1:
        options.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
    level = int(config["optimization"].get("graph", {}).get("level", 0))
    if level not in _LEVELS:
        raise ValueError(f"optimization graph level is {level}; it must be -1, 0, 1 or 2")
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, _LEVELS[level])
    # A waiting thread would otherwise spin on a core that another stub process could use.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    path = settings.model_file(config, directory, _FILE_NAME)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _tensors(session: Any) -> tuple[list[ModelTensor], list[ModelTensor]]:
    def describe(item: Any) -> ModelTensor:
        shape = tuple(dim if isinstance(dim, int) else -1 for dim in item.shape)
        if item.type not in _TYPES:
            raise ValueError(f"tensor '{item.name}' has type {item.type}, which is not served")
        return ModelTensor(item.name, _TYPES[item.type], shape)

    inputs = [describe(item) for item in session.get_inputs()]
    return inputs, [describe(item) for item in session.get_outputs()]
