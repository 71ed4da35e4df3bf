"""Parameters become the options of ONNX Runtime and PyTorch, and bad ones are refused."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import onnxruntime
import pytest

from tests.running import PROJECT
from trimaran.serving.backends.settings import run_options, session_options


def given(**parameters: str) -> dict[str, Any]:
    """A configuration in Triton's JSON form with these parameters."""
    return {
        "instance_group": [{"count": 1}],
        "parameters": {key: {"string_value": value} for key, value in parameters.items()},
    }


def test_session_options_follow_the_parameters() -> None:
    options = session_options(
        given(
            intra_op_thread_count="3",
            inter_op_thread_count="2",
            execution_mode="1",
            enable_mem_arena="0",
            enable_mem_pattern="OFF",
        )
        | {"optimization": {"graph": {"level": 1}}}
    )
    assert options.intra_op_num_threads == 3
    assert options.inter_op_num_threads == 2
    assert options.execution_mode == onnxruntime.ExecutionMode.ORT_PARALLEL
    assert not options.enable_cpu_mem_arena
    assert not options.enable_mem_pattern


def test_session_options_without_parameters() -> None:
    options = session_options(given(inter_op_thread_count="-1"))
    assert options.inter_op_num_threads == 0
    assert options.execution_mode == onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    assert options.enable_cpu_mem_arena
    assert options.enable_mem_pattern
    assert run_options(given()) is None


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (-1, "ORT_ENABLE_BASIC"),
        (0, "ORT_ENABLE_ALL"),
        (1, "ORT_ENABLE_EXTENDED"),
        (2, "ORT_DISABLE_ALL"),
        (3, "ORT_ENABLE_ALL"),
    ],
)
def test_graph_levels_mean_what_they_mean_natively(level: int, expected: str) -> None:
    options = session_options(given() | {"optimization": {"graph": {"level": level}}})
    levels = onnxruntime.GraphOptimizationLevel
    assert options.graph_optimization_level == getattr(levels, expected)


def test_memory_entries_reach_onnx_runtime() -> None:
    shrinkage, device = (
        "memory.enable_memory_arena_shrinkage",
        "session.use_device_allocator_for_initializers",
    )
    options = session_options(given(**{device: "1"}))
    assert options.get_session_config_entry(device) == "1"
    assert run_options(given(**{shrinkage: "cpu:0"})).get_run_config_entry(shrinkage) == "cpu:0"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (given(execution_mode="2"), "execution_mode are 0 or 1 but got 2"),
        (given(intra_op_thread_count="two"), "failed to convert 'two' to integral number"),
        (given(enable_mem_pattern="yes"), "failed to convert 'yes' to boolean"),
        (
            given()
            | {
                "optimization": {
                    "execution_accelerators": {"cpu_execution_accelerator": [{"name": "warp"}]}
                }
            },
            "unknown Execution Accelerator 'warp' is requested",
        ),
    ],
)
def test_values_that_the_native_backend_refuses(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        session_options(config)


def test_a_library_of_operators_that_is_not_there_is_refused() -> None:
    config = given() | {"model_operations": {"op_library_filename": ["/nowhere/ops.so"]}}
    with pytest.raises(Exception, match=r"ops\.so"):
        session_options(config)


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
from trimaran.serving.backends import settings
settings.apply_torch_settings({{"instance_group": [], "parameters": {given!r}}})
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
