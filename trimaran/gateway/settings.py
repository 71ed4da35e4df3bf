"""What a person decides about the gateway: the file `gateway.toml`.

```toml
default_model = "churn"           # what /predict and /metadata mean

[listen]
address = "127.0.0.1"
port = 8443
metrics_port = 8004               # figures for Prometheus, on this machine alone
certificate = "tls.crt"           # with its key; without both, a development certificate is made
key = "tls.key"
client_ca = "clients.crt"         # clients must have a certificate of it (mutual TLS)
memory_mb = 1024                  # what Envoy may hold of requests and answers

[[servers]]                       # without one, the server that runs on the repository
name = "a"
http = "127.0.0.1:8000"
grpc = "127.0.0.1:8001"
ready = "127.0.0.1:8003"          # the supervisor's port of a `trimaran serve`

[[issuers]]                       # in addition to this machine's own key
issuer = "https://login.example.com/realms/models"
audience = "trimaran"             # "*" takes tokens for anybody
scope_claim = "scope"             # where its tokens have their scopes: "scp" at some issuers
jwks = "keys.json"                # a file or an address; without it, the issuer is asked for it
keys_s = 60                       # how often keys at an address are fetched
ca = "issuer-ca.crt"              # who signed the issuer's certificate, if not a public authority

[limits]                          # of each client at each model
requests_per_second = 1000
concurrent_requests = 128
body_mb = 16
timeout_s = 60

[models.image_classifier]         # a model's own limits
body_mb = 32

[[clients]]                       # what a client may do beyond the scopes of its token, and limits
subject = "mobile-app"
issuer = "https://login.example.com/realms/models"  # whose subject; needed with several issuers
scopes = ["infer:churn"]
requests_per_second = 10
concurrent_requests = 4

[audit]
megabytes = 64                    # of one file
days = 30                         # after which a file is removed
```

Every key may be left out. Paths are relative to the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from trimaran.gateway.clients import MOST_OF_A_CLIENT, Client, clients_of
from trimaran.gateway.values import (
    address_of,
    file_of,
    host_and_port_of,
    name_of,
    number_of,
    require_url,
    word_of,
)
from trimaran.repository.repository import check_model_name
from trimaran.system.errors import TrimaranError
from trimaran.system.toml_text import (
    nearest,
    parse_toml,
    read_utf8,
    refuse_unknown,
    value_of,
)

__all__ = [
    "ALGORITHMS",
    "ANYBODY",
    "AUDIENCE",
    "ISSUER",
    "Audit",
    "Issuer",
    "Limits",
    "Listen",
    "ServerAddress",
    "Settings",
    "parse_settings",
    "read_settings",
]

ALGORITHMS = ("ES256", "RS256")
"""The signatures of tokens that are accepted."""
AUDIENCE = "trimaran"
"""For whom a token is made, where an issuer's table says nothing else."""
ISSUER = "trimaran"
"""The issuer of tokens that this machine's own key signs."""
ANYBODY = "*"
"""The audience of an issuer whose tokens may be for anybody, or name nobody."""

_KEYS = ("default_model", "listen", "servers", "issuers", "limits", "models", "clients", "audit")
_LIMITS = ("requests_per_second", "concurrent_requests", "body_mb", "timeout_s")
_LEAST_MEMORY_MB, _MOST_MEMORY_MB = 256, 1 << 20
_BODIES_HELD = 4
"""How many of the largest bodies must at least fit into the memory."""
_MOST = {
    **MOST_OF_A_CLIENT,
    "body_mb": 1024,
    "timeout_s": 86_400,
}


@dataclass(frozen=True)
class Listen:
    """Where the gateway listens; paths are absolute, `None` for what it makes itself."""

    address: str = "127.0.0.1"
    port: int = 8443
    metrics_port: int = 8004
    """Where Prometheus reads figures, on loopback."""
    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    memory_mb: int = 1024
    """What Envoy may hold; near it, the largest requests are ended."""


@dataclass(frozen=True)
class ServerAddress:
    """A Triton: `(host, port)` of its HTTP and gRPC, and of its supervisor if it has one."""

    name: str
    http: tuple[str, int]
    grpc: tuple[str, int]
    ready: tuple[str, int] | None = None


@dataclass(frozen=True)
class Issuer:
    """Who makes tokens. `jwks` is a file, an address, or None to ask the issuer itself."""

    issuer: str
    audience: str = AUDIENCE
    scope_claim: str = "scope"
    jwks: Path | str | None = None
    keys_s: int = 60
    ca: Path | None = None


