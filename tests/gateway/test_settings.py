"""What is wrong with a `gateway.toml` is said in one sentence, before anything is started."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from tests.gateway.certificates import Authority
from tests.trimaran.calling import call_trimaran
from trimaran.gateway.clients import Client
from trimaran.gateway.jwks import usable_keys
from trimaran.gateway.keys import Certificate, read_certificate, require_authorities
from trimaran.gateway.run import FILE
from trimaran.gateway.settings import (
    Audit,
    Issuer,
    Limits,
    Listen,
    ServerAddress,
    parse_settings,
    read_settings,
)
from trimaran.repository.repository import Repository
from trimaran.system.errors import TrimaranError

SERVER = '[[servers]]\nname = "a"\nhttp = "127.0.0.1:8000"\ngrpc = "127.0.0.1:8001"\n'
ISSUER = '[[issuers]]\nissuer = "https://login.example.com"\n'
TWO = ISSUER + ISSUER.replace("login", "partner")
CLIENT = '[[clients]]\nsubject = "mobile"\n'


def test_every_key_may_be_left_out(tmp_path: Path) -> None:
    assert parse_settings("", tmp_path).listen.port == 8443
    found = parse_settings(
        '[[servers]]\nname = "a"\nhttp = "[::1]:80"\ngrpc = "triton.example.com:81"\n' + ISSUER,
        tmp_path,
    )
    assert found.servers == (ServerAddress("a", ("::1", 80), ("triton.example.com", 81)),)
    assert found.issuers == (Issuer("https://login.example.com"),)
    file = tmp_path / FILE
    file.write_bytes(b'\xef\xbb\xbfdefault_model = "churn"')
    assert read_settings(file).default_model == "churn"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("defaultmodel = 'a'", "no key 'defaultmodel'; did you mean 'default_model'?"),
        ("[listen]\nprot = 1", "[listen]: there is no key 'prot'; did you mean 'port'?"),
        ("[limits]\nrequest_per_second = 1", "did you mean 'requests_per_second'?"),
        ("[models.churn]\nbody = 1", "[models.churn]: there is no key 'body'"),
        ("[audit]\nday = 1", "[audit]: there is no key 'day'"),
        (f"{SERVER}htp = 1", "[[servers]] 1: there is no key 'htp'; did you mean 'http'?"),
        (f"{ISSUER}audiences = 'a'", "[[issuers]] 1: there is no key 'audiences'"),
        (f"{CLIENT}scope = []", "[[clients]] 1: there is no key 'scope'; did you mean 'scopes'?"),
        ("listen = 3", "listen is 3; expected a table [listen]"),
        ("servers = ['a']", "servers holds 'a'; expected tables [[servers]]"),
        ("[servers]", "servers is {}; expected tables [[servers]]"),
        ("models = 'a'", "models is 'a'; expected a table [models]"),
        ("[models]\nchurn = 3", "models.churn is 3; expected a table [models.churn]"),
        ("[models.'a/b']", "'a/b' cannot name a model"),
        ("[listen]\nport = 0", "[listen]: port is 0; expected a whole number from 1 to 65535"),
        ("[listen]\nport = true", "[listen]: port is True"),
        ("[listen]\nport = '1'", "[listen]: port is '1'"),
        ("[listen]\naddress = 'localhost'", "address is 'localhost'; expected an address such as"),
        ("[listen]\naddress = 'fe80::1%eth0'", "address is 'fe80::1%eth0'"),
        ("[listen]\nkey = 'none.key'", "[listen]: key: there is no file"),
        (f"[listen]\nkey = '{'x' * 5000}'", "cannot be read: File name too long"),
        ("[listen]\nkey = 'here'", "[listen]: certificate is missing; a certificate needs its key"),
        ("[limits]\nbody_mb = -1", "[limits]: body_mb is -1; expected a whole number from 1"),
        (SERVER.replace(":8000", ""), "http is '127.0.0.1'; expected host:port"),
        (SERVER.replace("127.0.0.1:8000", "::1:80"), "http is '::1:80'; expected host:port"),
        (SERVER.replace("127.0.0.1:8000", "http://a:80"), "http is 'http://a:80'"),
        (SERVER.replace(":8000", ":0"), "http is '127.0.0.1:0'"),
        (SERVER.replace('"a"', '"a/b"'), "name is 'a/b'; use letters"),
        (SERVER * 2, "[[servers]] 2: name is 'a', as that of another"),
        (
            SERVER + SERVER.replace('"a"', '"b"'),
            "[[servers]] 2: http is '127.0.0.1:8000', as http of 'a'; give each its own port",
        ),
        ("[listen]\nmemory_mb = 8", "memory_mb is 8; expected a whole number from 256"),
        ("[limits]\nbody_mb = 300", "memory_mb is 1024; make that at least 1200"),
        ("[[servers]]\nname = 'a'", "[[servers]] 1: http is missing"),
        (ISSUER.replace("https", "http"), "use https, since over http others can replace the keys"),
        (ISSUER.replace("https://", ""), "issuer is 'login.example.com'; expected an address"),
        (ISSUER.replace("https://", "https://me:secret@"), "expected an address such as"),
        ("[[issuers]]\nissuer = ''\njwks = 'here'", "[[issuers]] 1: issuer is ''"),
        (f"{ISSUER}jwks = 'ftp://a/b'", "jwks is 'ftp://a/b'; expected an address"),
        (f"{ISSUER}audience = ''", "audience is ''; expected up to 200 letters"),
        (f"{ISSUER}keys_s = 0", "keys_s is 0"),
        (ISSUER * 2, "[[issuers]] 2: issuer is 'https://login.example.com', as that of another"),
        (f"{CLIENT}scopes = ['metdata']", "scopes holds 'metdata'; expected 'infer:<model>'"),
        (f"{CLIENT}scopes = 'admin'", "scopes is 'admin'; expected a list of texts"),
        (CLIENT.replace("mobile", "a b"), "subject is 'a b'; expected up to 200 letters"),
        (CLIENT * 2, "[[clients]] 2: subject is 'mobile', as that of another"),
        (f"{TWO}{CLIENT}", "[[clients]] 1: issuer is missing; there are several, so say which"),
        (f"{ISSUER}{CLIENT}issuer = 'trimarn'", "issuer is 'trimarn', which is none; did you mean"),
        (
            f"{ISSUER}{CLIENT}{CLIENT}issuer = 'trimaran'",
            "[[clients]] 2: subject is 'mobile', as that of another",
        ),
        ("a = = b", "not TOML: Invalid value (at line 1, column 5)"),
        ("a = " + "[" * 3000, "not TOML: it is nested too deeply"),
    ],
)
def test_what_cannot_be_is_named_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "here").touch()
    with pytest.raises(TrimaranError, match=re.escape(said)) as refused:
        parse_settings(text, tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("default_model = 'chrun'", "default_model: no model 'chrun' is served; did you mean"),
        ("[models.chrun]", "[models]: no model 'chrun' is served"),
        (f"{CLIENT}scopes = ['infer:chrun']", "[[clients]] mobile: scopes: no model 'chrun'"),
        ("default_model = '*'", "default_model: no model '*' is served"),
        (f"{CLIENT}scopes = ['infer:']", "no model '' is served"),
    ],
)
def test_a_model_that_is_not_served_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(TrimaranError, match=re.escape(said)):
        parse_settings(text, tmp_path).require_models(["churn", "image_classifier"])


def _readable(authority: Authority) -> Certificate:
    pair = authority.pair()
    pair.key.chmod(0o640)
    return Certificate(pair.certificate, pair.key)


def _of_another(authority: Authority) -> Certificate:
    return Certificate(authority.pair("a").certificate, authority.pair("b").key)


def _made(**options: object) -> Callable[[Authority], Certificate]:
    def make(authority: Authority) -> Certificate:
        pair = authority.pair(**options)  # type: ignore[arg-type]
        return Certificate(pair.certificate, pair.key)

    return make


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_readable, r"can be read by others \(mode 640\).*run: chmod 600 "),
        (_of_another, r"b\.key is not the key of .*a\.crt"),
        (_made(ends=timedelta(hours=-1)), r"localhost\.crt expired .* UTC; renew it"),
        (_made(begins=timedelta(hours=1)), r"localhost\.crt is valid only from .* UTC; correct"),
        (_made(password=b"secret"), r"localhost\.key is no key in PEM form without a password"),
        (lambda one: Certificate(one.pair().key, one.pair().key), "is no certificate in PEM form"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_refused(
    tmp_path: Path, make: Callable[[Authority], Certificate], said: str
) -> None:
    with pytest.raises(TrimaranError, match=said):
        read_certificate(make(Authority(tmp_path)))


def test_an_authority_of_clients_is_a_certificate_that_is_valid(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    require_authorities(authority.file)
    expired = authority.pair("old", ends=timedelta(hours=-1)).certificate
    with pytest.raises(TrimaranError, match=r"old\.crt expired"):
        require_authorities(expired)
    with pytest.raises(TrimaranError, match="is no certificate in PEM form"):
        require_authorities(authority.pair().key)


def _keys(*keys: ECKey | RSAKey | OKPKey, private: bool = False) -> bytes:
    return json.dumps(KeySet(list(keys)).as_dict(private=private)).encode()


def test_only_keys_that_verify_accepted_signatures_are_kept() -> None:
    ec, rsa = ECKey.generate_key("P-256", {"kid": "a"}), RSAKey.generate_key(2048, {"kid": "b"})
    others = (
        ECKey.generate_key("P-384"),
        OKPKey.generate_key("Ed25519"),
        ECKey.generate_key("P-256", {"use": "enc"}),
        RSAKey.generate_key(2048, {"alg": "RS512"}),
    )
    kept = usable_keys(_keys(*others, ec, rsa), "here")
    assert {key["kid"] for key in json.loads(kept)["keys"]} == {"a", "b"}
    # The same keys in another order are no change.
    assert usable_keys(_keys(rsa, ec), "here") == kept
    for content, said in (
        (_keys(*others), r"here has no key for ES256 or RS256 \(it has: EC, OKP, EC, RSA\)"),
        (b'{"keys": []}', "it has: none"),
        (b'{"keys": [{"kty": "RSA", "n": "sXch", "e": "AQAB"}]}', "it has: RSA"),
        (_keys(ec, private=True), "here holds a private or secret key"),
        (b'{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}', "here holds a private or secret key"),
        (b"<html>Sign in</html>", "here is no set of keys"),
        (b'{"keys": ["a"]}', "here is no set of keys"),
        (b"\xff\xfe", "here is no set of keys"),
        (b"[" * 100_000, "here is no set of keys"),
    ):
        with pytest.raises(TrimaranError, match=said):
            usable_keys(content, "here")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[listen]\nport = {port}", "port {port} on 127.0.0.1 cannot be used: Address already in"),
        (
            "[[issuers]]\nissuer = 'http://127.0.0.1:1'",
            "http://127.0.0.1:1/.well-known/openid-configuration cannot be reached: Connection",
        ),
        ("[[issuers]]\nissuer = 'trimaran'\njwks = 'gateway.toml'", "this machine's own issuer"),
    ],
)
def test_the_command_refuses_what_only_this_machine_knows(
    tmp_path: Path, text: str, said: str
) -> None:
    repository = Repository.create(tmp_path / "model_repository")
    config = tmp_path / FILE
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        config.write_text(text.format(port=port))
        for command in ("check", "up"):
            arguments = ("--repository", str(repository.root), "--config", str(config))
            found = call_trimaran("gateway", command, *arguments)
            assert found.status == 1
            assert said.format(port=port) in found.error
    assert not list((repository.state / "gateway").glob("envoy*"))


def test_the_page_has_every_setting() -> None:
    """Each key with what it is without it, in the table of docs/gateway.md."""
    page = (Path(__file__).parents[2] / "docs" / "gateway.md").read_text()
    begun = page.index("| table | key |")
    written: dict[str, dict[str, str]] = {}
    table = ""
    for line in page[begun : page.index("\n\n", begun)].splitlines()[2:]:
        name, keys, default, _ = (each.strip() for each in line.strip("|").split("|"))
        table = name.split(",")[0].strip("`") if name else table
        for key in re.findall(r"`(\w+)`", keys):
            written.setdefault(table, {})[key] = default.strip("`")
    kinds = {
        "[listen]": Listen,
        "[[servers]]": ServerAddress,
        "[[issuers]]": Issuer,
        "[limits]": Limits,
        "[[clients]]": Client,
        "[audit]": Audit,
    }
    assert written.keys() == {"", *kinds}
    for table, kind in kinds.items():
        known = {each.name: each.default for each in fields(kind)}
        assert written[table].keys() == known.keys()
        for key, default in known.items():
            if isinstance(default, str | int):
                assert written[table][key] == str(default), key


@pytest.mark.filterwarnings("ignore:Config.stat_prefix:DeprecationWarning")
def test_a_file_for_another_machine_is_judged_and_not_run(tmp_path: Path) -> None:
    longer_than_a_sockets_path = tmp_path / ("a" * 100)
    repository = Repository.create(longer_than_a_sockets_path / "model_repository")
    config = tmp_path / FILE
    config.write_text("[listen]\naddress = '192.0.2.1'")
    arguments = ("--repository", str(repository.root), "--config", str(config))
    judged = call_trimaran("gateway", "check", *arguments)
    assert judged.status == 0
    assert "it is for another machine: 192.0.2.1 is no address of this one" in judged.stdout
    refused = call_trimaran("gateway", "up", *arguments)
    assert refused.status == 1
    assert "address 192.0.2.1 is not of this machine" in refused.error
