"""Settings of the process that a TorchScript model runs in."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.running import PROJECT


def test_settings_of_the_process_follow_the_parameters() -> None:
    parameters = {
        "INTRA_OP_THREAD_COUNT": "3",
        "INTER_OP_THREAD_COUNT": "2",
        "DISABLE_OPTIMIZED_EXECUTION": "on",
        "ENABLE_TENSOR_FUSER": "false",
        "ENABLE_JIT_EXECUTOR": "false",
        "ENABLE_JIT_PROFILING": "false",
    }
    given = {key: {"string_value": value} for key, value in parameters.items()}
    program = f"""
import json, torch
from trimaran.serving.backends import torch_settings
torch_settings.apply({{"instance_group": [], "parameters": {given!r}}})
print(json.dumps([
    torch.get_num_threads(),
    torch.get_num_interop_threads(),
    torch._C._get_graph_executor_optimize(),
    torch._C._jit_texpr_fuser_enabled(),
    torch._C._jit_set_profiling_executor(True),
    torch._C._jit_set_profiling_mode(True),
]))
"""
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert json.loads(found.stdout) == [3, 2, False, False, False, False]
