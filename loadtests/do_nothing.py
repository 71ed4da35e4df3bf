"""A floor: a Python model that does nothing, so what Triton and a stub cost by themselves."""

from __future__ import annotations

from ensembles.pipeline import PythonModel, tensor
from trimaran.repository.config import ModelConfig

__all__ = ["DO_NOTHING", "do_nothing"]

DO_NOTHING = "nothing"

_SOURCE = b"""
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        answer = np.zeros((1, 1), np.float32)
        return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", answer)]) for _ in requests]
"""


def do_nothing() -> tuple[ModelConfig, dict[str, bytes]]:
    """Its configuration and files: it takes a text and answers zero."""
    record, answer = tensor("RECORD", "BYTES", 1), tensor("Y", "FP32", 1)
    model = PythonModel(DO_NOTHING, [record], [answer], sources=[], max_batch_size=1024)
    return model.config(), {"1/model.py": _SOURCE}
