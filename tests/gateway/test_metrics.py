"""What a scrape of a gateway holds, and what it does not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import urllib3
import yaml

from monitoring.gateway_queries import GATEWAY_QUERIES
from monitoring.stack import CONFIGURATION
from tests.gateway.door import RECORD, Door, call_inputs
from trimaran.gateway.health import State
from trimaran.gateway.metrics import metrics_text, reason_of
from trimaran.gateway.settings import ServerAddress, parse_settings
from trimaran.system.errors import TrimaranError

PREDICT = "/models/churn_record/predict"
BODY = {"RECORD": json.dumps({"total_day_minutes": 265.1})}
PERSON = "somebody@example.com"
_NAMED = re.compile(r"\b(?:envoy|trimaran_gateway)_[a-z0-9_]+\b")
_LABEL = "envoy_http_conn_manager_prefix"


def scrape(door: Door) -> str:
    answer = urllib3.request("GET", f"http://127.0.0.1:{door.metrics_port}/metrics")
    assert answer.status == 200
    return answer.data.decode()


def requests_of(text: str) -> dict[tuple[str, ...], int]:
    """Requests by model, way, status, gRPC's status and reason."""
    labels = ("model", "kind", "status", "grpc_status", "reason")
    found: dict[tuple[str, ...], int] = {}
    for line in re.findall(r"^trimaran_gateway_requests\{(.*)\} (\d+)$", text, re.MULTILINE):
        values = dict(re.findall(r'(\w+)="([^"]*)"', line[0]))
        key = tuple(values[label] for label in labels)
        found[key] = found.get(key, 0) + int(line[1])
    return found


def ask_in_each_way(door: Door) -> None:
    person = door.bearer("infer:churn_record", subject=PERSON)
    assert door.ask("POST", PREDICT, record=BODY, headers=person).status == 200
    assert door.ask("POST", PREDICT, "infer:churn", record=BODY).status == 403
    assert door.ask("POST", PREDICT, record=BODY).status == 401
    assert door.ask("GET", f"/{PERSON}").status == 404
    with door.calls() as client:
        client.infer("churn", call_inputs(RECORD), headers=door.bearer("infer:churn"))


def test_each_request_is_counted_by_its_model_its_end_and_the_reason(door: Door) -> None:
    ask_in_each_way(door)  # else counts that only earlier settings had may end meanwhile
    before = requests_of(scrape(door))
    ask_in_each_way(door)
    text = scrape(door)
    after = requests_of(text)
    more = {key: count - before.get(key, 0) for key, count in after.items()}
    assert {key: count for key, count in more.items() if count} == {
        ("churn_record", "predict", "200", "", ""): 1,
        ("churn_record", "predict", "403", "", "scope"): 1,
        ("churn_record", "predict", "401", "", "token"): 1,
        ("", "", "404", "", "unknown"): 1,
        ("churn", "call", "200", "0", ""): 1,
    }
    assert 'trimaran_gateway_server_ready{server="local"} 1' in text
    assert PERSON not in text


def test_a_scrape_has_every_figure_that_a_query_or_a_rule_names(door: Door) -> None:
    assert door.ask("POST", PREDICT, "infer:churn_record", record=BODY).status == 200
    found = set(re.findall(r"^([a-z_]\w*)", scrape(door), re.MULTILINE))
    rules = yaml.safe_load((CONFIGURATION / "rules" / "gateway.yml").read_text())["groups"]
    expressions = [rule["expr"] for group in rules for rule in group["rules"]]
    expressions += [query.promql for query in GATEWAY_QUERIES]
    named = {name for expression in expressions for name in _NAMED.findall(expression)}
    assert len(named) > 10
    assert named - {_LABEL} <= found


def test_nothing_else_of_the_admin_interface_is_reachable(door: Door) -> None:
    url = f"http://127.0.0.1:{door.metrics_port}"
    for path in ("/", "/stats", "/config_dump", "/quitquitquit", "/metrics/../config_dump"):
        assert urllib3.request("GET", f"{url}{path}").status == 404
    assert urllib3.request("POST", f"{url}/metrics").status == 405
    foreign = {"Host": "evil.example"}
    assert urllib3.request("GET", f"{url}/metrics", headers=foreign).status == 403


@pytest.mark.parametrize(
    ("why", "reason"),
    [
        ("via_upstream", ""),
        ("direct_response", "unknown"),
        ("jwt_authn_access_denied{Jwt_is_expired}", "token"),
        ("rbac_access_denied_matched_policy[none]", "scope"),
        ("stream_refused", "scope"),
        ("local_rate_limited", "rate"),
        ("upstream_reset_before_response_started{overflow}", "concurrency"),
        ("request_payload_too_large", "form"),
        ("path_normalization_failed", "form"),
        ("http1.codec_error", "form"),
        ("no_healthy_upstream", "server"),
        ("upstream_reset_before_response_started{remote_connection_failure}", "server"),
        ("http2.remote_reset", "client"),
        ("downstream_remote_disconnect", "client"),
        ("a_word_of_a_later_envoy", "other"),
    ],
)
def test_envoys_word_has_a_reason(why: str, reason: str) -> None:
    assert reason_of(why, 404) == reason


def test_a_page_of_the_gateway_is_no_refusal_and_a_stream_has_no_model() -> None:
    state = State(ServerAddress("b", ("::1", 1), ("::1", 2)), "nothing answers there")
    counted = 'envoy_trimaran_gateway_requests{model="%s",kind="%s",status="200",grpc_status="%s",'
    text = (
        counted % ("", "", "")
        + 'why="direct_response"} 3\n'
        + counted % ("stream", "stream", "7")
        + 'why="stream_refused"} 2\n'
    )
    ours = counted.removeprefix("envoy_")
    assert metrics_text(text, {"b": state}) == (
        ours % ("", "", "")
        + 'why="direct_response",reason=""} 3\n'
        + ours % ("", "stream", "7")
        + 'why="stream_refused",reason="scope"} 2\n'
        "# TYPE trimaran_gateway_server_ready gauge\n"
        'trimaran_gateway_server_ready{server="b"} 0\n'
        "# TYPE trimaran_gateway_candidate_share gauge\n"
    )


@pytest.mark.parametrize(
    ("listen", "words"),
    [
        ("metrics_port = 8443", "port and metrics_port are 8443; choose another for one"),
        ("metrics_port = 0", "metrics_port is 0; expected a whole number from 1 to 65535"),
        ('metrics_port = "a"', "metrics_port"),
    ],
)
def test_a_port_for_metrics_that_cannot_be_is_refused(
    listen: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(TrimaranError, match=re.escape(words)):
        parse_settings(f"[listen]\n{listen}\n", tmp_path)
