"""Runs the gateway: what is wanted of it, an Envoy that does it, and changes while it runs."""

from __future__ import annotations

import hashlib
import json
import math
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from envoy_data_plane.envoy.service.discovery.v3 import DiscoveryResponse

from trimaran.gateway.audit import AuditLog, rotate_arms
from trimaran.gateway.configuration import (
    Places,
    Wanted,
    bootstrap,
    cluster_file,
    files,
    whole,
    with_clusters_of,
)
from trimaran.gateway.docs_page import CONTENT_SECURITY_POLICY, page
from trimaran.gateway.envoy import Envoy, judge, running
from trimaran.gateway.health import Health, State
from trimaran.gateway.issuers import Issuers
from trimaran.gateway.keys import (
    SIGNING_KEY,
    Certificate,
    development_certificate,
    read_certificate,
    read_digest_key,
    require_authorities,
)
from trimaran.gateway.listener import Tls
from trimaran.gateway.messages import json_text
from trimaran.gateway.metrics import METRICS_HOST, serving_metrics
from trimaran.gateway.offered import Offered, offered_models
from trimaran.gateway.openapi import document
from trimaran.gateway.presence import announce_gateway
from trimaran.gateway.program import find_envoy
from trimaran.gateway.routes import Page
from trimaran.gateway.settings import Listen, ServerAddress, Settings, read_settings
from trimaran.gateway.streams import serving_streams
from trimaran.gateway.trying import Trying
from trimaran.repository.presence import Presence, find_servers, server_secret
from trimaran.repository.repository import Repository
from trimaran.rollout.traffic.split import Split, splits_of
from trimaran.system.errors import TrimaranError
from trimaran.system.files import exclusive_lock, read_regular, temporary_directory
from trimaran.system.logging import logger
from trimaran.system.ports import is_own_address, require_bindable

__all__ = ["FILE", "Gateway", "judged", "printed", "run", "state_folder"]

FILE = "gateway.toml"
_OWN_SERVER = "local"
"""What the server without a name is called, where `gateway.toml` lists none."""
_LOCK = ".lock"
_LOOK_S = 0.5
_AGAIN_S = 10.0
"""After what time a change that failed is tried again: a disk that was full may have room."""
_OWNER_ONLY = 0o700
_HIDDEN = "(secret)"

_log = logger("gateway")


def state_folder(repository: Repository) -> Path:
    """Where the gateway keeps its keys and files: for its owner only, next to the repository."""
    folder = repository.state / "gateway"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(_OWNER_ONLY)
    return folder


def wanted_of(repository: Repository, path: Path | None, issuers: Issuers | None = None) -> Wanted:
    """What the gateway shall do, by the repository and by `gateway.toml` if there is one.

    `issuers` has keys that are known already. Raises `TrimaranError` for the first thing that
    is wrong with either.
    """
    settings = Settings() if path is None else read_settings(path)
    folder = state_folder(repository)
    models = offered_models(repository)
    names = [model.name for model in models]
    try:
        settings.require_models(names)
        listen = settings.listen
        if listen.certificate and listen.key:
            certificate = Certificate(listen.certificate, listen.key)
            read_certificate(certificate)
        else:
            certificate = development_certificate(folder, listen.address)
        if listen.client_ca:
            require_authorities(listen.client_ca)
        keys = (issuers or Issuers(folder)).accepted(settings)
    except TrimaranError as error:
        raise TrimaranError(f"{path}: {error}" if path else str(error)) from None
    servers, secrets = _servers(repository, settings)
    return Wanted(
        settings=settings,
        servers=servers,
        secrets=secrets,
        keys=keys,
        tls=_tls(certificate, listen.client_ca),
        models=models,
        digest_key=read_digest_key(folder),
        pages=_pages(repository, settings, names),
        splits=_splits(repository, models),
    )


def _splits(repository: Repository, models: Iterable[Offered]) -> tuple[Split, ...]:
    """Those of models that are offered."""
    names = {model.name for model in models}
    return tuple(each for each in splits_of(repository) if each.model in names)


def _tls(files: Certificate, client_ca: Path | None) -> Tls:
    paths = filter(None, (files.certificate, files.key, client_ca))
    digest = hashlib.sha256(b"".join(map(read_regular, paths))).hexdigest()[:16]
    return Tls(files.certificate, files.key, client_ca, digest)


def _pages(repository: Repository, settings: Settings, models: Sequence[str]) -> tuple[Page, ...]:
    """The document of the models, and the page that shows it."""
    described = json.dumps(document(repository, models, settings.default_model))
    policy = {
        "content-security-policy": CONTENT_SECURITY_POLICY,
        "x-content-type-options": "nosniff",
        "cache-control": "no-cache",
    }
    return (
        Page("/openapi.json", described, "application/json", scope="metadata"),
        Page("/docs", page(), "text/html; charset=utf-8", headers=policy),
    )


