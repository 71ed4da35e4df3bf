"""What counting costs is measured on models whose counting really stops and goes on."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import urllib3

from loadtests.bench.target import Payloads, Wanted, open_target
from loadtests.bench.turns import Turns
from loadtests.counting_cost import Switch, compare_counting, switched, table
from loadtests.subject.service import find_service
from tests.running import Served, wait_for
from trimaran.system.errors import TrimaranError


def counted(served: Served) -> float:
    """How many rows `churn_features` has counted whose plan training did not see."""
    url = f"http://{served.ports.host}:{served.ports.metrics}/metrics"
    text = urllib3.request("GET", url, retries=False).data.decode()
    (line,) = (
        line
        for line in text.splitlines()
        if line.startswith("trimaran_feature_rows_total{")
        and all(f'"{each}"' in line for each in ("churn_features", "voice_mail_plan", "unknown"))
    )
    return float(line.split()[-1])


def test_nothing_is_counted_while_it_is_off(churn_served: Served, tmp_path: Path) -> None:
    service = find_service(churn_served.repository.root)
    switch = Switch(tmp_path / "switch")
    plans = np.array([[b"perhaps"]] * 3, dtype=object)
    before = counted(churn_served)
    with switched(service, "churn", switch), churn_served.client() as client:
        with switch.off():
            client.infer("churn", {"voice_mail_plan": plans})
        client.infer("churn", {"voice_mail_plan": plans[:1]})
        wait_for(lambda: counted(churn_served) > before, 20, "a counted row")
    with churn_served.client() as client:
        client.infer("churn", {"voice_mail_plan": plans[:2]})
    wait_for(lambda: counted(churn_served) > before + 1, 20, "the count of the model as it was")
    assert counted(churn_served) == before + 3


def test_blocks_with_and_without_are_compared(churn_served: Served, tmp_path: Path) -> None:
    service = find_service(churn_served.repository.root)
    switch = Switch(tmp_path / "switch")
    with (
        switched(service, "churn_record", switch),
        open_target(Wanted("churn_record", protocol="grpc"), service, Payloads()) as target,
    ):
        measured = compare_counting(target, switch, 2, 0.2, lambda block: None)
    if not measured.void:
        assert len(measured.turns) == 2
        assert len(re.findall(r"^\| (?:rate|p50|p99|CPU) \| \d", table(measured), re.M)) == 4


def test_no_conclusion_from_a_single_turn() -> None:
    with pytest.raises(TrimaranError, match="at least 2 turns that count; there are 0: the reason"):
        table(Turns(void="the reason"))


def test_a_model_that_counts_nothing_is_told(churn_served: Served, tmp_path: Path) -> None:
    service = find_service(churn_served.repository.root)
    with (
        pytest.raises(TrimaranError, match="churn_onnx counts nothing"),
        switched(service, "churn_onnx", Switch(tmp_path / "switch")),
    ):
        pass
