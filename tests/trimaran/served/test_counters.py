"""What the churn models count for Prometheus, on a server that nobody else asks."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import urllib3

from tests.running import Served, start_serving, wait_for
from trimaran.repository.repository import Repository
from trimaran.served.distribution import Reference
from trimaran.system.errors import TrimaranError


@pytest.fixture(scope="module")
def asked(churn_trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("counting") / "model_repository"
    shutil.copytree(churn_trained / "model_repository", root)
    served = start_serving(Repository.open(root), "--model", "churn", "--model", "churn_record")
    yield served
    served.stop()


def reference_of(served: Served, model: str) -> Reference:
    version = served.repository.newest(model)
    assert version is not None
    return Reference.read(version.path / "reference.json")


def scraped(served: Served, metric: str, model: str) -> dict[tuple[str, str], float]:
    """A metric's values by feature and bin, without zeros."""
    url = f"http://{served.ports.host}:{served.ports.metrics}/metrics"
    text = urllib3.request("GET", url, retries=False).data.decode()
    found = {}
    for labels, value in re.findall(rf"^{metric}\{{(.*)\}} (\S+)$", text, re.MULTILINE):
        pairs = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        if pairs["model"] == model and float(value):
            found[pairs.get("feature", ""), pairs.get("bin", "")] = float(value)
    return found


def counted(served: Served, model: str, rows: int) -> dict[str, dict[str, float]]:
    """What a model has counted by feature, once that is so many rows of each."""

    def whole() -> Mapping[str, dict[str, float]]:
        by_feature: dict[str, dict[str, float]] = {}
        for (feature, name), value in scraped(served, "trimaran_feature_rows_total", model).items():
            by_feature.setdefault(feature, {})[name] = value
        sums = {sum(bins.values()) for bins in by_feature.values()}
        return by_feature if sums == {rows} else {}

    return dict(wait_for(whole, 20, f"{rows} counted rows"))


def test_answers_missing_and_unknown_values_are_counted_by_record(asked: Served) -> None:
    records = [
        {"state": "Mu", "total_day_minutes": 250.0, "international_plan": "no"},
        {"state": "OH", "total_day_minutes": 20.0, "international_plan": "yes"},
    ]
    answers = []
    for record in records:
        url = asked.url("/v2/models/churn_record/generate")
        answers.append(urllib3.request("POST", url, json={"RECORD": json.dumps(record)}).json())
    with pytest.raises(TrimaranError, match="none of the fields"), asked.client() as client:
        client.infer("churn_record", {"RECORD": np.array([[b"{}"]], dtype=object)})
    found = counted(asked, "churn_record", 2)
    reference = reference_of(asked, "churn_record")
    assert set(found) == {feature.name for feature in reference.features}
    assert found["total_eve_calls"] == {"missing": 2}
    assert found["state"] == {"unknown": 1, "OH": 1}
    assert found["international_plan"] == {"no": 1, "yes": 1}
    assert len(found["total_day_minutes"]) == 2
    positive = sum(answer["churn_prediction"] for answer in answers)
    expected = {"from 0.5": positive, "below 0.5": len(answers) - positive}
    assert found["churn_prediction"] == {name: n for name, n in expected.items() if n}
    wait_for(
        lambda: (
            scraped(asked, "trimaran_refused_requests_total", "churn_record") == {("", ""): 1.0}
        ),
        10,
        "the count of the refusal",
    )


def test_every_row_of_a_batch_is_counted_once_by_named_field(asked: Served) -> None:
    (statistics,) = asked.control.statistics("churn_features")
    golden = int(statistics["inference_count"])  # the release was tried before it went live
    before = counted(asked, "churn_features", golden) if golden else {}
    minutes = np.linspace(0, 400, 90, dtype=np.float32).reshape(-1, 1)
    with asked.client() as client:
        client.infer("churn", {"total_day_minutes": minutes})
    found = {
        feature: {
            name: value - before.get(feature, {}).get(name, 0.0)
            for name, value in bins.items()
            if value != before.get(feature, {}).get(name, 0.0)
        }
        for feature, bins in counted(asked, "churn_features", golden + 90).items()
    }
    (feature,) = [
        each
        for each in reference_of(asked, "churn_features").features
        if each.name == "total_day_minutes"
    ]
    edges = [-np.inf, *feature.edges, np.inf]
    expected = np.histogram(minutes, edges)[0]
    assert found["total_day_minutes"] == dict(
        zip(feature.bins[:-1], expected.astype(float), strict=True)
    )
    assert found["state"] == {"missing": 90}


def test_the_reference_is_reported_with_the_rows(asked: Served) -> None:
    reference = reference_of(asked, "churn_record")
    samples = scraped(asked, "trimaran_feature_reference_rows", "churn_record")
    for feature in reference.features:
        for name, count in zip(feature.bins, feature.counts, strict=True):
            assert samples.get((feature.name, name), 0) == count
        assert feature.rows == reference.features[0].rows
    assert sum(reference.judged.values()) > 500


def test_counters_go_on_where_a_model_is_reloaded(asked: Served) -> None:
    """Triton begins the new instances before it ends the old ones, so both have the metrics."""

    def ask() -> None:
        with asked.client() as client:
            client.infer("churn_record", {"RECORD": np.array([[b'{"state": "OH"}']], dtype=object)})

    def rows() -> float:
        found = scraped(asked, "trimaran_feature_rows_total", "churn_record")
        return sum(count for (feature, _), count in found.items() if feature == "state")

    def counted_up_to(count: float) -> None:
        wait_for(lambda: rows() == count, 20, "the count")

    before = rows()
    ask()
    counted_up_to(before + 1)
    config = asked.repository.config("churn_record")
    for turn in (1, 2):
        config.parameters["log_megabytes"].string_value = str(turn)
        asked.control.load_given(config)
        ask()
        counted_up_to(before + 1 + turn)
    reference = reference_of(asked, "churn_record")
    samples = scraped(asked, "trimaran_feature_reference_rows", "churn_record")
    assert sum(samples.values()) == sum(feature.rows for feature in reference.features)