def _servers(
    repository: Repository, settings: Settings
) -> tuple[tuple[ServerAddress, ...], Mapping[str, str]]:
    """The servers, and what opens the APIs of those that this machine runs on the repository."""
    own = {
        _address(found): server_secret(repository, found.name) for found in find_servers(repository)
    }
    servers = settings.servers or tuple(own)
    secrets = {address.http: secret for address, secret in own.items()}
    return servers, {each.name: secrets[each.http] for each in servers if each.http in secrets}


def _address(found: Presence) -> ServerAddress:
    ports = found.ports
    return ServerAddress(
        found.name or _OWN_SERVER,
        (ports.host, ports.http),
        (ports.host, ports.grpc),
        (ports.host, ports.supervisor),
    )


def run(repository: Repository, path: Path | None, ready: Callable[[Gateway], None]) -> None:
    """Run the gateway until interrupted; `ready` is called once it listens.

    Raises `TrimaranError` where it cannot start, with nothing left behind.
    """
    with ExitStack() as stack:
        folder = state_folder(repository)
        try:
            stack.enter_context(exclusive_lock(folder / _LOCK, wait=False))
        except BlockingIOError:
            raise TrimaranError(
                f"a gateway runs on {repository.root} already; stop that one first"
            ) from None
        places = _places(folder, stack.enter_context(temporary_directory(for_sockets=True)))
        gateway = Gateway(repository, path, places)
        stack.enter_context(gateway.serving())
        port = gateway.wanted.settings.listen.metrics_port
        stack.enter_context(announce_gateway(folder, METRICS_HOST, port))
        ready(gateway)
        gateway.watch()


