"""Who may ask what: over HTTP, gRPC calls, and every message of a gRPC stream."""

from __future__ import annotations

import base64
import hmac
import json
import queue
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from tritonclient.grpc.service_pb2 import ModelInferRequest
from tritonclient.utils import InferenceServerException

from tests.gateway.door import RECORD, Door, call_inputs

UNARY = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"


def request_bytes(model: str) -> bytes:
    """A message for a model, as a client would send it."""
    request = ModelInferRequest(model_name=model)
    for tensor in call_inputs():
        request.inputs.append(tensor._get_tensor())
        if tensor._get_content() is not None:
            request.raw_input_contents.append(tensor._get_content())
    content: bytes = request.SerializeToString()
    return content


def field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


@pytest.mark.parametrize(
    "path",
    [
        "/models/churn/predict",
        "/v2/models/churn/generate",
        "/v2/models/churn/versions/1/generate",
    ],
)
def test_a_token_of_one_model_cannot_ask_another_over_http(door: Door, path: str) -> None:
    answer = door.ask("POST", path, "infer:churn", record=RECORD)
    assert answer.status == 200
    assert answer.json["churn_probability"] > 0.5
    assert answer.headers["x-trimaran-model"] == "churn"
    assert answer.headers["x-trimaran-version"] == answer.json["model_version"]
    other = door.ask("POST", path, "infer:churn_record", "metadata", "admin", record=RECORD)
    assert other.status == 403
    assert other.json["where"] == "gateway"
    assert "the scope 'infer:churn'" in other.json["error"]
    assert other.json["request_id"] == other.headers["x-request-id"]
    assert door.ask("POST", path, record=RECORD).status == 401


def test_a_token_of_one_model_cannot_ask_another_over_grpc(door: Door) -> None:
    with door.calls() as client:
        headers = door.bearer("infer:churn")
        answer = client.infer("churn", call_inputs(), headers=headers)
        assert answer.as_numpy("churn_probability")[0, 0] > 0.5
        for model in ("churn_record", "churn_onnx", "churn_features", "nothing", ""):
            with pytest.raises(InferenceServerException) as refused:
                client.infer(model, call_inputs(), headers=headers)
            assert refused.value.status() in (
                "StatusCode.PERMISSION_DENIED",
                "StatusCode.INVALID_ARGUMENT",
            )
        with pytest.raises(InferenceServerException) as refused:
            client.infer("churn", call_inputs())
        assert refused.value.status() == "StatusCode.UNAUTHENTICATED"


@pytest.mark.parametrize(
    "message",
    [
        field(1, b"churn") + request_bytes("churn_record"),
        request_bytes("churn_record") + field(1, b"churn"),
        b"\x8a\x00\x05churn" + request_bytes("churn_record"),
        request_bytes("churn_record") + b"\x8a\x00\x05churn",
        b"\x08\x01" + request_bytes("churn_record"),
        b"\x0b\x0c" + field(1, b"churn"),
        field(1, b"churn\x00_record"),
        field(1, b"churn") + b"\x3a\xff\xff\xff\xff\x0f",
        request_bytes("churn")[:-1],
        b"",
    ],
    ids=[
        *("first of two", "last of two", "a long tag first", "a long tag last", "another type"),
        *("a group", "a zero byte", "beyond the end", "cut off", "empty"),
    ],
)
def test_a_message_that_does_not_clearly_name_one_model_is_refused(
    door: Door, message: bytes
) -> None:
    with raw_calls(door) as channel:
        call = channel.unary_unary(UNARY)
        with pytest.raises(grpc.RpcError) as refused:
            call(message, metadata=metadata(door, "infer:churn"), timeout=10)
        assert refused.value.code() in (
            grpc.StatusCode.INVALID_ARGUMENT,
            grpc.StatusCode.PERMISSION_DENIED,
        )


