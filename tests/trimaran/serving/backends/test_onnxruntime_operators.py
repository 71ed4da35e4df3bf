"""What only some ONNX models have: operators of a user's own library, and the type BF16."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import tritonclient.http
from onnx import TensorProto, helper

from tests.programs import COMPILER, require
from tests.running import start_serving, wait_for
from tests.trimaran.serving.backends.onnx_models import (
    ONNX_BACKENDS,
    X,
    Y,
    config,
    graph,
    ones,
    onnx_model,
    value,
)
from tests.trimaran.serving.hosting import Model, hosted, tensor
from trimaran.repository.repository import Repository
from trimaran.serving.runtime import OnnxBackend
from trimaran.system.compiler import find_compiler

pytestmark = pytest.mark.long

DOMAIN = "trimaran.tests"

LIBRARY = """\
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

// Of ONNX Runtime's C interface, what an operator with one input and one output needs.
using Status = void*;
using Table = const void* const*;
struct ApiBase { const void* (*GetApi)(std::uint32_t); const char* (*GetVersionString)(); };
struct Operator {
  std::uint32_t version;
  void* (*CreateKernel)(const Operator*, const void* api, const void* info);
  const char* (*GetName)(const Operator*);
  const char* (*GetExecutionProviderType)(const Operator*);
  int (*GetInputType)(const Operator*, std::size_t);
  std::size_t (*GetInputTypeCount)(const Operator*);
  int (*GetOutputType)(const Operator*, std::size_t);
  std::size_t (*GetOutputTypeCount)(const Operator*);
  void (*KernelCompute)(void* kernel, void* context);
  void (*KernelDestroy)(void* kernel);
  int (*GetInputCharacteristic)(const Operator*, std::size_t);
  int (*GetOutputCharacteristic)(const Operator*, std::size_t);
  const void* newer[16];
};

static constexpr std::uint32_t kVersion = 12;
static Table api;

template <typename... Arguments>
static Status call(int position, Arguments... arguments) {
  return reinterpret_cast<Status (*)(Arguments...)>(const_cast<void*>(api[position]))(arguments...);
}

static void add_half(void*, void* context) {
  const void* in = nullptr;
  void *out = nullptr, *info = nullptr, *from = nullptr, *to = nullptr;
  std::size_t rank = 0, count = 0;
  std::int64_t dims[8];
  call(90, context, std::size_t(0), &in);                        // KernelContext_GetInput
  call(65, in, &info);                                           // GetTensorTypeAndShape
  call(61, const_cast<const void*>(info), &rank);                // GetDimensionsCount
  call(62, const_cast<const void*>(info), &dims[0], rank);       // GetDimensions
  call(64, const_cast<const void*>(info), &count);               // GetTensorShapeElementCount
  call(91, context, std::size_t(0), &dims[0], rank, &out);       // KernelContext_GetOutput
  call(51, const_cast<void*>(in), &from);                        // GetTensorMutableData
  call(51, out, &to);
  for (std::size_t at = 0; at < count; ++at) {
    if (std::isnan(static_cast<float*>(from)[at])) std::abort();
    static_cast<float*>(to)[at] = static_cast<float*>(from)[at] + 0.5f;
  }
  reinterpret_cast<void (*)(void*)>(const_cast<void*>(api[99]))(info);  // its release
}

static const Operator kAddHalf = {
    kVersion,
    [](const Operator*, const void*, const void*) -> void* { return &api; },
    [](const Operator*) { return "AddHalf"; },
    [](const Operator*) -> const char* { return nullptr; },
    [](const Operator*, std::size_t) { return 1; },
    [](const Operator*) -> std::size_t { return 1; },
    [](const Operator*, std::size_t) { return 1; },
    [](const Operator*) -> std::size_t { return 1; },
    add_half,
    [](void*) {},
    [](const Operator*, std::size_t) { return 0; },
    [](const Operator*, std::size_t) { return 0; },
    {},
};

extern "C" Status RegisterCustomOps(void* options, const ApiBase* base) {
  api = static_cast<Table>(base->GetApi(kVersion));
  void* domain = nullptr;
  if (Status status = call(26, "trimaran.tests", &domain)) return status;  // CreateCustomOpDomain
  if (Status status = call(27, domain, &kAddHalf)) return status;    // CustomOpDomain_Add
  return call(28, options, domain);                                  // AddCustomOpDomain
}
"""


@pytest.fixture(scope="module")
def half_added(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """`y = x + 0.5` by an operator of a library."""
    require(COMPILER)
    folder = tmp_path_factory.mktemp("own operators")
    source, library = folder / "own.cc", folder / "own.so"
    source.write_text(LIBRARY)
    compiler = find_compiler()
    command = [compiler.command, "-std=c++17", "-shared", "-fPIC", source, "-o", library]
    subprocess.run(command, env={**os.environ, **compiler.environment}, check=True)
    own = helper.make_node("AddHalf", ["x"], ["y"], domain=DOMAIN)
    model = graph([own], [value("x", (None, 4))], [value("y", (None, 4))])
    model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    more = f'model_operations {{ op_library_filename: "{library}" }}\n'
    return onnx_model("own", config(X, Y, batch=8, more=more), model)


@pytest.mark.parametrize("backend", ONNX_BACKENDS)
def test_operators_come_from_the_named_library(
    half_added: Model, backend: OnnxBackend, tmp_path: Path
) -> None:
    rows = np.arange(8, dtype=np.float32).reshape(2, 4)
    with hosted(tmp_path, [half_added], backend) as server:
        np.testing.assert_array_equal(server.infer("own", {"x": rows})["y"], rows + 0.5)


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        (OnnxBackend.native, "tritonserver ended by itself with status -6"),
        (OnnxBackend.python, "own version 1: stub"),
    ],
)
def test_a_crash_within_onnx_runtime_is_told_and_healed(
    half_added: Model, backend: OnnxBackend, words: str, tmp_path: Path
) -> None:
    repository = Repository.create(tmp_path / "models")
    half_added.write(repository)
    served = start_serving(repository, "--onnx-backend", backend.value)
    assert served.refusal("own", {"x": np.full((1, 4), np.nan, np.float32)})
    wait_for(lambda: served.said(words), 60, "the crash")
    wait_for(lambda: not served.refusal("own", {"x": ones(1, 4)}), 60, "an answer")
    served.stop()


@pytest.mark.parametrize("backend", ONNX_BACKENDS)
def test_bf16_is_served_in_c_and_refused_in_python(backend: OnnxBackend, tmp_path: Path) -> None:
    kind = TensorProto.BFLOAT16
    node = helper.make_node("Identity", ["x"], ["y"])
    model = graph([node], [value("x", (None, 2), kind)], [value("y", (None, 2), kind)])
    tensors = tensor("input", "x", "BF16", [2]), tensor("output", "y", "BF16", [2])
    with hosted(
        tmp_path, [onnx_model("bf16", config(*tensors, batch=4), model)], backend
    ) as server:
        if backend is OnnxBackend.python:
            assert "BF16" in server.reason("bf16")
            return
        exact = np.array([[1.5, -0.0], [np.inf, 2.0**-130]], ml_dtypes.bfloat16)
        x = tritonclient.http.InferInput("x", exact.shape, "BF16")
        x.set_data_from_numpy(exact)
        address = f"{server.server.ports.host}:{server.server.ports.http}"
        with tritonclient.http.InferenceServerClient(address) as client:
            y = client.infer("bf16", [x]).as_numpy("y")
        assert y.tobytes() == exact.tobytes()
