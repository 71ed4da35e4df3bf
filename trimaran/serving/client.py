"""A small client over HTTP or gRPC: arrays by name in, arrays by name out.

`row_of` and `read_arrays` make such arrays of JSON objects and `.npz` files that a person gives.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self
from zipfile import BadZipFile

import numpy as np

from trimaran.repository import dtypes
from trimaran.repository.config import ModelConfig, inputs_of
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.ports import Ports

__all__ = ["Answer", "Client", "Protocol", "UnreachableError", "as_array", "read_arrays", "row_of"]

Protocol = Literal["http", "grpc"]


class UnreachableError(TrimaranError):
    """No server answers at the address, or it went away."""


@dataclass(frozen=True)
class Answer:
    """One response: outputs by name, the version that answered, and the time it took."""

    outputs: Mapping[str, np.ndarray]
    version: str
    latency_s: float


class Client:
    """A connection to one server, for one thread at a time. Use it as a context manager."""

    def __init__(self, ports: Ports, protocol: Protocol = "http", timeout_s: float = 60.0) -> None:
        # tritonclient takes half a second to import.
        if protocol == "http":
            import tritonclient.http as http

            library: Any = http
            self._client = http.InferenceServerClient(
                f"{ports.host}:{ports.http}",
                connection_timeout=timeout_s,
                network_timeout=timeout_s,
            )
        elif protocol == "grpc":
            import tritonclient.grpc as grpc

            library = grpc
            self._client = grpc.InferenceServerClient(f"{ports.host}:{ports.grpc}")
        else:
            raise UsageError(f"there is no protocol {protocol!r}; choose http or grpc")
        self._library = library

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def infer(self, model: str, inputs: Mapping[str, np.ndarray], version: str = "") -> Answer:
        """Send one request; arrays have the batch as their first axis where the model batches.

        BYTES tensors are arrays of `bytes` with dtype object. Raises `TrimaranError` with the
        server's reason for a refusal, and `UnreachableError` if no server answers.
        """
        items = []
        for name, array in inputs.items():
            try:
                datatype = dtypes.by_numpy(array.dtype).triton
            except KeyError as error:
                raise TrimaranError(
                    f"input {name!r} is {array.dtype}, which Triton cannot carry"
                ) from error
            item = self._library.InferInput(name, list(array.shape), datatype)
            item.set_data_from_numpy(array)
            items.append(item)
        began = time.perf_counter()
        try:
            result = self._client.infer(model, items, model_version=version)
        except self._library.InferenceServerException as error:
            if error.status() == "StatusCode.UNAVAILABLE":
                raise UnreachableError(f"no server answers there: {error.message()}") from error
            raise TrimaranError(error.message()) from error
        except OSError as error:
            raise UnreachableError(f"no server answers there: {error}") from error
        latency_s = time.perf_counter() - began
        names = _output_names(result)
        answered = _response_field(result, "model_version")
        return Answer({name: result.as_numpy(name) for name in names}, answered, latency_s)


def as_array(value: Any, dtype: dtypes.DType, where: str) -> np.ndarray:
    """Nested lists as an array of a Triton type; text becomes UTF-8 bytes.

    Raises `TrimaranError` naming `where` for values that do not fit.
    """
    if dtype.numpy is None:
        raise TrimaranError(f"{where}: {dtype.triton} cannot be given as JSON")
    try:
        if dtype.triton == "BYTES":
            array = np.asarray(value, dtype=object)
            flat = [v if isinstance(v, bytes) else str(v).encode() for v in array.reshape(-1)]
            encoded = np.empty(len(flat), dtype=object)
            encoded[:] = flat
            return encoded.reshape(array.shape)
        exact = np.asarray(value)
        array = exact.astype(dtype.numpy)
        if exact.dtype.kind not in "biuf" or ((array != exact).any() and dtype.numpy.kind in "biu"):
            raise ValueError(f"a value is not {dtype.triton}")
        return array
    except (ValueError, TypeError, OverflowError) as error:
        raise TrimaranError(f"{where}: does not fit {dtype.triton}: {error}") from error


def row_of(config: ModelConfig, given: Any, where: str) -> dict[str, np.ndarray]:
    """One row by input name, from JSON's values; with a batch axis of 1 where the model batches.

    Optional inputs may be left out. Raises `UsageError` naming `where` and the input at fault.
    """
    if not isinstance(given, dict):
        raise UsageError(f"{where} is not an object with the inputs' names")
    specs = {spec.name: spec for spec in inputs_of(config)}
    unknown = sorted(given.keys() - specs.keys())
    if unknown:
        raise UsageError(
            f"{where}: {config.name} has no input {unknown[0]!r}; it has {', '.join(specs)}"
        )
    arrays = {}
    for name, spec in specs.items():
        if name not in given:
            if spec.optional:
                continue
            raise UsageError(f"{where}: input {name!r} is missing")
        value = given[name] if isinstance(given[name], list) else [given[name]]
        array = as_array(value, spec.dtype, f"{where}: input {name!r}")
        arrays[name] = array[None] if config.max_batch_size > 0 else array
    return arrays


def read_arrays(path: Path) -> Mapping[str, np.ndarray]:
    """The arrays of an `.npz` file by name, without unpickling. Raises `UsageError`."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, EOFError, TypeError, BadZipFile) as error:
        raise UsageError(f"{path} is not an .npz file of plain arrays: {error}") from error


def _output_names(result: Any) -> list[str]:
    response = result.get_response()
    if isinstance(response, dict):
        return [output["name"] for output in response["outputs"]]
    return [output.name for output in response.outputs]


def _response_field(result: Any, field: str) -> str:
    response = result.get_response()
    return str(response[field] if isinstance(response, dict) else getattr(response, field))