def test_a_compressed_message_is_refused_with_the_remedy(door: Door) -> None:
    with raw_calls(door) as channel, pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(UNARY)(
            request_bytes("churn") + field(3, b"x" * 100) * 20,
            metadata=metadata(door, "infer:churn"),
            compression=grpc.Compression.Gzip,
            timeout=10,
        )
    assert "send it uncompressed" in refused.value.details()


def test_no_message_of_a_stream_can_ask_another_model(door: Door) -> None:
    for names in (["churn_record"], ["churn", "churn", "churn_record", "churn"]):
        answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
        with door.calls() as client:
            client.start_stream(
                lambda result, error, answers=answers: answers.put((result, error)),
                headers=door.bearer("infer:churn"),
            )
            for model in names:
                client.async_stream_infer(model, call_inputs())
                result, error = answers.get(timeout=20)
                if model != "churn":
                    # Once answers have begun, a stream can only be reset.
                    said = "does not allow 'churn_record'" if model == names[0] else "RST_STREAM"
                    assert result is None
                    assert said in str(error)
                    break
                assert result.get_response().model_name == "churn"
            client.stop_stream(cancel_requests=True)


def test_messages_of_a_stream_are_looked_at_however_they_are_cut(door: Door) -> None:
    bad = request_bytes("churn_record") + field(3, b"y" * 100)
    good = request_bytes("churn")

    def sent(*messages: bytes) -> Iterator[bytes]:
        yield from messages

    with raw_calls(door) as channel:
        call = channel.stream_stream(STREAM)
        for messages in ((good, bad), (bad,), (field(1, b"churn") + bad,), (bad, good)):
            answers = []
            with pytest.raises(grpc.RpcError) as refused:
                answers.extend(
                    call(sent(*messages), metadata=metadata(door, "infer:churn"), timeout=20)
                )
            assert refused.value.code() is not grpc.StatusCode.DEADLINE_EXCEEDED
            assert not any(b"churn_record" in answer for answer in answers)


def raw_calls(door: Door) -> grpc.Channel:
    certificate = door.certificate.read_bytes()
    return grpc.secure_channel(door.address, grpc.ssl_channel_credentials(certificate))


def metadata(door: Door, *scopes: str) -> list[tuple[str, str]]:
    return list(door.bearer(*scopes).items())


@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/churn/../../repository/index",
        "/v2/models/churn/%2e%2e/churn_record/generate",
        "/v2/models/churn/..%2fchurn_record/generate",
        "/v2/models/churn//generate/",
        "/v2/models/churn_record/generate;/v2/models/churn/generate",
        "/v2/models/churn%00/generate",
        "/v2//repository/index",
        "/V2/models/churn_record/generate",
        "/models/churn_record/predict",
        "/v2/models/churn/versions/1/../../../churn_record/generate",
        "/v2/repository/index",
        "/v2/repository/models/churn/unload",
        "/v2/systemsharedmemory/status",
        "/v2/cudasharedmemory/region/x/register",
        "/v2/trace/setting",
        "/v2/models/churn/trace/setting",
        "/v2/logging",
        "/metrics",
        "/",
        "/v2/models/churn_onnx/infer",
    ],
)
def test_no_path_leads_past_the_scope(door: Door, path: str) -> None:
    for method in ("POST", "GET", "PUT", "DELETE"):
        answer = door.ask(method, path, "infer:churn", record=RECORD)
        assert answer.status in (400, 403, 404, 405), answer.body


def test_a_client_cannot_name_the_model_or_itself_by_headers(door: Door) -> None:
    forged = {"x-trimaran-model": "churn", "x-trimaran-subject": "root", "x-envoy-retry-on": "5xx"}
    with raw_calls(door) as channel, pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(UNARY)(
            request_bytes("churn_record"),
            metadata=[*metadata(door, "infer:churn"), *forged.items()],
            timeout=10,
        )
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    answer = door.ask("POST", "/models/churn/predict", "infer:churn", record=RECORD, headers=forged)
    assert answer.status == 200
    key = (door.state / "digest.key").read_bytes()
    digest = hmac.digest(key, b"tester", "sha256").hex()[:16]
    assert door.audited(answer.headers["x-request-id"])["subject"] == digest


