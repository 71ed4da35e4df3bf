"""Bad HTTP requests, drawn by a seed: whole requests as bytes, for a raw connection."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from random import Random
from typing import Any

from loadtests.encoding import generate_call, http_call, json_call
from loadtests.payloads import Row
from trimaran.system.errors import TrimaranError

__all__ = ["KINDS", "KNOWN_CRASHES", "HttpRequest", "Subject", "draw_http", "is_known_crash"]

_BAD_TEXT = "@bad-text@"
_BAD_NUMBER = "@bad-number@"
_LONGEST_TENSOR = 2**28
"""Bytes of a tensor that a request may ask for: with more, Triton 2.51 takes gigabytes or ends."""
_DEEPEST = 10_000
_WIDTHS = {"64": 8, "32": 4, "16": 2}
_ALL = 2**64


@dataclass(frozen=True)
class Subject:
    """A model, a good row of it, and the types of its inputs by name."""

    model: str
    row: Row

    def document(self) -> dict[str, Any]:
        """The row as KServe's JSON."""
        return json.loads(json_call(self.model, "", self.row).body)

    def record(self) -> dict[str, Any]:
        """The row as flat JSON; empty where it has none."""
        try:
            return json.loads(generate_call(self.model, "", self.row).body)
        except TrimaranError:
            return {}

    def binary(self) -> tuple[dict[str, Any], bytes]:
        """The row as KServe's header with binary tensors, and their bytes."""
        call = http_call(self.model, "", self.row)
        length = int(call.headers.get("Inference-Header-Content-Length", len(call.body)))
        return json.loads(call.body[:length]), call.body[length:]


@dataclass(frozen=True)
class HttpRequest:
    """What is sent; a `cut` one promises more bytes than come."""

    kind: str
    model: str
    content: bytes
    cut: bool = False


def is_known_crash(document: Any) -> bool:
    """Whether Triton 2.51 takes gigabytes or ends for KServe JSON, whoever serves it.

    It allocates a tensor by its shape, without a look at the data, and its sizes have 64 bits.
    """
    inputs = document.get("inputs") if isinstance(document, dict) else None
    for item in inputs if isinstance(inputs, list) else []:
        if not isinstance(item, dict) or not isinstance(item.get("shape"), list):
            continue
        dims, kind = item["shape"], str(item.get("datatype"))
        if kind == "BYTES" or not all(type(dim) is int and 0 <= dim < _ALL for dim in dims):
            continue  # it looks at the data, or refuses the shape
        width = next((width for bits, width in _WIDTHS.items() if bits in kind), 1)
        rows = prod(dims)
        if max(rows % _ALL, rows * width % _ALL) > _LONGEST_TENSOR:
            return True
    return False


