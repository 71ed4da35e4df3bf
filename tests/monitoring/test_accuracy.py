"""Intervals, verdicts, files of outcomes; and live accuracy of a real server under Prometheus."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score as sklearn_f1

from monitoring.accuracy import ReleaseAccuracy, evaluate_releases
from monitoring.outcomes_file import Columns, read_outcomes
from monitoring.prometheus_api import Sample
from monitoring.reasons import Monitored
from tests.monitoring.conftest import Watched, served_and_watched
from tests.running import wait_for
from tests.trimaran.calling import call_trimaran
from trimaran.repository.repository import Repository
from trimaran.rollout.retrain_plan import Triggers
from trimaran.rollout.retraining.due import Reason
from trimaran.rollout.retraining.watched import Asked
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.processes import children

ROWS = 400
CELLS = ("true_positive", "false_positive", "true_negative", "false_negative")


def of(query: str, *counts: float) -> dict[str, list[Sample]]:
    labels = {"model": "m", "version": "1"}
    samples = [
        Sample({**labels, "cell": cell}, count) for cell, count in zip(CELLS, counts, strict=True)
    ]
    return {query: samples}


@pytest.mark.parametrize(
    ("live", "verdict"),
    [
        ((850, 10, 8940, 200), "holds"),
        ((40, 20, 800, 140), "fell"),
        ((80, 6, 880, 34), "unsure"),
        ((0, 10, 30, 9), "too few"),
        ((0, 0, 600, 0), "holds"),
    ],
)
def test_the_size_of_the_fall_decides(live: tuple[float, ...], verdict: str) -> None:
    asked: dict[str, list[Sample]] = {"calibration_error": [], "brier": []}
    (found,) = evaluate_releases(
        {**of("outcomes", *live), **of("reference_outcomes", 85, 1, 894, 20), **asked}
    )
    assert found.verdict == verdict
    assert found.outcomes == sum(live)
    values = {name: figure.reference for name, figure in found.figures.items()}
    assert {name: each and each.value for name, each in values.items()} == {
        "accuracy": 979 / 1000,
        "precision": 85 / 86,
        "recall": 85 / 105,
        "F1": pytest.approx(170 / 191),
    }
    (alone,) = evaluate_releases({**of("outcomes", *live), "reference_outcomes": [], **asked})
    assert alone.verdict == ("too few" if verdict == "too few" else "no reference")
    assert (
        evaluate_releases({**of("outcomes", 0, 0, 0, 0), "reference_outcomes": [], **asked}) == []
    )


def told(live: dict[str, float], reference: dict[str, float]) -> ReleaseAccuracy:
    """The accuracy of a release by its cells, and those of its test part."""
    labels = {"model": "m", "version": "1"}
    samples = [
        [Sample({**labels, "cell": cell}, count) for cell, count in cells.items()]
        for cells in (live, reference)
    ]
    answers = dict(zip(("outcomes", "reference_outcomes"), samples, strict=True))
    (found,) = evaluate_releases({**answers, "calibration_error": [], "brier": []})
    return found


def of_classes(**rows: tuple[float, float, float]) -> dict[str, float]:
    return {
        f"{cell}:{label}": count
        for label, counts in rows.items()
        for cell, count in zip(("right", "missed", "false"), counts, strict=True)
    }


def test_classes_are_judged_by_accuracy_and_the_mean_of_their_f1() -> None:
    reference = of_classes(a=(90, 10, 5), b=(45, 5, 10))
    same = told(of_classes(a=(900, 100, 50), b=(450, 50, 100)), reference)
    assert same.outcomes == 1500
    assert same.verdict in ("holds", "unsure")
    values = {name: figure.live and figure.live.value for name, figure in same.figures.items()}
    expected = np.mean([2 * 90 / (2 * 90 + 15), 2 * 45 / (2 * 45 + 15)])
    assert values == {"accuracy": pytest.approx(0.9), "macro F1": pytest.approx(expected)}
    # The rare class is lost, which moves the accuracy less than macro F1.
    fallen = told(
        of_classes(a=(1350, 0, 150), b=(0, 150, 0)), of_classes(a=(900, 9, 9), b=(90, 9, 9))
    )
    assert fallen.verdict == "fell"
    assert fallen.figures["macro F1"].fall.value > 0.3  # type: ignore[union-attr]


def of_errors(rows: int, error: float, held: float) -> dict[str, float]:
    return {
        "held": held * rows,
        "outside": (1 - held) * rows,
        "absolute_error": error * rows,
        "squared_error": 1.5 * error**2 * rows,
    }


@pytest.mark.parametrize(
    ("live", "verdict"),
    [
        (of_errors(4000, 102, 0.9), "holds"),
        (of_errors(4000, 150, 0.8), "fell"),
        (of_errors(60, 108, 0.9), "unsure"),
        (of_errors(20, 500, 0.1), "too few"),
    ],
)
def test_numbers_are_judged_by_their_mean_error(live: dict[str, float], verdict: str) -> None:
    found = told(live, of_errors(4000, 100, 0.9))
    assert found.verdict == verdict
    assert found.outcomes == pytest.approx(live["held"] + live["outside"])
    figure = found.figures["MAE"]
    assert figure.live is not None
    assert figure.live.value == pytest.approx(live["absolute_error"] / found.outcomes)
    assert figure.live.low < figure.live.value < figure.live.high


def table(directory: Path, text: str) -> Path:
    path = directory / "outcomes.csv"
    path.write_text(text)
    return path


def test_a_file_of_outcomes_is_read_by_its_usual_names(tmp_path: Path) -> None:
    path = table(tmp_path, "customer_id,outcome,time\na,yes,2026-01-01\nb,0,\n")
    first, second = read_outcomes(path, Columns(), ["id", "customer_id"])
    assert (first.line, first.id, first.outcome, first.time) == (2, "a", True, "2026-01-01")
    assert (second.outcome, second.time) == (False, "")
    (left, stays) = read_outcomes(
        table(tmp_path, "who,what,id\na,left,1\nb,stays,2\n"),
        Columns("who", "what", None, "left"),
        ["id"],
    )
    assert (left.id, left.outcome, stays.outcome) == ("a", True, False)


def test_outcomes_of_classes_and_of_numbers_are_read_as_such(tmp_path: Path) -> None:
    path = table(tmp_path, "id,outcome\na, 01\nb,2.5\n")
    assert [row.outcome for row in read_outcomes(path, Columns(), ["id"], "BYTES")] == ["01", "2.5"]
    assert [row.outcome for row in read_outcomes(path, Columns(), ["id"], "FP32")] == [1.0, 2.5]
    with pytest.raises(UsageError, match="--positive is for outcomes that are true or false"):
        read_outcomes(path, Columns(positive="01"), ["id"], "BYTES")
    for cell in ("dear", "NaN", "1e99"):
        with pytest.raises(TrimaranError, match=f"line 2: the outcome is '{cell}', and not a num"):
            read_outcomes(table(tmp_path, f"id,outcome\na,{cell}\n"), Columns(), ["id"], "FP32")


@pytest.mark.parametrize(
    ("text", "columns", "words"),
    [
        ("name,outcome\na,1\n", Columns(), "has no column 'id' or 'customer'.*with --id"),
        ("id,result\na,1\n", Columns(), "has no column 'outcome'.*with --outcome"),
        ("id,outcome\na,1\n", Columns(time="when"), "has no column 'when'.*with --time"),
        ("id,outcome\n,1\n", Columns(), "line 2: the id is empty"),
        ("id,outcome\na,1\nb,\n", Columns(), "line 3: the outcome is empty"),
        ("id,outcome\na,maybe\n", Columns(), "line 2: the outcome is 'maybe'.*--positive"),
        ("id,outcome\na,left\n", Columns(positive="leaves"), "no outcome is 'leaves'.*'left'"),
        ("id,outcome,time\na,1,noon\n", Columns(), "line 2: the time is 'noon'; expected ISO 8601"),
        ("id,outcome\n", Columns(), "has a header and no rows"),
    ],
)
def test_a_file_that_cannot_be_used_says_where_and_why(
    tmp_path: Path, text: str, columns: Columns, words: str
) -> None:
    with pytest.raises(TrimaranError, match=words):
        read_outcomes(table(tmp_path, text), columns, ["id", "customer"])


@pytest.fixture(scope="module")
def judged(churn_trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    root = tmp_path_factory.mktemp("judged") / "model_repository"
    shutil.copytree(churn_trained / "model_repository", root)
    models = ("--model", "churn_record", "--model", "churn_feedback")
    with served_and_watched(Repository.open(root), *models, "--log-predictions") as watched:
        yield watched


@pytest.fixture(scope="module")
def customers() -> tuple[list[bytes], list[bool]]:
    """Records of the public table, and whether each customer left."""
    from trimaran.training.tabular.data.sources import load

    dataset = load("mlc_churn", None)
    frame = dataset.frame.sample(ROWS, random_state=2)
    fields = [field.name for field in dataset.schema.fields]
    texts = frame[fields].to_json(orient="records", lines=True).splitlines()
    return [text.encode() for text in texts], (frame[dataset.schema.target] == "yes").tolist()


def column(values: list[Any]) -> np.ndarray:
    return np.array([[value] for value in values], dtype=object)


def predict(watched: Watched, records: list[bytes], prefix: str) -> list[bool]:
    """Decisions on records, whose ids are the prefix and the row; returns when they are logged."""
    before = len(logged(watched))
    decided = ask(watched, records, prefix)
    wait_for(lambda: len(logged(watched)) == before + len(records), 10, "the log's lines")
    return decided


def ask(watched: Watched, records: list[bytes], prefix: str) -> list[bool]:
    ids = [f"{prefix}{row}".encode() for row in range(len(records))]
    with watched.served.client() as client:
        answer = client.infer(
            "churn_record", {"customer_id": column(ids), "RECORD": column(records)}
        )
    decided: list[bool] = answer.outputs["churn_prediction"].ravel().tolist()
    return decided


def feedback(watched: Watched, directory: Path, rows: list[tuple[str, bool]], status: int) -> Any:
    lines = "".join(f"{name},{str(outcome).lower()}\n" for name, outcome in rows)
    path = table(directory, f"customer_id,outcome\n{lines}")
    outcome = call_trimaran(
        "feedback", "churn", "--input", path, "--json", "--repository", watched.root
    )
    assert outcome.status == status, outcome.stdout + outcome.stderr
    return json.loads(outcome.stdout)


def accuracy(watched: Watched, status: int) -> dict[str, Any]:
    outcome = call_trimaran("monitor", "accuracy", "--json", "--repository", watched.root)
    assert outcome.status == status, outcome.stdout + outcome.stderr
    (found,) = json.loads(outcome.stdout)
    return dict(found)


def retrains(watched: Watched) -> Reason:
    """What outcomes say to `trimaran retrain`, where no F1 is too low by itself."""
    asked = Asked(Triggers(accuracy=0.001), {"churn_record": 1}, "F1", less=False, moving="")
    (reason,) = Monitored(watched.root)(asked)
    return reason


def outcomes_in(watched: Watched, count: int) -> None:
    watched.eventually("sum(trimaran_outcomes_total)", lambda found: found == count, 20)


def test_live_accuracy_falls_with_wrong_outcomes_and_an_alert_fires(
    judged: Watched, customers: tuple[list[bytes], list[bool]], tmp_path: Path
) -> None:
    records, truth = customers
    nothing = call_trimaran("monitor", "accuracy", "--repository", judged.root)
    assert nothing.status == 1
    assert "no outcome was recorded in the last 1d" in nothing.error

    decided = np.array(predict(judged, records, "a"))
    right = np.array(truth)
    outcomes_in(judged, 0)  # the release's counters begin when its predictions are seen
    judged.scraped()
    rows = [(f"a{row}", outcome) for row, outcome in enumerate(truth)]
    assert feedback(judged, tmp_path, rows, 0)["counted"] == ROWS
    assert feedback(judged, tmp_path, rows, 0) == {
        "counted": 0, "known": ROWS, "contradicts": 0, "unknown": 0,
    }  # fmt: skip
    other = [("a0", not truth[0]), ("nobody", True)]
    assert feedback(judged, tmp_path, other, 1) == {
        "counted": 0, "known": 0, "contradicts": 1, "unknown": 1,
    }  # fmt: skip
    outcomes_in(judged, ROWS)
    judged.scraped()
    found = accuracy(judged, 0)
    assert found["outcomes"] == ROWS
    assert found["figures"]["accuracy"]["live"]["value"] == pytest.approx((decided == right).mean())
    assert found["figures"]["F1"]["live"]["value"] == pytest.approx(sklearn_f1(right, decided))
    assert found["verdict"] in ("holds", "unsure")
    assert retrains(judged).fired is False
    firing = 'ALERTS{alertname=~"AccuracyFell|F1Fell", alertstate="firing"}'
    assert judged.prometheus.instant(firing) == []

    predict(judged, records, "b")
    wrong = [(f"b{row}", not outcome) for row, outcome in enumerate(truth)]
    assert feedback(judged, tmp_path, wrong, 0)["counted"] == ROWS
    outcomes_in(judged, 2 * ROWS)
    wait_for(lambda: len(judged.prometheus.instant(firing)) == 2, 10, "the alerts")
    wait_for(lambda: judged.said("F1Fell: churn_record version 1"), 20, "the line")
    found = accuracy(judged, 1)
    assert found["verdict"] == "fell"
    assert retrains(judged).says.startswith("churn_record fell: F1 is 0.")
    assert found["figures"]["accuracy"]["live"]["value"] == pytest.approx(0.5)
    for figure, series in (("accuracy", "model_accuracy"), ("precision", "model_precision"),
                           ("recall", "model_recall"), ("F1", "model_f1")):  # fmt: skip
        recorded = judged.value(series)
        assert found["figures"][figure]["live"]["value"] == pytest.approx(recorded), figure
    for figure in ("accuracy", "F1"):
        recorded = judged.value(
            f'model_version:outcomes_score_fall_low:ratio{{figure="{figure.lower()}"}}'
        )
        assert found["figures"][figure]["fall"]["low"] == pytest.approx(recorded, abs=1e-4)
    assert found["calibration_error"] == pytest.approx(judged.value("model_calibration_error"))
    assert found["brier"] == pytest.approx(judged.value("model_brier"))

    page = tmp_path / "report.html"
    call_trimaran("monitor", "report", "--output", page, "--repository", judged.root)
    assert "churn_record version 1, last 1h, against the reference" in page.read_text()
    assert "churn_record version 1, 800 outcomes in the last 1d: fell" in page.read_text()


def logged(watched: Watched) -> list[dict[str, Any]]:
    files = (watched.served.repository.state / "predictions" / "churn_record").glob("*.jsonl")
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def test_the_log_holds_every_answer_and_no_customer(
    judged: Watched, customers: tuple[list[bytes], list[bool]]
) -> None:
    records, _ = customers
    decided = predict(judged, records[:3], "secret")
    lines = logged(judged)[-3:]
    assert [line["output"]["churn_prediction"] for line in lines] == decided
    assert all(line["id"].startswith("masked:") for line in lines)
    assert "secret" not in json.dumps(lines)
    assert all("input" not in line and line["latency_ms"] > 0 for line in lines)


def test_a_full_disk_costs_no_answer_and_is_reported(
    judged: Watched, customers: tuple[list[bytes], list[bool]]
) -> None:
    """The limit on a file's size is that of the model's own processes."""
    records, _ = customers
    predict(judged, records[:1], "before")
    server = int(
        json.loads((judged.served.repository.state / "server.json").read_text())["server_pid"]
    )
    stubs = [
        pid for pid in children(server)
        if b"churn_record" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]  # fmt: skip
    assert stubs
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    for pid in stubs:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    for row in range(8):
        ask(judged, records[row : row + 1], "full")
    dropped = 'sum(trimaran_dropped_predictions_total{reason="disk"})'
    judged.eventually(dropped, lambda count: count == 8, 20)
    wait_for(lambda: judged.said("PredictionsDropped: churn_record"), 20, "the line")
    for pid in stubs:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
    predict(judged, records[:1], "after")
    assert (
        "predictions cannot be logged, and are dropped"
        in (judged.served.repository.state / "server.log").read_text()
    )


def test_outcomes_go_on_where_a_dead_stub_left_them(
    judged: Watched, customers: tuple[list[bytes], list[bool]], tmp_path: Path
) -> None:
    records, truth = customers
    count = judged.value("sum(trimaran_outcomes_total)")
    judged.served.control.unload("churn_feedback")
    refused = call_trimaran(
        "feedback", "churn", "--input", table(tmp_path, "id,outcome\na1,1\n"),
        "--repository", judged.root,
    )  # fmt: skip
    assert refused.status == 1
    assert "0 of 1 outcomes were recorded" in refused.error
    predict(judged, records[:5], "late")
    judged.served.control.load("churn_feedback")
    rows = [(f"late{row}", outcome) for row, outcome in enumerate(truth[:5])]
    assert feedback(judged, tmp_path, [*rows, ("a1", truth[1])], 0) == {
        "counted": 5, "known": 1, "contradicts": 0, "unknown": 0,
    }  # fmt: skip
    outcomes_in(judged, round(count) + 5)


def test_who_takes_no_outcomes_is_said(judged: Watched, tmp_path: Path) -> None:
    path = table(tmp_path, "id,outcome\na,1\n")
    outcome = call_trimaran(
        "feedback", "image_classifier", "--input", path, "--repository", judged.root
    )
    assert outcome.status == 1
    assert "takes outcomes of 'image_classifier'; choose from churn_record" in outcome.error
