"""Small models whose answers and times are known, and rows for them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from trimaran.repository.repository import Repository

STEADY = """
import time
import triton_python_backend_utils as pb_utils

PERIOD_S = 0.02

class TritonPythonModel:
    def execute(self, requests):
        answers = []
        for request in requests:
            time.sleep(PERIOD_S)
            text = pb_utils.get_input_tensor_by_name(request, "TEXT")
            answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", text.as_numpy())]))
        return answers
"""
CHECKER = """
import hashlib
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        texts = pb_utils.get_input_tensor_by_name(request, "TEXT").as_numpy()
        numbers = pb_utils.get_input_tensor_by_name(request, "NUMBERS")
        for at, (digest, text) in enumerate(texts):
            raw = numbers.as_numpy()[at].tobytes() if numbers is not None else b""
            if hashlib.sha256(text + raw).hexdigest().encode() != digest:
                return pb_utils.InferenceResponse([], pb_utils.TritonError("not what was sent"))
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUT", texts)])
"""
LONG = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        raise ValueError("too short")
"""
CONFIG = """
name: "%s"
backend: "python"
max_batch_size: %d
input { name: "TEXT" data_type: TYPE_STRING dims: [%d] }
%s
output { name: "OUT" data_type: TYPE_STRING dims: [%d] }
instance_group { count: 1 kind: KIND_CPU }
"""
NUMBERS = 'input { name: "NUMBERS" data_type: TYPE_FP32 dims: [3] optional: true }'
ENSEMBLE = """
name: "twice"
platform: "ensemble"
max_batch_size: 4
input { name: "TEXT" data_type: TYPE_STRING dims: [2] }
output { name: "OUT" data_type: TYPE_STRING dims: [2] }
ensemble_scheduling {
  step { model_name: "checker" model_version: -1
    input_map { key: "TEXT" value: "TEXT" } output_map { key: "OUT" value: "between" } }
  step { model_name: "checker" model_version: -1
    input_map { key: "TEXT" value: "between" } output_map { key: "OUT" value: "OUT" } }
}
"""
OPEN = """
name: "long"
backend: "python"
max_batch_size: 4
input { name: "x" data_type: TYPE_FP32 dims: [1, -1] }
output { name: "y" data_type: TYPE_FP32 dims: [1] }
"""
PERIOD_S = 0.02
STEADY_ROW = {"TEXT": np.array([[b"any"]], dtype=object)}


def make_repository(directory: Path, *models: str) -> Repository:
    """A repository of those that are named."""
    repository = Repository.create(directory / "model_repository")
    configs = {
        "steady": (CONFIG % ("steady", 1, 1, "", 1), STEADY),
        "checker": (CONFIG % ("checker", 4, 2, NUMBERS, 2), CHECKER),
        "twice": (ENSEMBLE, None),
        "long": (OPEN, LONG),
    }
    for name in models:
        config, source = configs[name]
        version = repository.model(name) / "1"
        version.mkdir(parents=True)
        repository.config_path(name).write_text(config)
        if source:
            (version / "model.py").write_text(source)
    return repository


def sealed(text: bytes, *numbers: float) -> dict[str, np.ndarray]:
    """A row that the checker accepts."""
    array = np.array([numbers], np.float32)
    raw = array.tobytes() if numbers else b""
    digest = hashlib.sha256(text + raw).hexdigest().encode()
    row = {"TEXT": np.array([[digest, text]], dtype=object)}
    return {**row, "NUMBERS": array} if numbers else row
