"""The load generator and the commands on it, through a real gateway: TLS, HTTP/2 and a token."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest

from loadtests.bench.sides import in_front_of
from loadtests.bench.target import Payloads, Wanted, open_target
from loadtests.bench.wire import grpc_traffic, http_traffic
from loadtests.encoding import grpc_request, http_call
from loadtests.generator.ceiling import Framing, generator_ceiling
from loadtests.generator.engine import closed_loop, open_loop
from loadtests.generator.grpc_frames import GrpcCalls, grpc_message
from loadtests.generator.http1 import Http1, http_request
from loadtests.generator.http2 import HttpCalls, http2_request
from loadtests.generator.traffic import Tls, Traffic
from loadtests.subject import find_service, hidden_steps, unseen
from tests.envoy import HIDDEN_STEP, INFER_TOKEN, POOR_TOKEN, Envoy, envoy_before, own_file
from tests.programs import require
from tests.running import Served, run_trimaran
from tests.trimaran.calling import Outcome, call_trimaran
from trimaran.system.endpoint import Endpoint
from trimaran.system.errors import UsageError

ROW = {"x": np.zeros((32, 8), np.float32)}
FRAMINGS: tuple[Framing, ...] = ("http", "http2", "grpc")


def traffic(endpoint: Endpoint, framing: Framing) -> Traffic:
    if framing == "grpc":
        return grpc_traffic(endpoint, [grpc_request("linear_onnx", "", ROW)])
    return http_traffic(endpoint, [http_call("linear_onnx", "", ROW)], http2=framing == "http2")


@pytest.mark.parametrize("framing", FRAMINGS)
def test_connections_that_are_made_under_load_shake_hands_meanwhile(
    envoy: Envoy, framing: Framing
) -> None:
    """One is made before; the others begin when their request is due."""
    outcome = open_loop(traffic(envoy.endpoint, framing), np.zeros(20), connections=5, warm=1)
    assert outcome.good.all(), outcome.refusal
    assert np.count_nonzero(outcome.sent_s < np.sort(outcome.done_s)[0]) >= 5


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_refused_request_is_no_success(envoy: Envoy, framing: Framing) -> None:
    endpoint = Endpoint.at(envoy.url, envoy.ca, POOR_TOKEN)
    outcome = closed_loop(traffic(endpoint, framing), connections=2, seconds=0.1)
    assert len(outcome.good) > 2
    assert not outcome.good.any()
    wanted = {"http": "status 403 Forbidden: RBAC", "http2": "RBAC: access", "grpc": "refused"}
    assert wanted[framing] in outcome.refusal


@pytest.mark.long
def test_a_gateway_that_ends_connections_loses_no_request(served: Served, tmp_path: Path) -> None:
    with envoy_before(served.ports, tmp_path / "envoy", requests_per_connection=3) as envoy:
        for framing in FRAMINGS:
            outcome = closed_loop(traffic(envoy.endpoint, framing), connections=4, seconds=0.5)
            assert len(outcome.good) > 4 * 3
            assert outcome.good.all(), (framing, outcome.refusal)


def test_http2_needs_a_gateway(served: Served) -> None:
    with pytest.raises(UsageError, match=r"speaks HTTP/1\.1 alone; name a gateway with --url"):
        traffic(served.endpoint, "http2")


@pytest.mark.parametrize("size", [pytest.param(10, marks=pytest.mark.long), 3_000_000])
@pytest.mark.parametrize("framing", FRAMINGS)
def test_the_ceiling_holds_for_tls(envoy: Envoy, framing: Framing, size: int) -> None:
    """Large bodies are more than a record of TLS, a socket's buffer and a window of HTTP/2."""
    body, context = b"x" * size, envoy.endpoint.context()
    if framing == "http":
        given = Traffic(("", 0), Http1, [http_request("localhost", "/", body)])
    elif framing == "http2":
        given = Traffic(
            ("", 0), HttpCalls, [http2_request("https", "localhost", "/", body, {"x": "y" * 200})]
        )
    else:
        given = Traffic(("", 0), lambda: GrpcCalls("localhost", "/a/B"), [grpc_message(body)])
    protocol = "http/1.1" if framing == "http" else "h2"
    encrypted = Traffic(
        given.address, given.codec, given.requests, Tls(context, "localhost", protocol)
    )
    ceiling = generator_ceiling(encrypted, framing, 0.1)
    assert ceiling.rate > 1
    assert ceiling.cpu_s > 0