class Gateway:
    """A gateway at work."""

    def __init__(self, repository: Repository, path: Path | None, places: Places) -> None:
        self._repository = repository
        self._path = path
        self._places = places
        self._program = find_envoy()
        self._lock = threading.Lock()
        self._envoy: Envoy | None = None
        self._issuers = Issuers(places.folder)
        self.wanted = wanted_of(repository, path, self._issuers)
        self._seen = self._fingerprint()
        self.health = Health(
            lambda: self.wanted.asked, self._servers_changed, Trying(places.folder)
        )
        self._told = self.wanted
        """What Envoy's routes are of."""
        self._again_s = math.inf
        self._trying = Trying(places.folder)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Listen during the block. Raises `TrimaranError`."""
        listen = self.wanted.settings.listen
        _require_listenable(listen)
        judge(self._program, whole(self.wanted, self._places), self._places.folder)
        with (
            self._issuers,
            self.health,
            serving_streams(self._places.streams, self._current),
            running(
                self._program,
                bootstrap(self._places, listen.memory_mb),
                self._files(),
                self._places.admin,
                self._places.of,
                self._places.folder / "envoy.log",
            ) as self._envoy,
            serving_metrics(
                listen.metrics_port,
                self._envoy.ask,
                lambda: self.health.states,
                lambda: self._told.splits,
            ),
        ):
            try:
                yield
            finally:
                with self._lock:
                    self._envoy = None

    def watch(self) -> None:
        """Take over changes until interrupted. Raises `TrimaranError` if Envoy ends."""
        envoy = self._running()
        audit = AuditLog(self._places.audit, self.wanted.settings.audit)
        while not envoy.process.wait(_LOOK_S):
            arms = rotate_arms(self._places.arms, is_read=bool(self._told.splits))
            if audit.rotate(time.time()) or arms:
                envoy.ask("POST", "/reopen_logs")
            splits = _splits(self._repository, self.wanted.models)
            if splits != self._told.splits:
                self._trying.is_done(partial(self._follow, splits))
            seen = self._fingerprint()
            if seen != self._seen or time.monotonic() >= self._again_s:
                self._seen = seen
                done = self._trying.is_done(self._take_over)
                self._again_s = math.inf if done else time.monotonic() + _AGAIN_S
        raise TrimaranError(
            f"Envoy ended by itself with status {envoy.process.status}; its log is "
            f"{self._places.folder / 'envoy.log'}"
        )

    def _take_over(self) -> None:
        """Do what is wanted now. Raises `TrimaranError` or `OSError`, and what was before stays."""
        wanted = wanted_of(self._repository, self._path, self._issuers)
        if wanted == self._told:
            return
        if wanted.settings.listen != self._told.settings.listen:
            raise TrimaranError("a change of [listen] needs a new start of the gateway")
        judge(self._program, whole(wanted, self._places), self._places.folder)
        self._change(wanted)
        _log.info("the changed configuration is at work")

    def _follow(self, splits: tuple[Split, ...]) -> None:
        """Divide the traffic so, at once: nothing that a split changes is to be judged."""
        self._change(replace(self.wanted, splits=splits))
        _log.info("; ".join(map(str, splits)) or "no model has a candidate")

    def _change(self, wanted: Wanted) -> None:
        """Have Envoy do what is wanted; what the old routes need goes last."""
        envoy = self._running()
        with self._lock:
            self.wanted = wanted
        self.health.look()
        with self._lock:
            new = self._files()
            envoy.tell(with_clusters_of(new, self._files(self._told)))
            envoy.tell(new)
            self._told = wanted

    def _running(self) -> Envoy:
        if self._envoy is None:
            raise TrimaranError("Envoy does not run")
        return self._envoy

    def _files(self, wanted: Wanted | None = None) -> Mapping[str, DiscoveryResponse]:
        return files(wanted or self.wanted, self.health.states, self._places)

    def _current(self) -> tuple[Settings, Collection[str]]:
        return self.wanted.settings, [model.name for model in self.wanted.models]

    def _servers_changed(self, before: Mapping[str, State], states: Mapping[str, State]) -> None:
        for name, state in states.items():
            _say_change(name, before.get(name), state)
        with self._lock:
            if self._envoy is not None:
                clusters = cluster_file(self._told, states, self._places)
                self._envoy.tell({"clusters": clusters})

    def _fingerprint(self) -> tuple[Any, ...]:
        """What shows that a file or a key has changed that decides what is wanted."""
        listen = self.wanted.settings.listen
        paths = [
            *([self._path] if self._path else []),
            self._places.folder / SIGNING_KEY,
            *(path for path in (listen.certificate, listen.key, listen.client_ca) if path),
            *self._repository.state.glob("server.json"),
            *self._repository.state.glob("servers/*/server.json"),
            *self._repository.root.glob("*/config.pbtxt"),
            *self._repository.root.glob("*/configs/live.pbtxt"),
        ]
        seen = sorted(filter(None, map(_seen, paths)))
        return seen, self._issuers.texts


def _say_change(name: str, before: State | None, now: State) -> None:
    if now.problem and (before is None or before.problem != now.problem):
        _log.warning(f"server {name} gets no requests: {now.problem}")
    elif before is not None and before.problem and not now.problem:
        _log.info(f"server {name} is ready again")
    known = before.missing if before else {}
    for model, why in now.missing.items():
        if known.get(model) != why:
            _log.warning(f"server {name} gets no requests for {model}: {why}")
    for model in known.keys() - now.missing.keys():
        if not now.problem:
            _log.info(f"server {name} answers {model} again")


def _seen(path: Path) -> tuple[str, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return str(path), found.st_ino, found.st_mtime_ns, found.st_size


def _require_listenable(listen: Listen) -> None:
    """Raise `TrimaranError` where a port is in use, or the address is not of this machine."""
    if not is_own_address(listen.address):
        raise TrimaranError(
            f"[listen]: address {listen.address} is not of this machine; choose one of its "
            "own, such as 127.0.0.1, or 0.0.0.0 for all"
        )
    require_bindable(listen.address, listen.port, "port", f"[listen] port in {FILE}")
    key = f"[listen] metrics_port in {FILE}"
    require_bindable(METRICS_HOST, listen.metrics_port, "metrics port", key)


def judged(repository: Repository, path: Path | None) -> Wanted:
    """What the gateway would do, after Envoy accepted it. Raises `TrimaranError`.

    A file for another machine, by the address where it listens, is judged without its ports.
    """
    wanted = wanted_of(repository, path)
    folder = state_folder(repository)
    try:
        with exclusive_lock(folder / _LOCK, wait=False):
            if is_own_address(wanted.settings.listen.address):
                _require_listenable(wanted.settings.listen)
    except BlockingIOError:
        pass  # a gateway that runs has its port
    judge(find_envoy(), whole(wanted, _places(folder)), folder)
    return wanted


def printed(repository: Repository, path: Path | None) -> str:
    """The whole configuration of Envoy as JSON, in which secrets are replaced."""
    wanted = wanted_of(repository, path)
    secrets = dict.fromkeys(wanted.secrets, _HIDDEN)
    folder = state_folder(repository)
    splits = tuple(replace(each, digest_key=_HIDDEN) for each in wanted.splits)
    shown = replace(wanted, secrets=secrets, digest_key=_HIDDEN, splits=splits)
    return json_text(whole(shown, _places(folder)))


def _places(folder: Path, sockets: Path = Path("/tmp/sockets")) -> Places:  # noqa: S108 - unmade
    return Places(folder, sockets / "admin", sockets / "streams")
