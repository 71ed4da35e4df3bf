"""Inputs in system shared memory: requests name a place, and carry no tensors."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import tritonclient.grpc as triton_grpc
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException, serialize_byte_tensor, shared_memory

from loadtests.payloads.choosing import Row
from trimaran.repository import dtypes
from trimaran.system.errors import TrimaranError
from trimaran.system.ports import Ports

__all__ = ["shared_inputs"]


@contextmanager
def shared_inputs(
    ports: Ports, model: str, version: str, rows: Sequence[Row]
) -> Iterator[list[service_pb2.ModelInferRequest]]:
    """A request for each row, whose tensors lie in one region, registered for the block.

    Raises `TrimaranError` where the server does not take the region.
    """
    name = f"trimaran_bench_{os.getpid()}"
    places: list[dict[str, tuple[bytes, int]]] = []
    size = 0
    for row in rows:
        place = {}
        for key, array in row.items():
            place[key] = (_bytes(array), size)
            size += len(place[key][0])
        places.append(place)
    region = shared_memory.create_shared_memory_region(name, f"/{name}", max(size, 1))
    client = triton_grpc.InferenceServerClient(f"{ports.host}:{ports.grpc}")
    try:
        for place in places:
            for data, offset in place.values():
                shared_memory.set_shared_memory_region(
                    region, [np.frombuffer(data, np.uint8)], offset
                )
        try:
            client.register_system_shared_memory(name, f"/{name}", max(size, 1))
        except InferenceServerException as error:
            raise TrimaranError(f"the server takes no shared memory: {error.message()}") from error
        try:
            yield [
                _request(model, version, name, row, place)
                for row, place in zip(rows, places, strict=True)
            ]
        finally:
            _unregister(client, name)
    finally:
        client.close()
        shared_memory.destroy_shared_memory_region(region)


def _request(
    model: str, version: str, region: str, row: Row, place: dict[str, tuple[bytes, int]]
) -> service_pb2.ModelInferRequest:
    request = service_pb2.ModelInferRequest(model_name=model, model_version=version)
    for name, array in row.items():
        data, offset = place[name]
        item = triton_grpc.InferInput(name, list(array.shape), dtypes.by_numpy(array.dtype).triton)
        item.set_shared_memory(region, len(data), offset)
        request.inputs.append(item._get_tensor())
    return request


def _bytes(array: np.ndarray) -> bytes:
    if array.dtype == object:
        return bytes(serialize_byte_tensor(array).item())
    return np.ascontiguousarray(array).tobytes()


def _unregister(client: triton_grpc.InferenceServerClient, name: str) -> None:
    """A server that went away has forgotten the region by itself."""
    try:
        client.unregister_system_shared_memory(name)
    except InferenceServerException:
        return