def bench(served: Served, *arguments: str | Path) -> Outcome:
    given = ("--repository", served.repository.root, "--duration", "200ms", "--json")
    return call_trimaran("bench", *arguments, *given)


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter probes: how fast the generator is, and what both sides reach."""
    probe = functools.partial(generator_ceiling, seconds=0.1)
    monkeypatch.setattr("loadtests.commands.bench.generator_ceiling", probe)
    monkeypatch.setattr("loadtests.bench.compare._WARM_S", 0.1)


def test_the_gateways_side_is_named_and_costs_what_both_processes_cost(
    served: Served, envoy: Envoy
) -> None:
    direct = find_service(served.repository.root)
    with open_target(Wanted("linear_onnx"), direct, Payloads(count=1)) as target:
        through = in_front_of(direct, envoy.endpoint, target)
    assert through.name == f"linear_onnx@http at {envoy.endpoint.url()}"
    assert (through.pid, through.gateway_pid) == (direct.pid, envoy.pid)
    assert through.cpu_s() >= target.cpu_s() > 0


@pytest.mark.long
def test_the_gateway_is_measured_beside_the_server_behind_it(
    served: Served, envoy: Envoy, brief: None
) -> None:
    outcome = bench(served, "linear_onnx@http2", *envoy.options, "--vs-direct", "--turns", "2")
    report = json.loads(outcome.stdout)
    through, direct = f"linear_onnx@http2 at {envoy.endpoint.url()}", "linear_onnx@http"
    assert f"{through}  16 connections" in outcome.stderr
    assert f"\n{direct}  16 connections" in outcome.stderr
    if not report["invalid"]:
        assert report["figures"][f"CPU, {through} / {direct}"]["low"] > 1.0
    assert outcome.status == (2 if report["invalid"] else 0)


def test_a_comparison_with_the_server_behind_needs_the_gateways_address(served: Served) -> None:
    assert bench(served, "linear_onnx", "--vs-direct").error.startswith("--vs-direct goes with")


def test_what_a_gateway_keeps_back_is_said_and_left_out(
    served: Served, envoy: Envoy, brief: None, tmp_path: Path
) -> None:
    token = own_file(tmp_path / "token", INFER_TOKEN)
    options = ("--url", envoy.url, "--ca", envoy.ca, "--token-file", token)
    outcome = bench(served, "linear_onnx", *options, "--closed", "--connections", "1")
    assert outcome.status == 0, outcome.stderr
    assert "the server's CPU is not known here, and is left out" in outcome.stderr
    assert f"own times are left out: {envoy.url} does not allow this" in outcome.stderr
    (run,) = json.loads(outcome.stdout)["runs"]
    assert run["answered"] > 0
    assert run["server_cpu_ms"] is None
    assert run["steps"] == []


def test_an_ensemble_is_measured_though_its_steps_are_not_shown(
    served: Served, envoy: Envoy
) -> None:
    for address, hidden in ((None, []), (envoy.endpoint, [HIDDEN_STEP])):
        service = find_service(served.repository.root, address)
        models = service.models("image_classifier")
        assert hidden_steps(models) == hidden
        said = " ".join(unseen(service.control, models, hidden, service.pid))
        assert (HIDDEN_STEP in said) == bool(hidden)


def test_perf_analyzer_needs_the_steps(served: Served, envoy: Envoy) -> None:
    require("perf_analyzer")
    given = ("image_classifier", "--repository", served.repository.root, *envoy.options)
    refused = call_trimaran("perf", *given)
    assert f"does not show {HIDDEN_STEP}; use 'trimaran bench'" in refused.error


def test_a_url_is_measured_by_tls(served: Served, envoy: Envoy, brief: None) -> None:
    ready = f"{envoy.url}/v2/health/ready"
    outcome = bench(served, ready, "--ca", envoy.ca, "--closed", "--connections", "1")
    assert json.loads(outcome.stdout)["runs"][0]["answered"] > 0
    assert "not trusted here" in bench(served, ready, "--closed").error


@pytest.mark.long
@pytest.mark.parametrize("protocol", ["http", "json", "grpc"])
def test_locust_goes_through_a_gateway(served: Served, envoy: Envoy, protocol: str) -> None:
    given = ("--protocol", protocol, "--users", "2", "--duration", "2s", *envoy.options)
    outcome = run_trimaran(
        "locust", "linear_onnx", "--repository", served.repository.root, "--processes", "2", *given
    )
    assert outcome.returncode == 0, outcome.stderr
    assert "the server's CPU is not known here" in outcome.stderr


@pytest.mark.long
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_perf_analyzer_goes_through_a_gateway(served: Served, envoy: Envoy, protocol: str) -> None:
    require("perf_analyzer")
    given = ("--protocol", protocol, "--duration", "1s", *envoy.options)
    outcome = run_trimaran("perf", "linear_onnx", "--repository", served.repository.root, *given)
    assert outcome.returncode == 0, outcome.stderr
    assert "other users of this machine can read while it runs" in " ".join(outcome.stdout.split())
