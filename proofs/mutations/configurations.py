"""The configurations of the valid repositories, and the source of their Python models.

`@` stands for the prefix of every model's name.
"""

from __future__ import annotations

__all__ = [
    "ARCHIVE",
    "CHAIN",
    "COMPLETING",
    "INNER",
    "LABELED",
    "ONNX",
    "OUTER",
    "PACKAGE",
    "PAIR",
    "PARTIAL",
    "PLAIN",
    "PYTHON",
    "SEQUENCE",
]

PYTHON = b'''\
import json

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Answers zeros in the shape that the configuration promises."""

    def initialize(self, args):
        config = json.loads(args["model_config"])
        self.batched = int(config["max_batch_size"]) > 0
        self.outputs = [
            (
                item["name"],
                pb_utils.triton_string_to_numpy(item["data_type"]),
                [max(int(dim), 1) for dim in item.get("reshape", {}).get("shape", item["dims"])],
            )
            for item in config["output"]
        ]

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        rows = [request.inputs()[0].shape()[0]] if self.batched else []
        return pb_utils.InferenceResponse(
            [
                pb_utils.Tensor(
                    name, np.full(rows + dims, b"a" if dtype == np.object_ else 0, dtype)
                )
                for name, dtype, dims in self.outputs
            ]
        )
'''

LABELED = """
backend: "python" max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] reshape { shape: [ 2, 2 ] } }
input { name: "text" data_type: TYPE_STRING dims: [ 1 ] }
input { name: "mask" data_type: TYPE_BOOL dims: [ -1 ] optional: true }
output { name: "y" data_type: TYPE_FP32 dims: [ 3 ] label_filename: "labels.txt" }
instance_group { count: 1 kind: KIND_CPU }
dynamic_batching {
  preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: 100
  priority_levels: 2 default_priority_level: 1
  priority_queue_policy { key: 2 value { timeout_action: DELAY default_timeout_microseconds: 9 } }
}
version_policy { specific { versions: [ 1, 2 ] } }
model_warmup {
  name: "one" batch_size: 1
  inputs { key: "x" value { data_type: TYPE_FP32 dims: [ 4 ] input_data_file: "x" } }
  inputs { key: "text" value { data_type: TYPE_STRING dims: [ 1 ] input_data_file: "text" } }
}
"""
PLAIN = """
backend: "python" max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }
instance_group { count: 1 }
"""
COMPLETING = PYTHON.replace(
    b"    def initialize",
    b"""    @staticmethod
    def auto_complete_config(config):
        config.set_max_batch_size(8)
        for item in INPUTS:
            config.add_input(item)
        config.add_output(OUTPUT)
        return config

    def initialize""",
    1,
).replace(
    b"class Triton",
    b"""INPUTS = [{"name": "x", "data_type": "TYPE_FP32", "dims": [4]}]
OUTPUT = {"name": "y", "data_type": "TYPE_FP32", "dims": [4]}


class Triton""",
    1,
)
PARTIAL = """
backend: "python" max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "y" }
"""
ARCHIVE = """
backend: "pytorch" max_batch_size: 8
input { name: "input" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "OUTPUT__0" data_type: TYPE_FP32 dims: [ 4 ] }
instance_group { count: 1 }
"""
PACKAGE = """
backend: "pytorch" platform: "torch_aoti" max_batch_size: 8
input { name: "INPUT__0" data_type: TYPE_FP32 dims: [ 8 ] }
output { name: "OUTPUT__0" data_type: TYPE_FP32 dims: [ 4 ] }
instance_group { count: 1 kind: KIND_CPU }
"""
ONNX = """
backend: "onnxruntime" max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }
instance_group { count: 1 }
dynamic_batching { }
parameters { key: "intra_op_thread_count" value { string_value: "1" } }
"""
SEQUENCE = """
backend: "python" max_batch_size: 4
input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }
instance_group { count: 1 }
sequence_batching {
  oldest { max_candidate_sequences: 4 preferred_batch_size: [ 2 ] }
  control_input { name: "START" control { kind: CONTROL_SEQUENCE_START fp32_false_true: [ 0, 1 ] } }
  control_input { name: "ID" control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64 } }
}
"""
PAIR = """
platform: "ensemble" max_batch_size: 8
input { name: "X" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "Y" data_type: TYPE_FP32 dims: [ 4 ] }
ensemble_scheduling {
  step { model_name: "@first" model_version: -1
    input_map { key: "x" value: "X" } output_map { key: "y" value: "M" } }
  step { model_name: "@second" model_version: -1
    input_map { key: "x" value: "M" } output_map { key: "y" value: "Y" } }
}
"""
CHAIN = """
platform: "ensemble" max_batch_size: 4
input { name: "X" data_type: TYPE_FP32 dims: [ 4 ] }
input { name: "NOTE" data_type: TYPE_STRING dims: [ 1 ] optional: true }
output { name: "Y" data_type: TYPE_FP32 dims: [ 4 ] label_filename: "labels.txt" }
output { name: "M" data_type: TYPE_FP32 dims: [ -1 ] }
ensemble_scheduling {
  step { model_name: "@last" model_version: -1
    input_map { key: "x" value: "N" } output_map { key: "y" value: "Y" } }
  step { model_name: "@first" model_version: 1
    input_map { key: "x" value: "X" } input_map { key: "note" value: "NOTE" }
    output_map { key: "y" value: "M" } }
  step { model_name: "@middle" model_version: 1
    input_map { key: "x" value: "M" } output_map { key: "y" value: "N" } }
}
"""


OUTER = """
platform: "ensemble" max_batch_size: 0
input { name: "X" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "Y" data_type: TYPE_FP32 dims: [ 4 ] }
ensemble_scheduling {
  step { model_name: "@inner" model_version: -1
    input_map { key: "X" value: "X" } output_map { key: "Y" value: "M" } }
  step { model_name: "@many" model_version: -1
    input_map { key: "x" value: "M" } output_map { key: "y" value: "N" } }
  step { model_name: "@join" model_version: -1
    input_map { key: "x" value: "N" } input_map { key: "z" value: "N" }
    output_map { key: "y" value: "Y" } }
}
"""
INNER = """
platform: "ensemble" max_batch_size: 0
input { name: "X" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "Y" data_type: TYPE_FP32 dims: [ -1 ] }
ensemble_scheduling {
  step { model_name: "@join" model_version: -1
    input_map { key: "x" value: "X" } input_map { key: "z" value: "X" }
    output_map { key: "y" value: "Y" } }
}
"""
