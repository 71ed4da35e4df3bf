"""The table of element types agrees with every library that it names; specs of tensors."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx.helper import tensor_dtype_to_np_dtype
from tritonclient.grpc.model_config_pb2 import DataType as TritonDataType
from tritonclient.utils import np_to_triton_dtype, triton_to_np_dtype

from tests.trimaran.versions import tensor
from trimaran.repository import dtypes
from trimaran.repository.dtypes import DTYPES, DType, TensorSpec, describe_shape, shapes_agree

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


@pytest.mark.parametrize(
    ("left", "right", "agree"),
    [
        ((), (), True),
        ((3, 224, 224), (3, 224, 224), True),
        ((3, 224, 224), (3, 224, 225), False),
        ((-1,), (7,), True),
        ((7,), (-1,), True),
        ((-1, 3), (-1, 4), False),
        ((1, 3), (3,), False),
        ((-1,), (), False),
    ],
)
def test_shapes_agree(left: tuple[int, ...], right: tuple[int, ...], agree: bool) -> None:
    assert shapes_agree(left, right) is agree
    assert shapes_agree(right, left) is agree


def test_shapes_are_written_as_people_write_them() -> None:
    assert describe_shape([3, -1]) == "[3, -1]"
    assert describe_shape([]) == "[]"
    assert str(tensor("IMAGE", "UINT8", 3, 224)) == "IMAGE UINT8 [3, 224]"


def test_a_model_sees_the_reshape() -> None:
    fp32 = dtypes.by_triton("FP32")
    assert TensorSpec("x", fp32, (1,), ()).model_dims == ()
    assert TensorSpec("x", fp32, (1, 4), (4,)).model_dims == (4,)
    assert TensorSpec("x", fp32, (4,)).model_dims == (4,)
