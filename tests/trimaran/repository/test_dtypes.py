"""The table of element types agrees with every library that it names."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx.helper import tensor_dtype_to_np_dtype
from tritonclient.grpc.model_config_pb2 import DataType as TritonDataType
from tritonclient.utils import np_to_triton_dtype, triton_to_np_dtype

from trimaran.repository import dtypes
from trimaran.repository.dtypes import DTYPES, DType

EACH = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.triton)


def test_every_type_of_triton_is_in_the_table_once() -> None:
    known = [dtype.config for dtype in DTYPES]
    assert sorted(known) == sorted(set(TritonDataType.keys()) - {"TYPE_INVALID"})


@pytest.mark.parametrize(
    "dtype", [d for d in DTYPES if d.numpy is not None], ids=lambda dtype: dtype.triton
)
def test_numpy_type_is_the_one_that_tritonclient_sends(dtype: DType) -> None:
    assert dtype.numpy is not None
    assert np_to_triton_dtype(dtype.numpy) == dtype.triton
    assert np.dtype(triton_to_np_dtype(dtype.triton)) == dtype.numpy


@EACH
def test_torch_type_has_the_same_values_as_the_numpy_type(dtype: DType) -> None:
    if dtype.torch is None:
        assert dtype.triton == "BYTES"
        return
    torch_dtype = getattr(torch, dtype.torch)
    assert dtypes.by_torch(torch_dtype) is dtype
    assert torch_dtype.is_floating_point == dtype.is_floating
    if dtype.numpy is not None:
        assert torch.zeros(1, dtype=torch_dtype).numpy().dtype == dtype.numpy


@EACH
def test_onnx_number_stands_for_the_same_type(dtype: DType) -> None:
    name = onnx.TensorProto.DataType.Name(dtype.onnx)
    assert dtypes.by_onnx(dtype.onnx) is dtype
    if dtype.triton == "BYTES":
        assert name == "STRING"
    elif dtype.numpy is None:
        assert name == "BFLOAT16"
    else:
        assert tensor_dtype_to_np_dtype(dtype.onnx) == dtype.numpy


@EACH
def test_every_lookup_leads_back(dtype: DType) -> None:
    assert dtypes.by_triton(dtype.triton) is dtype
    assert dtypes.by_config(dtype.config) is dtype
    if dtype.numpy is not None:
        assert dtypes.by_numpy(dtype.numpy) is dtype


@pytest.mark.parametrize("array", [np.array(["a", "bcd"]), np.array([b"a"]), np.array([b"a"], "O")])
def test_texts_of_any_length_are_bytes(array: np.ndarray) -> None:
    assert dtypes.by_numpy(array.dtype).triton == "BYTES"


def test_types_that_triton_cannot_carry_are_unknown() -> None:
    with pytest.raises(KeyError):
        dtypes.by_torch(torch.complex64)
    with pytest.raises(KeyError):
        dtypes.by_numpy(np.dtype("complex64"))
    with pytest.raises(KeyError):
        dtypes.by_onnx(onnx.TensorProto.COMPLEX64)
    with pytest.raises(KeyError):
        dtypes.by_config("TYPE_INVALID")
