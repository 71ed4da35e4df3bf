"""A small client over HTTP or gRPC: arrays by name in, arrays by name out.

`read_arrays` reads such arrays from an `.npz` file that a person gives.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal, Self
from zipfile import BadZipFile

import numpy as np

from trimaran.repository import dtypes
from trimaran.serving.connections import grpc_connection, http_connection
from trimaran.serving.denial import denial
from trimaran.system.endpoint import Endpoint
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.reaching import why_unreachable

__all__ = ["Answer", "Client", "Protocol", "UnreachableError", "read_arrays"]

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
    """A connection to one server, for one thread at a time. Use it as a context manager.

    Raises `UnreachableError` where TLS cannot be spoken: gRPC would try again and again.
    """

    def __init__(
        self, endpoint: Endpoint, protocol: Protocol = "http", timeout_s: float = 60.0
    ) -> None:
        self._endpoint = endpoint
        self._authority = endpoint.http if protocol == "http" else endpoint.grpc
        if endpoint.secure and (reason := why_unreachable(endpoint, self._authority)):
            raise UnreachableError(reason)
        # tritonclient takes half a second to import.
        if protocol == "http":
            import tritonclient.http as http

            library: Any = http
            self._client = http_connection(endpoint, timeout_s)
        elif protocol == "grpc":
            import tritonclient.grpc as grpc

            library = grpc
            self._client = grpc_connection(endpoint)
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

    def infer(
        self,
        model: str,
        inputs: Mapping[str, np.ndarray],
        version: str = "",
        request_id: str = "",
    ) -> Answer:
        """Send one request; arrays have the batch as their first axis where the model batches.

        BYTES tensors are arrays of `bytes` with dtype object. Raises `TrimaranError` with the
        server's reason for a refusal, `DeniedError` if a gateway refuses who asks, and
        `UnreachableError` if no server answers.
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
            result = self._client.infer(
                model,
                items,
                model_version=version,
                request_id=request_id,
                headers=dict(self._endpoint.headers),
            )
        except self._library.InferenceServerException as error:
            if denied := denial(self._endpoint, str(error.status()), _own_words(error)):
                raise denied from error
            if error.status() == "StatusCode.UNAVAILABLE" and not self._is_live():
                raise self._unreachable(error.message()) from error
            raise TrimaranError(error.message()) from error
        except (OSError, HTTPException) as error:
            raise self._unreachable(str(error)) from error
        latency_s = time.perf_counter() - began
        names = _output_names(result)
        answered = _response_field(result, "model_version")
        return Answer({name: result.as_numpy(name) for name in names}, answered, latency_s)

    def _unreachable(self, words: str) -> UnreachableError:
        reason = why_unreachable(self._endpoint, self._authority)
        return UnreachableError(reason or f"no Triton answers at {self._authority}: {words}")

    def _is_live(self) -> bool:
        """Whether a server answers: a model may be unavailable too."""
        try:
            return bool(self._client.is_server_live(headers=dict(self._endpoint.headers)))
        except (self._library.InferenceServerException, OSError):
            return False


def read_arrays(path: Path) -> Mapping[str, np.ndarray]:
    """The arrays of an `.npz` file by name, without unpickling. Raises `UsageError`."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, EOFError, TypeError, BadZipFile) as error:
        raise UsageError(f"{path} is not an .npz file of plain arrays: {error}") from error


def _own_words(error: Any) -> str:
    """What a server says of a refusal, also where the library expected JSON."""
    details = error.debug_details()
    return details if isinstance(details, str) else str(error.message())


def _output_names(result: Any) -> list[str]:
    response = result.get_response()
    if isinstance(response, dict):
        return [output["name"] for output in response["outputs"]]
    return [output.name for output in response.outputs]


def _response_field(result: Any, field: str) -> str:
    response = result.get_response()
    return str(response[field] if isinstance(response, dict) else getattr(response, field))