def test_admin_and_metadata_need_their_own_scopes(door: Door) -> None:
    def found(method: str, path: str, *scopes: str) -> int:
        return door.ask(method, path, *scopes, body=b"{}" if method == "POST" else None).status

    assert found("GET", "/models/churn/metadata", "metadata") == 200
    assert found("GET", "/v2/models/churn/config", "metadata") == 200
    assert found("GET", "/models/churn/metadata", "infer:churn") == 403
    assert found("POST", "/v2/repository/index", "admin") == 200
    assert found("POST", "/v2/repository/index", "metadata") == 403
    assert found("GET", "/health/ready") == 200
    with door.calls() as client:
        assert client.is_server_ready()
        headers = door.bearer("metadata")
        assert client.get_model_metadata("churn", headers=headers).name == "churn"
        with pytest.raises(InferenceServerException):
            client.get_model_repository_index(headers=headers)
        index = client.get_model_repository_index(headers=door.bearer("admin"))
        assert "churn" in {model.name for model in index.models}


@pytest.fixture(scope="session")
def claims(door: Door) -> Callable[..., dict[str, Any]]:
    def made(**changed: Any) -> dict[str, Any]:
        now = int(time.time())
        sound = {
            "iss": "trimaran",
            "aud": "trimaran",
            "sub": "tester",
            "scope": "infer:churn",
            "iat": now,
            "exp": now + 600,
        }
        return {key: value for key, value in {**sound, **changed}.items() if value is not None}

    return made


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def by_secret(secret: bytes, header: dict[str, Any], content: dict[str, Any]) -> str:
    signed = f"{encoded(header)}.{encoded(content)}"
    digest = hmac.digest(secret, signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def test_only_sound_tokens_pass(door: Door, claims: Callable[..., dict[str, Any]]) -> None:
    own = door.key._key
    foreign = ECKey.generate_key("P-256", {"kid": own.kid})
    public = own.as_pem(private=False)
    head = {"alg": "ES256", "kid": own.kid}

    def signed(key: Any = own, header: dict[str, Any] = head, **changed: Any) -> str:
        return jwt.encode(header, claims(**changed), key, algorithms=[header["alg"]])

    def status(token: str) -> int:
        headers = {"authorization": f"Bearer {token}"}
        return door.ask("POST", "/models/churn/predict", record=RECORD, headers=headers).status

    now = int(time.time())
    assert status(signed()) == 200
    assert status(signed(scope=["metadata", "infer:churn"])) == 200
    assert status(signed(scope="infer:*")) == 200
    refused = {
        "expired": signed(exp=now - 120),
        "without an end": signed(exp=None),
        "not yet": signed(nbf=now + 600),
        "another issuer": signed(iss="https://elsewhere.example.com"),
        "no issuer": signed(iss=None),
        "for another": signed(aud="elsewhere"),
        "another key": signed(foreign),
        "an unknown key": signed(foreign, {"alg": "ES256", "kid": "unknown"}),
        "an RSA key": signed(RSAKey.generate_key(2048), {"alg": "RS256", "kid": own.kid}),
        "the public key as a secret": by_secret(public, {"alg": "HS256", "kid": own.kid}, claims()),
        "no signature": f"{encoded({'alg': 'none'})}.{encoded(claims())}.",
        "cut off": signed()[:-4],
        "nothing": "",
    }
    found = {what: status(token) for what, token in refused.items()}
    assert found.pop("for another") == 403
    assert set(found.values()) == {401}, found
    for scope in ("infer:churn_record", "infer:chur", "infer:churnn", "xinfer:churn", "infer:", ""):
        assert status(signed(scope=scope)) == 403, scope
    assert status(signed(scope={"infer:churn": 1})) == 403
    # A token is taken from the header alone, since addresses are logged.
    token = signed()
    query = door.ask("POST", f"/models/churn/predict?access_token={token}", record=RECORD)
    assert query.status == 401
