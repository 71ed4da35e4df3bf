"""Everything that Envoy is told, as files that it watches, or as one that can be judged at once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from envoy_data_plane.envoy.config.bootstrap.v3 import (
    Admin,
    Bootstrap,
    BootstrapDynamicResources,
    BootstrapStaticResources,
    LayeredRuntime,
    RuntimeLayer,
)
from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.core.v3 import Address, Node, Pipe, TypedExtensionConfig
from envoy_data_plane.envoy.config.listener.v3 import Listener
from envoy_data_plane.envoy.config.route.v3 import RouteConfiguration
from envoy_data_plane.envoy.extensions.filters.http.jwt_authn.v3 import JwtAuthentication
from envoy_data_plane.envoy.service.discovery.v3 import DiscoveryResponse

from trimaran.gateway.answers import arms_log, audit_log
from trimaran.gateway.clusters import (
    cluster,
    cluster_name,
    shadow_cluster,
    streams_cluster,
)
from trimaran.gateway.counting import stats_config
from trimaran.gateway.health import State
from trimaran.gateway.issuers import Keys
from trimaran.gateway.listener import Tls, listener
from trimaran.gateway.messages import any_of, discovery, struct, watched
from trimaran.gateway.offered import Offered
from trimaran.gateway.overload import overload_manager
from trimaran.gateway.routes import Page, route_table
from trimaran.gateway.scopes import TOKENS
from trimaran.gateway.settings import ServerAddress, Settings
from trimaran.gateway.tokens import tokens_of
from trimaran.rollout.traffic.split import ARMS_LOG, Split

__all__ = [
    "Places",
    "Wanted",
    "bootstrap",
    "cluster_file",
    "files",
    "whole",
    "with_clusters_of",
]

_PROTOCOLS = ("http", "grpc")
_RUNTIME = {
    "re2.max_program_size.error_level": 1_000_000,
    "re2.max_program_size.warn_level": 1_000_000,
}
"""A pattern with the names of all models may be long."""


@dataclass(frozen=True)
class Places:
    """The files and sockets of a gateway."""

    folder: Path
    """State that stays: keys, logs and Envoy's files."""
    admin: Path
    streams: Path

    @property
    def audit(self) -> Path:
        """The audit log."""
        return self.folder / "audit.log"

    @property
    def arms(self) -> Path:
        """The log of requests to models that have a candidate."""
        return self.folder / ARMS_LOG

    def of(self, name: str) -> Path:
        """A file that Envoy watches."""
        return self.folder / "envoy" / f"{name}.json"


@dataclass(frozen=True)
class Wanted:
    """What the gateway shall do now."""

    settings: Settings
    servers: tuple[ServerAddress, ...]
    secrets: Mapping[str, str]
    """What opens the APIs of each server that change it, by its name; empty if not known."""
    keys: Sequence[Keys]
    tls: Tls
    models: tuple[Offered, ...]
    digest_key: str
    """Of the digests of clients that `gateway.toml` does not name: 64 signs at most."""
    pages: tuple[Page, ...] = ()
    splits: tuple[Split, ...] = ()
    """Of models that have a candidate."""

    @property
    def asked(self) -> Mapping[ServerAddress, Collection[Offered]]:
        """The servers that may answer, and what: a candidate's has its own model alone."""
        models = {model.name: model for model in self.models}
        divided = [each for each in self.splits if not each.is_shadow]
        candidates = {candidate(each): (models[each.model],) for each in divided}
        return {**dict.fromkeys(self.servers, self.models), **candidates}


def candidate(split: Split) -> ServerAddress:
    """The server of a candidate."""
    ports = split.ports
    return ServerAddress(
        f"candidate of {split.experiment}",
        (ports.host, ports.http),
        (ports.host, ports.grpc),
        (ports.host, ports.supervisor),
    )


def files(
    wanted: Wanted, states: Mapping[str, State], places: Places
) -> Mapping[str, DiscoveryResponse]:
    """The files that Envoy watches by name, in the order in which to write them.

    `states` says which servers answer which models, by the servers' names.
    """
    return {
        "clusters": cluster_file(wanted, states, places),
        "tokens": discovery([_tokens(wanted)]),
        "routes": discovery([_routes(wanted)]),
        "listeners": discovery(
            [_listener(wanted, places, str(places.of("tokens")), str(places.of("routes")))]
        ),
    }