def _post(path: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    given = {
        "Host": "127.0.0.1",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **(headers or {}),
    }
    head = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join([*head, "", ""]).encode("utf-8", "surrogateescape") + body


def _infer(subject: Subject, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    return _post(f"/v2/models/{subject.model}/infer", body, headers)


def _text(document: Any) -> bytes:
    """JSON, with what JSON cannot hold put in at the marks."""
    text = json.dumps(document).encode()
    text = text.replace(_BAD_TEXT.encode(), b"\xff\xfe\xc3(")
    return text.replace(json.dumps(_BAD_NUMBER).encode(), b"1e999")


def _odd(rng: Random) -> Any:
    """A value that is seldom expected."""
    return rng.choice(
        [
            *(None, True, False, -1, 0, 1.5, -0.0, 1e308, float("nan"), float("inf")),
            *(2**31, 2**63 - 1, 2**63, 2**64, -(2**63), 10**40, _BAD_NUMBER, _BAD_TEXT),
            *(
                "",
                "x",
                "\0",
                "\ud800",
                "☃" * 50,
                "x" * rng.randrange(1, 100_000),
                "../../etc",
                "%s",
            ),
            *([], {}, [[]], [None], {"a": {}}, {"": 1}, _nested(rng.choice([50, 990, 1005, 3000]))),
        ]
    )


def _nested(depth: int) -> str:
    """The mark of a list in lists, which `json.dumps` cannot write."""
    return f"@nested-{depth}@"


def _unnested(text: bytes) -> bytes:
    """Put the nested lists in at their marks."""
    while (at := text.find(b'"@nested-')) >= 0:
        end = text.index(b'@"', at + 2)
        depth = int(text[at + 9 : end])
        text = text[:at] + b"[" * depth + b"]" * depth + text[end + 2 :]
    return text


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each container in a document with each of its keys."""
    found = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(found):
        yield value, key
        if isinstance(inner, (dict, list)):
            yield from _places(inner)


def _mutate(rng: Random, document: Any) -> Any:
    """Change one to three places: another value, gone, doubled, or another name."""
    for _ in range(rng.randint(1, 3)):
        places = list(_places(document))
        if not places:
            break
        container, key = rng.choice(places)
        match rng.randrange(5):
            case 0 if isinstance(container, dict):
                del container[key]
            case 1 if isinstance(container, dict):
                container[rng.choice(["x" * 1000, "", _BAD_TEXT, key.upper()])] = container.pop(key)
            case 2 if isinstance(container, list):
                container.insert(key, container[key])
            case _:
                container[key] = _odd(rng)
    return document


def _mutated_document(rng: Random, subject: Subject) -> bytes:
    while is_known_crash(document := _mutate(rng, subject.document())):
        pass
    return _infer(subject, _unnested(_text(document)))


def _mutated_record(rng: Random, subject: Subject) -> bytes:
    body = _unnested(_text(_mutate(rng, subject.record())))
    path = rng.choice(["generate", "generate", "generate_stream", "infer"])
    return _post(f"/v2/models/{subject.model}/{path}", body)


def _mutated_binary(rng: Random, subject: Subject) -> bytes:
    header, raw = subject.binary()
    changed = bytearray(raw or b"\0")
    match rng.randrange(4):
        case 0:  # the length of a text
            changed[:4] = rng.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\1"])
        case 1:
            changed = changed[: rng.randrange(len(changed))]
        case 2:
            for _ in range(rng.randint(1, 20)):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
        case _:
            sizes = [-1, 0, 3, 4, len(raw) + 1, 2**31, 2**63, 2**64, "5", None]
            for item in header["inputs"]:
                item.setdefault("parameters", {})["binary_data_size"] = rng.choice(sizes)
    if rng.random() < 0.3:
        while is_known_crash(header := _mutate(rng, header)):
            header, _ = subject.binary()
    text = _unnested(_text(header))
    length = rng.choice(
        [*[len(text)] * 6, 0, -1, len(text) - 1, len(text) + 1, 10**9, 10**30, "x", ""]
    )
    headers = {"Inference-Header-Content-Length": str(length)}
    return _infer(subject, text + bytes(changed), headers)


def _shape(rng: Random, subject: Subject) -> bytes:
    while True:
        document = subject.document()
        item = rng.choice(document["inputs"])
        dims = [0, 1, 2, 7, 1000, 2**20, 2**31, 2**32, 2**62, 2**63, 2**64, -1, 1.0, "1", None]
        item["shape"] = [rng.choice(dims) for _ in range(rng.randrange(6))]
        if not is_known_crash(document):
            return _infer(subject, _text(document))


def _type(rng: Random, subject: Subject) -> bytes:
    document = subject.document()
    item = rng.choice(document["inputs"])
    kinds = ["FP16", "FP32", "FP64", "BF16", "INT8", "INT64", "UINT8", "BOOL", "BYTES", "", "X", 5]
    item["datatype"] = rng.choice(kinds)
    return _infer(subject, _text(document))


def _parameters(rng: Random, subject: Subject) -> bytes:
    document = subject.document()
    names = [
        *("binary_data_output", "sequence_id", "sequence_start", "priority", "timeout", "triton_x"),
        *("classification", "shared_memory_region", "shared_memory_offset", "binary_data_size"),
        *("unload_dependents", _BAD_TEXT, "x" * 10_000, ""),
    ]
    place = rng.choice([document, *document["inputs"]])
    place["parameters"] = {rng.choice(names): _odd(rng) for _ in range(rng.randint(1, 3))}
    if rng.random() < 0.5:
        document["outputs"] = [{"name": "none", "parameters": {rng.choice(names): _odd(rng)}}]
    return _infer(subject, _unnested(_text(document)))


def _identifier(rng: Random, subject: Subject) -> bytes:
    document = subject.document()
    document["id"] = rng.choice([_odd(rng), "x" * 1_000_000, _BAD_TEXT, "\r\nX: y", "\x1b[2J"])
    return _infer(subject, _unnested(_text(document)))


def _random_text(rng: Random, subject: Subject) -> bytes:
    text = bytearray(_text(subject.document()))
    match rng.randrange(4):
        case 0:
            text = text[: rng.randrange(len(text))]
        case 1:
            for _ in range(rng.randint(1, 10)):
                text[rng.randrange(len(text))] = rng.randrange(256)
        case 2:
            text = bytearray(rng.randbytes(rng.randrange(2000)))
        case _:
            text += rng.choice([b"x", b"{}", b"\0", b"\xef\xbb\xbf"])
    try:
        known = is_known_crash(json.loads(text))
    except ValueError:
        known = False
    return _infer(subject, b"{}" if known else bytes(text))


def _nesting(rng: Random, subject: Subject) -> bytes:
    depth = rng.choice([100, 900, 1000, 1010, 2000, 5000, _DEEPEST])
    inner = b"[" * depth + b"]" * depth * rng.randint(0, 1)
    text = b'{"a":' * (depth // 2) + b"1" + b"}" * (depth // 2)
    body = rng.choice([inner, text])
    if rng.random() < 0.5:
        return _infer(subject, b'{"inputs":' + body + b"}")
    name = next(iter(subject.row)).encode()
    escaped = json.dumps(body.decode()).encode()
    value = rng.choice([body, escaped])
    return _post(f"/v2/models/{subject.model}/generate", b'{"' + name + b'":' + value + b"}")


def _head(rng: Random, subject: Subject) -> bytes:
    """Odd methods, paths, headers and codings around a good body."""
    body = _text(subject.document())
    path = f"/v2/models/{subject.model}/infer"
    match rng.randrange(8):
        case 0:
            method = rng.choice(["GET", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "X" * 5000])
            return _post(path, body).replace(b"POST", method.encode(), 1)
        case 1:
            version = rng.choice(["0", "-1", "x", "9" * 30, "1/2", "..", "%00", "\udcff"])
            return _post(f"/v2/models/{subject.model}/versions/{version}/infer", body)
        case 2:
            name = rng.choice(["", "%2e%2e%2f", "x" * 10_000, "☃", "%ff", "churn%00", "\udcff"])
            return _post(f"/v2/models/{name}/infer", body)
        case 3:
            coding = rng.choice(["gzip", "deflate", "br", "identity", ""])
            packed = gzip.compress(body, mtime=0)
            sent = rng.choice([body, packed, packed[:-9]])
            return _post(path, sent, {"Content-Encoding": coding})
        case 4:
            length = rng.choice(["-1", "x", "", "0", "5", "1e3", "0x10", "5, 6"])
            return _post(path, body, {"Content-Length": length})
        case 5:
            names = {f"X-{at}": "y" * 100 for at in range(rng.choice([10, 200]))}
            return _post(path, body, names)
        case 6:
            wanted = {"Accept-Encoding": "gzip", "Expect": "100-continue", "Connection": "x"}
            return _post(path, body, {**wanted, "Content-Type": rng.choice(["", "text/x", "\0"])})
        case _:
            return rng.randbytes(rng.randrange(1, 500)) + b"\r\n\r\n"


def _chunked(rng: Random, subject: Subject) -> bytes:
    body = _text(subject.document())
    size = rng.choice([max(1, len(body) // 50), len(body)])
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    sent = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    if rng.random() < 0.5:
        sent = sent.replace(b"\r\n", rng.choice([b"\n", b";x\r\n", b"\r\n"]), 1)
    whole = _post(f"/v2/models/{subject.model}/infer", sent, {"Transfer-Encoding": "chunked"})
    return whole.replace(b"Content-Length", b"X-Length", 1)


def _truncated(rng: Random, subject: Subject) -> bytes:
    whole = _infer(subject, _text(subject.document()))
    return whole[: rng.randrange(1, len(whole))]


def _other_endpoint(rng: Random, subject: Subject) -> bytes:
    paths = [
        *(f"/v2/models/{subject.model}{end}" for end in ("", "/config", "/ready", "/stats")),
        *(f"/v2/models/{subject.model}/trace/setting", "/v2/trace/setting", "/v2/logging"),
        *("/v2", "/v2/health/live", "/v2/models/stats", "/v2/repository/index", "/metrics", "/"),
        *("/v2/repository/models/x/load", f"/v2/repository/models/{subject.model}/unload"),
        *("/v2/systemsharedmemory/region/x/register", "/v2/cudasharedmemory/status"),
    ]
    body = _unnested(_text(_mutate(rng, {"parameters": {"config": "{}"}, "key": "x"})))
    sent = _post(rng.choice(paths), body)
    return sent.replace(b"POST", b"GET", 1) if rng.random() < 0.5 else sent


def _damaged_image(rng: Random, subject: Subject) -> bytes:
    """Binary tensors whose text is a changed file, with its right length."""
    header, raw = subject.binary()
    changed = bytearray(raw)
    for _ in range(rng.randint(1, 30)):
        changed[rng.randrange(min(4, len(raw) - 1), len(changed))] = rng.randrange(256)
    text = _text(header)
    headers = {"Inference-Header-Content-Length": str(len(text))}
    return _infer(subject, text + bytes(changed), headers)


KINDS: Mapping[str, Callable[[Random, Subject], bytes]] = {
    "changed KServe JSON": _mutated_document,
    "changed flat JSON": _mutated_record,
    "changed binary tensors": _mutated_binary,
    "shapes": _shape,
    "data types": _type,
    "parameters": _parameters,
    "ids": _identifier,
    "damaged text": _random_text,
    "deep nesting": _nesting,
    "methods, paths and headers": _head,
    "chunks": _chunked,
    "cut off": _truncated,
    "other endpoints": _other_endpoint,
    "damaged content": _damaged_image,
}
"""Every kind of bad request by the page's name for it. Some stay good, such as a changed photo."""


def draw_http(number: int, subjects: tuple[Subject, ...]) -> HttpRequest:
    """Request `number`: the same for the same subjects; the kinds come in turn."""
    rng = Random(f"http {number}")  # noqa: S311 - repeatable, not secret
    kind = list(KINDS)[number % len(KINDS)]
    subject = rng.choice(subjects)
    return HttpRequest(kind, subject.model, KINDS[kind](rng, subject), cut=kind == "cut off")


def _of_shape(datatype: str, shape: list[int]) -> Callable[[Subject], bytes]:
    item = {"name": "x", "shape": shape, "datatype": datatype, "data": [1]}
    return lambda subject: _infer(subject, json.dumps({"inputs": [item]}).encode())


def _million_chunks(subject: Subject) -> bytes:
    head = _post(f"/v2/models/{subject.model}/generate", b"", {"Transfer-Encoding": "chunked"})
    return (
        head.replace(b"Content-Length", b"X-Length", 1) + b"1\r\n \r\n" * 1_000_000 + b"0\r\n\r\n"
    )


KNOWN_CRASHES: Mapping[str, Callable[[Subject], bytes]] = {
    "shape [2, 2^61] of FP32": _of_shape("FP32", [2, 2**61]),
    "shape [2^63, 1] of UINT8": _of_shape("UINT8", [2**63, 1]),
    "shape [2^44, 1] of UINT8": _of_shape("UINT8", [2**44, 1]),
    "JSON nested five million deep": lambda subject: _infer(
        subject, b'{"inputs":' + b"[" * 5_000_000
    ),
    "a million chunks of one byte": _million_chunks,
}
"""What ends tritonserver 2.51 itself, before any model sees it."""
