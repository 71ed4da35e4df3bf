"""Clients of a server behind TLS and a token, and what they say where they are not let in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.envoy import OTHER_ADDRESS, POOR_TOKEN, TOKEN, Envoy
from tests.running import Served
from trimaran.serving.client import Client, Protocol, UnreachableError
from trimaran.serving.control import Control
from trimaran.serving.denial import DeniedError
from trimaran.system.endpoint import Endpoint
from trimaran.system.listeners import listening_process
from trimaran.system.reaching import why_unreachable

ROWS = {"x": np.arange(16, dtype=np.float32).reshape(2, 8)}
PROTOCOLS: tuple[Protocol, ...] = ("http", "grpc")
WRONG_TOKEN = f"not-{TOKEN}"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_model_answers_as_it_does_without_the_gateway(
    served: Served, envoy: Envoy, protocol: Protocol
) -> None:
    with Client(envoy.endpoint, protocol) as through, served.client(protocol) as direct:
        found, wanted = (client.infer("linear_onnx", ROWS) for client in (through, direct))
    assert found.version == wanted.version
    np.testing.assert_array_equal(found.outputs["y"], wanted.outputs["y"])


def test_what_is_served_can_be_read_though_the_index_is_closed(envoy: Envoy) -> None:
    control = Control(envoy.endpoint)
    assert control.is_live()
    assert control.metadata("linear_onnx")["name"] == "linear_onnx"
    assert "linear_onnx" in {state.name for state in control.index()}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_who_is_not_let_in_reads_why(envoy: Envoy, protocol: Protocol) -> None:
    for token, words in (
        ("", "asks for a token"),
        (WRONG_TOKEN, "refuses the token"),
        (POOR_TOKEN, "does not allow this with this token"),
    ):
        with Client(Endpoint.at(envoy.url, envoy.ca, token), protocol) as client:
            with pytest.raises(DeniedError, match=f"^{envoy.url} {words}") as error:
                client.infer("linear_onnx", ROWS)
            assert token not in str(error.value) or not token


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_wrong_address_or_certificate_is_named_with_its_remedy(
    served: Served, envoy: Envoy, tmp_path: Path, protocol: Protocol
) -> None:
    other_ca = tmp_path / "other.pem"
    other_ca.write_bytes((envoy.ca.parent / "server.pem").read_bytes())
    place = f"localhost:{envoy.port}"
    plain = served.endpoint.http if protocol == "http" else served.endpoint.grpc
    for endpoint, words in (
        (Endpoint.at(envoy.url), f"{envoy.url} is not trusted here .* --ca"),
        (Endpoint.at(envoy.url, other_ca), f"is not signed by a CA in {other_ca} .* --ca"),
        (
            Endpoint.at(f"https://{OTHER_ADDRESS}:{envoy.port}", envoy.ca),
            f"is for localhost, 127.0.0.1, not for {OTHER_ADDRESS}",
        ),
        (Endpoint.at(f"http://{place}"), f"{place} speaks TLS; .* https://{place}"),
        (Endpoint.at(f"https://{plain}", envoy.ca), f"does not speak TLS; .* http://{plain}"),
        (Endpoint.at("https://127.0.0.1:1", envoy.ca), "no server answers at https://127.0.0.1:1"),
    ):
        with pytest.raises(UnreachableError, match=words), Client(endpoint, protocol) as client:
            client.infer("linear_onnx", ROWS)


def test_nothing_is_wrong_with_an_endpoint_that_answers(served: Served, envoy: Envoy) -> None:
    assert why_unreachable(envoy.endpoint) == why_unreachable(served.endpoint) == ""


def test_the_process_that_listens_is_found(envoy: Envoy) -> None:
    assert listening_process(envoy.port) == envoy.pid
    assert listening_process(1) is None
