"""A real OpenID issuer that runs here: Debian's glewlwyd, set up over its own API."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import urllib3
from joserfc.jwk import ECKey, KeySet, RSAKey

from tests.gateway.certificates import Authority
from tests.gateway.door import RECORD, Door, Reply
from tests.programs import require
from tests.running import wait_for
from trimaran.system.ports import free_ports

__all__ = ["AUDIENCE", "PREDICT", "Issuer", "asked", "new_key", "trusting"]

AUDIENCE = "https://models.example.com"
"""For whom its tokens are; it takes only an address."""
PREDICT = "/models/churn/predict"
SECRET = "a-secret-of-tests"  # noqa: S105 - of an issuer that lives for one test

_CONFIGURATION = """\
port = {port}
bind_address = "127.0.0.1"
external_url = "https://localhost:{port}/"
login_url = "login.html"
api_prefix = "api"
log_mode = "console"
log_level = "ERROR"
cookie_secure = 1
session_key = "session"
admin_scope = "g_admin"
profile_scope = "g_profile"
user_module_path = "{modules}/user"
client_module_path = "{modules}/client"
user_auth_scheme_module_path = "{modules}/scheme"
plugin_module_path = "{modules}/plugin"
use_secure_connection = true
secure_connection_key_file = "{key}"
secure_connection_pem_file = "{certificate}"
hash_algorithm = "SHA512"
database = {{ type = "sqlite3"; path = "{folder}/issuer.sqlite"; }};
"""
_TABLES = "usr/share/dbconfig-common/data/glewlwyd/install/sqlite3"


class Issuer:
    """An issuer at work, whose tokens may have these scopes. `authority` signs its certificate."""

    def __init__(self, folder: Path, authority: Authority, scopes: Sequence[str]) -> None:
        self._folder = folder
        self._port = free_ports().http
        self._program = require("glewlwyd")
        self._scopes = scopes
        root = self._program.path.parents[2]
        tables = sqlite3.connect(folder / "issuer.sqlite")
        tables.executescript((root / _TABLES).read_text())
        tables.close()
        pair = authority.pair("localhost")
        (folder / "issuer.conf").write_text(
            _CONFIGURATION.format(
                port=self._port,
                folder=folder,
                modules=root / "usr/lib/glewlwyd",
                key=pair.key,
                certificate=pair.certificate,
            )
        )
        self._pool = urllib3.PoolManager(ca_certs=str(authority.file), retries=False, timeout=10)
        self.start()
        self._set_up()

    @property
    def name(self) -> str:
        """The issuer in its tokens."""
        return f"{self._base}/oidc"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(
            [self._program.path, "-c", self._folder / "issuer.conf"],
            env={**os.environ, **self._program.environment},
        )
        wait_for(self._answers, 20, "an answer of the issuer")

    def stop(self) -> None:
        """End it; it can be started again."""
        self._process.terminate()
        self._process.wait(20)

    def token(self, client: str, *scopes: str) -> str:
        """What a client gets for its secret (client credentials)."""
        response = self._pool.request(
            "POST",
            f"{self.name}/token",
            fields={
                "grant_type": "client_credentials",
                "client_id": client,
                "client_secret": SECRET,
                "scope": " ".join(scopes),
                "resource": AUDIENCE,
            },
            encode_multipart=False,
        )
        assert response.status == 200, response.data
        token: str = response.json()["access_token"]
        return token

    def keys(self) -> bytes:
        """The public keys that it publishes."""
        return self._pool.request("GET", f"{self.name}/jwks").data

    def rotate(self, *keys: ECKey | RSAKey) -> None:
        """Sign with the first of these keys from now on, and publish all of them."""
        self._change("PUT", "/mod/plugin/oidc", self._plugin(keys))
        self._change("PUT", "/mod/plugin/oidc/reset")

    def _set_up(self) -> None:
        self._cookie: Mapping[str, str] = {}
        answer = self._change("POST", "/auth/", {"username": "admin", "password": "password"})
        self._cookie = {"cookie": answer.headers["set-cookie"].partition(";")[0]}
        for scope in self._scopes:
            content = {"name": scope, "display_name": scope, "password_required": False}
            self._change("POST", "/scope/", {**content, "scheme": {}})
        self._change("POST", "/mod/plugin/", self._plugin([new_key("first")]))
        for client in ("mobile", "reader", "infer:churn"):
            self._change(
                "POST",
                "/client/",
                {
                    "client_id": client,
                    "name": client,
                    "confidential": True,
                    "client_secret": SECRET,
                    "enabled": True,
                    "authorization_type": ["client_credentials"],
                    "token_endpoint_auth_method": ["client_secret_post"],
                    "scope": list(self._scopes),
                },
            )

    def _plugin(self, keys: Sequence[ECKey | RSAKey]) -> Mapping[str, Any]:
        return {
            "module": "oidc",
            "name": "oidc",
            "display_name": "oidc",
            "parameters": {
                "iss": self.name,
                "jwks-private": json.dumps(KeySet(keys).as_dict(private=True)),
                "jwks-show": True,
                "access-token-duration": 3600,
                "refresh-token-duration": 3600,
                "code-duration": 600,
                "refresh-token-rolling": True,
                "allow-non-oidc": True,
                "auth-type-client-enabled": True,
                "resource-allowed": True,
                "resource-scope": {scope: [AUDIENCE] for scope in self._scopes},
            },
        }

    @property
    def _base(self) -> str:
        return f"https://localhost:{self._port}/api"

    def _answers(self) -> bool:
        assert self._process.poll() is None, "the issuer ended by itself"
        try:
            return bool(self._pool.request("GET", f"{self._base}/").status)
        except urllib3.exceptions.HTTPError:
            return False

    def _change(self, method: str, path: str, content: Any = None) -> urllib3.BaseHTTPResponse:
        response = self._pool.request(method, self._base + path, json=content, headers=self._cookie)
        assert response.status == 200, (path, response.data)
        return response


def new_key(name: str, algorithm: str = "ES256") -> ECKey | RSAKey:
    """A key of an issuer."""
    named = {"kid": name, "alg": algorithm, "use": "sig"}
    if algorithm == "ES256":
        return ECKey.generate_key("P-256", named)
    return RSAKey.generate_key(2048, named)


def trusting(issuer: Issuer, authority: Authority, **others: str) -> str:
    """A `gateway.toml` that accepts the issuer's tokens."""
    settings = {"issuer": issuer.name, "audience": AUDIENCE, "ca": str(authority.file), **others}
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    return "\n".join(["[[issuers]]", *lines, "keys_s = 1"])


def asked(door: Door, token: str, path: str = PREDICT) -> Reply:
    """The answer for a token: of the model, or of its metadata."""
    method, record = ("POST", RECORD) if path == PREDICT else ("GET", None)
    headers = {"authorization": f"Bearer {token}"}
    return door.ask(method, path, record=record, headers=headers)
