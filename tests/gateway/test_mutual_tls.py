"""Certificates of `gateway.toml`: clients show one, and the gateway's own may be renewed."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
import urllib3
from cryptography import x509

from tests.gateway.certificates import Authority, Pair
from tests.running import Running, wait_for
from trimaran.gateway.run import FILE
from trimaran.repository.repository import Repository
from trimaran.system.ports import free_ports

pytestmark = pytest.mark.long


@dataclass(frozen=True)
class Guarded:
    """A gateway whose clients must have a certificate of `clients`."""

    running: Running
    address: str
    own: Authority
    clients: Authority

    def status(self, shown: Pair | None) -> int:
        """What it answers to a client that shows a certificate, or none."""
        context = ssl.create_default_context(cafile=str(self.own.file))
        if shown:
            context.load_cert_chain(shown.certificate, shown.key)
        with urllib3.PoolManager(ssl_context=context, retries=False, timeout=10) as pool:
            return pool.request("GET", self.address).status


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    own, clients = authority(tmp_path_factory, "own"), authority(tmp_path_factory, "clients")
    folder = tmp_path_factory.mktemp("guarded")
    repository = Repository.create(folder / "model_repository")
    pair, port = own.pair(), free_ports().http
    config = folder / FILE
    config.write_text(
        f'[listen]\nport = {port}\ncertificate = "{pair.certificate}"\nkey = "{pair.key}"\n'
        f'client_ca = "{clients.file}"\n'
    )
    running = Running("gateway", "up", "--repository", repository.root, "--config", config)
    running.until_said("Press Ctrl-C to stop", 60)
    yield Guarded(running, f"https://localhost:{port}/v2", own, clients)
    running.stop()


def authority(factory: pytest.TempPathFactory, name: str) -> Authority:
    return Authority(factory.mktemp(name), name)


def test_a_client_with_a_certificate_of_the_authority_still_needs_a_token(guarded: Guarded) -> None:
    assert guarded.status(guarded.clients.pair("mobile")) == 401


def test_a_client_without_a_certificate_of_the_authority_is_refused(
    guarded: Guarded, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # Of the same name as the authority that is trusted.
    other = authority(tmp_path_factory, "clients")
    expired = guarded.clients.pair("expired", ends=timedelta(hours=-1))
    for shown in (None, other.pair("mobile"), guarded.own.pair("mobile"), expired):
        with pytest.raises((urllib3.exceptions.SSLError, urllib3.exceptions.ProtocolError)):
            guarded.status(shown)


def test_a_renewed_certificate_is_taken_over(guarded: Guarded) -> None:
    host, port = guarded.address.removeprefix("https://").removesuffix("/v2").split(":")

    def shown() -> int:
        pem = ssl.get_server_certificate((host, int(port)), ca_certs=str(guarded.own.file))
        return x509.load_pem_x509_certificate(pem.encode()).serial_number

    before, since = shown(), len(guarded.running.lines)
    guarded.own.pair()
    wait_for(lambda: guarded.running.said("is at work", since), 20, "a renewed certificate")
    assert shown() != before
    assert guarded.status(guarded.clients.pair("mobile")) == 401