@dataclass(frozen=True)
class Limits:
    """What one client may ask of one model."""

    requests_per_second: int = 1000
    concurrent_requests: int = 128
    body_mb: int = 16
    timeout_s: int = 60


@dataclass(frozen=True)
class Audit:
    """How much of the audit log is kept."""

    megabytes: int = 64
    days: int = 30


@dataclass(frozen=True)
class Settings:
    """What `gateway.toml` says."""

    listen: Listen = Listen()
    servers: tuple[ServerAddress, ...] = ()
    issuers: tuple[Issuer, ...] = ()
    clients: tuple[Client, ...] = ()
    limits: Limits = Limits()
    models: Mapping[str, Limits] = field(default_factory=dict)
    """The limits of models that have their own."""
    default_model: str | None = None
    audit: Audit = Audit()

    def limits_of(self, model: str) -> Limits:
        """What one client may ask of a model."""
        return self.models.get(model, self.limits)

    def scope_claims(self) -> Mapping[str, Sequence[str]]:
        """Where tokens have their scopes, if elsewhere than in `scope`, and of which issuers."""
        claims: dict[str, list[str]] = {}
        for issuer in self.issuers:
            claims.setdefault(issuer.scope_claim, []).append(issuer.issuer)
        claims.pop(Issuer.scope_claim, None)
        return claims

    @property
    def issuer_names(self) -> Sequence[str]:
        """All whose tokens are taken: this machine's own first."""
        return [ISSUER, *(each.issuer for each in self.issuers)]

    def require_models(self, served: Sequence[str]) -> None:
        """Raise `TrimaranError` for a name that is none of the `served` models."""
        named = [("default_model", self.default_model)] if self.default_model else []
        named += [("[models]", name) for name in self.models]
        for client in self.clients:
            scopes = set(client.scopes) - {"infer:*", "metadata", "admin"}
            infers = (scope.removeprefix("infer:") for scope in sorted(scopes))
            named += [(f"[[clients]] {client.subject}: scopes", name) for name in infers]
        for where, name in named:
            if name not in served:
                raise TrimaranError(
                    f"{where}: no model {name!r} is served; {nearest(str(name), served)}"
                    if served
                    else f"{where}: no model {name!r} is served, since none is"
                )


def read_settings(path: Path) -> Settings:
    """The settings in a `gateway.toml`. Raises `TrimaranError` for the first thing wrong."""
    try:
        return parse_settings(read_utf8(path), path.resolve().parent)
    except TrimaranError as error:
        raise TrimaranError(f"{path}: {error}") from None


def parse_settings(text: str, folder: Path) -> Settings:
    """The settings in the text of a `gateway.toml` that lies in `folder`."""
    document = parse_toml(text)
    refuse_unknown(document, _KEYS)
    limits = _limits(_table(document, "limits"), "[limits]: ", Limits())
    audit = _table(document, "audit")
    refuse_unknown(audit, ("megabytes", "days"), "[audit]: ")
    issuers = _issuers(_tables(document, "issuers"), folder)
    models = _models(_table(document, "models"), limits)
    listen = _listen(_table(document, "listen"), folder)
    _require_memory(listen, {"[limits]": limits, **{f"[models.{k}]": v for k, v in models.items()}})
    return Settings(
        listen=listen,
        servers=_servers(_tables(document, "servers")),
        issuers=issuers,
        clients=clients_of(_tables(document, "clients"), [each.issuer for each in issuers], ISSUER),
        limits=limits,
        models=models,
        default_model=value_of(document, "default_model", str, "the name of a model"),
        audit=Audit(
            number_of(audit, "megabytes", "[audit]: ", 65_536) or Audit.megabytes,
            number_of(audit, "days", "[audit]: ", 36_500) or Audit.days,
        ),
    )


def _table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = value_of(document, key, dict, f"a table [{key}]") or {}
    return found