def cluster_file(wanted: Wanted, states: Mapping[str, State], places: Places) -> DiscoveryResponse:
    """Of those files the one that changes with the servers."""
    return discovery(_clusters(wanted, states, places))


def with_clusters_of(
    new: Mapping[str, DiscoveryResponse], old: Mapping[str, DiscoveryResponse]
) -> Mapping[str, DiscoveryResponse]:
    """New files, with the clusters of old ones too, which old routes still ask."""
    both: dict[str, Cluster] = {}
    for each in (old, new):
        for packed in each["clusters"].resources:
            unpacked = packed.unpack()
            if isinstance(unpacked, Cluster):
                both[unpacked.name] = unpacked
    return {**new, "clusters": discovery(both.values())}


def whole(wanted: Wanted, places: Places) -> Bootstrap:
    """The same as one static configuration, for `envoy --mode validate` and for people."""
    states = {server.name: State(server) for server in wanted.asked}
    found = _begun(places, wanted.settings.listen.memory_mb)
    found.static_resources = BootstrapStaticResources(
        listeners=[_listener(wanted, places, tokens_of(wanted.keys), _routes(wanted))],
        clusters=list(_clusters(wanted, states, places)),
    )
    return found


def bootstrap(places: Places, memory_mb: int) -> Bootstrap:
    """What Envoy is started with: where the files are, and how much it may hold."""
    found = _begun(places, memory_mb)
    found.dynamic_resources = BootstrapDynamicResources(
        cds_config=watched(str(places.of("clusters"))),
        lds_config=watched(str(places.of("listeners"))),
    )
    return found


def _begun(places: Places, memory_mb: int) -> Bootstrap:
    runtime = RuntimeLayer(name="static", static_layer=struct(_RUNTIME))
    return Bootstrap(
        node=Node(id="gateway", cluster="trimaran"),
        admin=Admin(address=Address(pipe=Pipe(path=str(places.admin), mode=0o600))),
        stats_config=stats_config(),
        overload_manager=overload_manager(memory_mb),
        layered_runtime=LayeredRuntime(layers=[runtime]),
    )


def _routes(wanted: Wanted) -> RouteConfiguration:
    secrets = {server.name: wanted.secrets.get(server.name, "") for server in wanted.servers}
    return route_table(
        wanted.settings, wanted.models, secrets, wanted.digest_key, wanted.pages, wanted.splits
    )


def _tokens(wanted: Wanted) -> TypedExtensionConfig:
    return TypedExtensionConfig(name=TOKENS, typed_config=any_of(tokens_of(wanted.keys)))


def _listener(
    wanted: Wanted,
    places: Places,
    tokens: JwtAuthentication | str,
    routes: RouteConfiguration | str,
) -> Listener:
    logs = [audit_log(str(places.audit)), arms_log(str(places.arms))]
    return listener(wanted.settings, wanted.tls, tokens, wanted.models, routes, logs)


def _clusters(wanted: Wanted, states: Mapping[str, State], places: Places) -> Iterator[Cluster]:
    yield streams_cluster(str(places.streams))
    found = [states[each.name] for each in wanted.servers if each.name in states]
    arms = {}
    for each in wanted.splits:
        if each.is_shadow:
            yield shadow_cluster(each.model, each.socket, wanted.settings.listen.memory_mb)
        else:
            arms[each.model] = states.get(candidate(each).name)
    for protocol in _PROTOCOLS:
        answering = [each.server for each in found if not each.problem]
        yield cluster(cluster_name(protocol), protocol, answering)
        for server in answering:
            yield cluster(cluster_name(protocol, client=server.name), protocol, [server])
        for model in wanted.models:
            having = [each.server for each in found if each.has(model)]
            limits = {"": wanted.settings.limits_of(model.name).concurrent_requests}
            limits |= {
                client.name: client.concurrent_requests
                for client in wanted.settings.clients
                if client.concurrent_requests
            }
            for client, limit in limits.items():
                name = cluster_name(protocol, model.name, client)
                yield cluster(name, protocol, having, limit)
                if model.name not in arms:
                    continue
                arm = arms[model.name]
                name = cluster_name(protocol, model.name, client, candidate=True)
                trying = [arm.server] if arm and arm.has(model) else []
                yield cluster(name, protocol, trying, limit, instead=having)
