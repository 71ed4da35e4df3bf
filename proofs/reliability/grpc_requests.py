"""Bad gRPC calls, drawn by a seed: a method and the bytes of its message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from google.protobuf.message import Message
from tritonclient.grpc import service_pb2

from loadtests.encoding import GRPC_METHOD, grpc_request
from proofs.reliability.http_requests import Subject

__all__ = ["KINDS", "GrpcCall", "draw_grpc"]

_SERVICE = "/inference.GRPCInferenceService"
_DIMS = (0, 1, 2, 7, 1000, 2**20, 2**31, 2**32, 2**61, 2**62, 2**63 - 1, -1, -(2**63))
_TYPES = ("FP16", "FP32", "FP64", "BF16", "INT8", "INT64", "UINT8", "BOOL", "BYTES", "", "X")
_NAMES = ("", "x", "../../etc", "x" * 100_000, "☃", "\0", "%s%n", "\x1b[2J")
_PLACEHOLDER = "PLACEHOLDER"


@dataclass(frozen=True)
class GrpcCall:
    """What is sent to a method."""

    kind: str
    model: str
    method: str
    message: bytes


Made = tuple[str, bytes]


def _good(subject: Subject) -> service_pb2.ModelInferRequest:
    return grpc_request(subject.model, "", subject.row)


def _infer(request: Message) -> Made:
    return GRPC_METHOD, request.SerializeToString()


def _shapes(rng: Random, subject: Subject) -> Made:
    request = _good(subject)
    item = rng.choice(request.inputs)
    del item.shape[:]
    item.shape.extend(rng.choice(_DIMS) for _ in range(rng.randrange(6)))
    if rng.random() < 0.3:
        del request.raw_input_contents[:]
        item.contents.fp32_contents.append(1.0)
    return _infer(request)


def _types(rng: Random, subject: Subject) -> Made:
    request = _good(subject)
    rng.choice(request.inputs).datatype = rng.choice(_TYPES)
    return _infer(request)


def _contents(rng: Random, subject: Subject) -> Made:
    request = _good(subject)
    at = rng.randrange(len(request.raw_input_contents))
    raw = bytearray(request.raw_input_contents[at])
    match rng.randrange(6):
        case 0:
            raw[:4] = rng.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\1"])
        case 1:
            raw = raw[: rng.randrange(len(raw) + 1)]
        case 2:
            raw += rng.randbytes(rng.randrange(1, 100))
        case 3:
            request.raw_input_contents.append(b"\0" * rng.randrange(100))
        case 4:
            kinds = ("bool", "int", "int64", "uint", "uint64", "fp32", "fp64")
            filled = getattr(request.inputs[at].contents, f"{rng.choice(kinds)}_contents")
            filled.extend([1] * rng.randrange(1, 1000))
            request.inputs[at].contents.bytes_contents.append(rng.randbytes(50))
        case _:
            for _ in range(rng.randint(1, 30)):
                raw[rng.randrange(len(raw))] = rng.randrange(256)
    request.raw_input_contents[at] = bytes(raw)
    if rng.random() < 0.1:
        del request.raw_input_contents[:]
    return _infer(request)


def _parameters(rng: Random, subject: Subject) -> Made:
    request = _good(subject)
    names = [
        *("sequence_id", "sequence_start", "priority", "timeout", "triton_x", "binary_data_size"),
        *("classification", "shared_memory_region", "shared_memory_byte_size", "", "x" * 10_000),
    ]
    place = rng.choice([request, *request.inputs])
    for _ in range(rng.randint(1, 3)):
        parameter = place.parameters[rng.choice(names)]
        match rng.randrange(5):
            case 0:
                parameter.int64_param = rng.choice([-1, 2**63 - 1, -(2**63)])
            case 1:
                parameter.string_param = rng.choice(_NAMES)
            case 2:
                parameter.bool_param = True
            case 3:
                parameter.double_param = rng.choice([float("nan"), float("inf"), -1.0])
            case _:
                pass
    if rng.random() < 0.5:
        output = request.outputs.add(name=rng.choice(["x", "", "churn_probability", "LABEL"]))
        output.parameters[rng.choice(names)].int64_param = rng.choice([-1, 0, 2**62])
    return _infer(request)


def _names(rng: Random, subject: Subject) -> Made:
    request = _good(subject)
    match rng.randrange(5):
        case 0:
            request.id = rng.choice([*_NAMES, "x" * 1_000_000])
        case 1:
            request.model_name = rng.choice(_NAMES)
        case 2:
            request.model_version = rng.choice(["0", "-1", "x", "9" * 30, "1.5", ""])
        case 3:
            rng.choice(request.inputs).name = rng.choice(_NAMES)
        case _:
            request.inputs.append(request.inputs[0])
    return _infer(request)


def _bad_text(rng: Random, subject: Subject) -> Made:
    """Text that is not UTF-8 in a field that must be."""
    request = _good(subject)
    match rng.randrange(4):
        case 0:
            request.id = _PLACEHOLDER
        case 1:
            request.parameters[_PLACEHOLDER].int64_param = 1
        case 2:
            request.inputs[0].name = _PLACEHOLDER
        case _:
            request.parameters["p"].string_param = _PLACEHOLDER
    bad = b"\xff\xfe\xc3(" + b"\x80" * (len(_PLACEHOLDER) - 4)
    method, message = _infer(request)
    return method, message.replace(_PLACEHOLDER.encode(), bad)


def _damaged(rng: Random, subject: Subject) -> Made:
    message = bytearray(_good(subject).SerializeToString())
    match rng.randrange(3):
        case 0:
            message = message[: rng.randrange(len(message))]
        case 1:
            for _ in range(rng.randint(1, 10)):
                message[rng.randrange(len(message))] = rng.randrange(256)
        case _:
            message = bytearray(rng.randbytes(rng.randrange(3000)))
    return GRPC_METHOD, bytes(message)


def _missing(rng: Random, subject: Subject) -> Made:
    request = _good(subject)
    for field in rng.sample(["inputs", "raw_input_contents", "model_name"], rng.randint(1, 2)):
        request.ClearField(field)
    return _infer(request)


def _others(rng: Random, subject: Subject) -> Made:
    """Other methods, those that only the owner may call among them."""
    methods = [
        *("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata"),
        *("ModelConfig", "ModelStatistics", "RepositoryIndex", "RepositoryModelLoad"),
        *("RepositoryModelUnload", "SystemSharedMemoryRegister", "CudaSharedMemoryStatus"),
        *("TraceSetting", "LogSettings", "ModelStreamInfer", "NoSuchMethod"),
    ]
    named = service_pb2.ModelReadyRequest(name=rng.choice([*_NAMES, subject.model]), version="x")
    message = rng.choice([b"", named.SerializeToString(), rng.randbytes(rng.randrange(300))])
    return f"{_SERVICE}/{rng.choice(methods)}", message


KINDS: Mapping[str, Callable[[Random, Subject], Made]] = {
    "shapes": _shapes,
    "data types": _types,
    "contents": _contents,
    "parameters": _parameters,
    "names, versions and ids": _names,
    "text that is not UTF-8": _bad_text,
    "damaged messages": _damaged,
    "missing fields": _missing,
    "other methods": _others,
}
"""Every kind of bad call by the page's name for it. Some stay good, such as a changed photo."""


def draw_grpc(number: int, subjects: tuple[Subject, ...]) -> GrpcCall:
    """Call `number`: the same for the same subjects; the kinds come in turn."""
    rng = Random(f"grpc {number}")  # noqa: S311 - repeatable, not secret
    kind = list(KINDS)[number % len(KINDS)]
    subject = rng.choice(subjects)
    return GrpcCall(kind, subject.model, *KINDS[kind](rng, subject))