def _tables(document: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    found = value_of(document, key, list, f"tables [[{key}]]") or []
    for each in found:
        if not isinstance(each, dict):
            raise TrimaranError(f"{key} holds {each!r}; expected tables [[{key}]]")
    tables: Sequence[Mapping[str, Any]] = found
    return tables


def _limits(table: Mapping[str, Any], where: str, default: Limits) -> Limits:
    refuse_unknown(table, _LIMITS, where)
    given = {key: number_of(table, key, where, _MOST[key]) for key in table}
    return replace(default, **{key: number for key, number in given.items() if number})


def _models(table: Mapping[str, Any], default: Limits) -> Mapping[str, Limits]:
    for name, limits in table.items():
        check_model_name(name)
        if not isinstance(limits, dict):
            raise TrimaranError(f"models.{name} is {limits!r}; expected a table [models.{name}]")
    return {name: _limits(table[name], f"[models.{name}]: ", default) for name in table}


def _listen(table: Mapping[str, Any], folder: Path) -> Listen:
    where = "[listen]: "
    known = ("address", "port", "metrics_port", "certificate", "key", "client_ca", "memory_mb")
    refuse_unknown(table, known, where)
    address = address_of(table, "address", where, Listen.address)
    paths = {key: file_of(table, key, where, folder) for key in ("certificate", "key", "client_ca")}
    if (paths["certificate"] is None) != (paths["key"] is None):
        missing = "key" if paths["key"] is None else "certificate"
        raise TrimaranError(f"{where}{missing} is missing; a certificate needs its key")
    port = number_of(table, "port", where, 65_535) or Listen.port
    metrics_port = number_of(table, "metrics_port", where, 65_535) or Listen.metrics_port
    if metrics_port == port:
        raise TrimaranError(f"{where}port and metrics_port are {port}; choose another for one")
    memory_mb = number_of(table, "memory_mb", where, _MOST_MEMORY_MB) or Listen.memory_mb
    if memory_mb < _LEAST_MEMORY_MB:
        raise TrimaranError(
            f"{where}memory_mb is {memory_mb}; expected a whole number from {_LEAST_MEMORY_MB} to "
            f"{_MOST_MEMORY_MB}"
        )
    return Listen(address, port, metrics_port, **paths, memory_mb=memory_mb)


def _require_memory(listen: Listen, limits: Mapping[str, Limits]) -> None:
    """Raise `TrimaranError` where a body may be too large for what the gateway may hold."""
    for where, each in limits.items():
        if each.body_mb * _BODIES_HELD > listen.memory_mb:
            raise TrimaranError(
                f"{where}: body_mb is {each.body_mb}, and [listen] memory_mb is "
                f"{listen.memory_mb}; make that at least {each.body_mb * _BODIES_HELD}"
            )


def _servers(tables: Sequence[Mapping[str, Any]]) -> tuple[ServerAddress, ...]:
    servers: list[ServerAddress] = []
    taken: dict[tuple[str, int], str] = {}
    for number, table in enumerate(tables, start=1):
        where = f"[[servers]] {number}: "
        refuse_unknown(table, ("name", "http", "grpc", "ready"), where)
        name = name_of(table, "name", where)
        if name in (server.name for server in servers):
            raise TrimaranError(f"{where}name is {name!r}, as that of another; choose another")
        http, grpc = (host_and_port_of(table, key, where) for key in ("http", "grpc"))
        ready = host_and_port_of(table, "ready", where) if "ready" in table else None
        for key, place in (("http", http), ("grpc", grpc), ("ready", ready)):
            if place in taken:
                raise TrimaranError(
                    f"{where}{key} is {table[key]!r}, as {taken[place]}; give each its own port"
                )
            if place:
                taken[place] = f"{key} of {name!r}"
        servers.append(ServerAddress(name, http, grpc, ready))
    return tuple(servers)


def _issuers(tables: Sequence[Mapping[str, Any]], folder: Path) -> tuple[Issuer, ...]:
    issuers: list[Issuer] = []
    for number, table in enumerate(tables, start=1):
        where = f"[[issuers]] {number}: "
        refuse_unknown(table, [each.name for each in fields(Issuer)], where)
        issuer = word_of(table, "issuer", where)
        if issuer in (each.issuer for each in issuers):
            raise TrimaranError(f"{where}issuer is {issuer!r}, as that of another; remove one")
        jwks = value_of(table, "jwks", str, "a file or an address of keys", where)
        if jwks is None or "://" in jwks:
            require_url(jwks or issuer, f"{where}{'jwks' if jwks else 'issuer'}")
        else:
            jwks = file_of(table, "jwks", where, folder)
        issuers.append(
            Issuer(
                issuer,
                word_of(table, "audience", where, Issuer.audience),
                word_of(table, "scope_claim", where, Issuer.scope_claim),
                jwks,
                number_of(table, "keys_s", where, 86_400) or Issuer.keys_s,
                file_of(table, "ca", where, folder),
            )
        )
    return tuple(issuers)
