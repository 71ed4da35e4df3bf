"""A real Envoy before a server: TLS for HTTP/1.1, HTTP/2 and gRPC at one address, and a token."""

from __future__ import annotations

import datetime
import ipaddress
import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.programs import require
from tests.running import wait_for
from trimaran.system.endpoint import Endpoint
from trimaran.system.ports import Ports, free_ports

TOKEN = "token.of-a_client"  # noqa: S105 - of a test
POOR_TOKEN = "token.without-scopes"  # noqa: S105 - of a test
INFER_TOKEN = "token.for-inference-only"  # noqa: S105 - of a test
HIDDEN_STEP = "image_labels"
OTHER_ADDRESS = "127.0.0.2"
"""Envoy listens there too, and its certificate does not name it."""


@dataclass(frozen=True)
class Envoy:
    """A running gateway."""

    pid: int
    port: int
    ca: Path
    token_file: Path

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint.at(self.url, self.ca, TOKEN)

    @property
    def options(self) -> list[str]:
        """What has a command go through it."""
        return ["--url", self.url, "--ca", str(self.ca), "--token-file", str(self.token_file)]


@contextmanager
def envoy_before(
    ports: Ports, directory: Path, requests_per_connection: int = 0
) -> Iterator[Envoy]:
    """A gateway before the server on `ports`, with its files in `directory`, for the block.

    A request without a token gets 401, one with `POOR_TOKEN` 403, and with `INFER_TOKEN` only
    inference is answered; health needs none. `HIDDEN_STEP` is not served. After
    `requests_per_connection` a client must connect again; 0 is never.
    """
    directory.mkdir(exist_ok=True)
    port = free_ports().http
    token_file = own_file(directory / "token", TOKEN)
    ca = _certify(directory)
    config = directory / "envoy.json"
    config.write_text(json.dumps(_config(ports, port, directory, requests_per_connection)))
    command = [
        require("envoy").path,
        "--config-path",
        config,
        "--disable-hot-restart",
        "--log-level",
        "off",
    ]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [*map(str, command), "--concurrency", "1"], stdout=log, stderr=log
        )
    try:
        wait_for(lambda: _listens(port) or process.poll() is not None, 30, "Envoy's start")
        assert process.poll() is None, (directory / "log").read_text()
        yield Envoy(process.pid, port, ca, token_file)
    finally:
        process.kill()
        process.wait()


def own_file(path: Path, token: str) -> Path:
    """A file with a token, for its owner alone."""
    path.write_text(f"{token}\n")
    path.chmod(0o600)
    return path


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _certify(directory: Path) -> Path:
    """A CA's certificate, and beside it a server's with its key: `server.pem`, `server.key`."""
    now = datetime.datetime.now(datetime.UTC)

    def builder(name: str, key: Any, issuer: str) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )

    def pem(certificate: x509.Certificate) -> bytes:
        return certificate.public_bytes(serialization.Encoding.PEM)

    own, served = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = builder("test CA", own, "test CA").add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    server = builder("localhost", served, "test CA").add_extension(
        x509.SubjectAlternativeName(names), critical=False
    )
    (directory / "ca.pem").write_bytes(pem(authority.sign(own, hashes.SHA256())))
    (directory / "server.pem").write_bytes(pem(server.sign(own, hashes.SHA256())))
    (directory / "server.key").write_bytes(
        served.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return directory / "ca.pem"


def _config(ports: Ports, port: int, directory: Path, most: int) -> dict[str, Any]:
    def bearer(token: str) -> list[Any]:
        match = {"exact": f"Bearer {token}"}
        return [{"name": "authorization", "string_match": match}]

    def route(prefix: str, action: dict[str, Any], token: str = "") -> dict[str, Any]:
        match: dict[str, Any] = {"prefix": prefix}
        if token:
            match["headers"] = bearer(token)
        return {"match": match, **action}

    def denied(status: int, words: str) -> dict[str, Any]:
        return {"direct_response": {"status": status, "body": {"inline_string": words}}}

    http, grpc = {"route": {"cluster": "http"}}, {"route": {"cluster": "grpc"}}
    routes = [
        route("/v2/health/", http),
        route("/inference.GRPCInferenceService/", grpc, TOKEN),
        route("/v2/repository/", denied(403, "RBAC: access denied")),
        route(f"/v2/models/{HIDDEN_STEP}", denied(404, "nothing is served under this path")),
        route("/", http, TOKEN),
        {"match": {"safe_regex": {"regex": ".*/infer"}, "headers": bearer(INFER_TOKEN)}, **http},
        *(
            route("/", denied(403, "RBAC: access denied"), each)
            for each in (POOR_TOKEN, INFER_TOKEN)
        ),
        route("/", denied(401, "Jwt is missing")),
    ]
    any_type = "type.googleapis.com/envoy.extensions"
    router = {
        "name": "router",
        "typed_config": {"@type": f"{any_type}.filters.http.router.v3.Router"},
    }
    manager = {
        "@type": f"{any_type}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "envoy",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [router],
        "common_http_protocol_options": {"max_requests_per_connection": most} if most else {},
    }
    files = {
        "certificate_chain": {"filename": str(directory / "server.pem")},
        "private_key": {"filename": str(directory / "server.key")},
    }
    tls = {
        "@type": f"{any_type}.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_certificates": [files],
        },
    }
    listener = {
        "name": "envoy",
        "address": _address("127.0.0.1", port),
        "additional_addresses": [{"address": _address(OTHER_ADDRESS, port)}],
        "filter_chains": [
            {
                "filters": [{"name": "http", "typed_config": manager}],
                "transport_socket": {"name": "tls", "typed_config": tls},
            }
        ],
    }
    clusters = [_cluster("http", ports.http), _cluster("grpc", ports.grpc)]
    clusters[1]["typed_extension_protocol_options"] = {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": f"{any_type}.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
    }
    return {"static_resources": {"listeners": [listener], "clusters": clusters}}


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _cluster(name: str, port: int) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _address("127.0.0.1", port)}}
    assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}
    return {"name": name, "type": "STATIC", "load_assignment": assignment}
