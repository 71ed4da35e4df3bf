"""The trained churn ensembles in the real Triton, against the training pipeline."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import urllib3
from tritonclient.utils import InferenceServerException

from tests.running import Served
from tests.trimaran.calling import call_trimaran
from trimaran.served.transform import Transform, TransformData
from trimaran.serving.client import Protocol
from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.data.sources import Dataset, load
from trimaran.training.tabular.features.fit import transform_frame
from trimaran.training.tabular.runs.trained import TrainedRun, latest_run

PROTOCOLS: tuple[Protocol, ...] = ("http", "grpc")
CUSTOMER = {
    "customer_id": "c-1",
    "state": "OH",
    "account_length": 128,
    "area_code": "area_code_415",
    "international_plan": "no",
    "voice_mail_plan": "yes",
    "number_vmail_messages": 25,
    "total_day_minutes": 265.1,
    "total_day_calls": 110,
    "total_day_charge": 45.07,
    "total_eve_minutes": 197.4,
    "total_eve_calls": 99,
    "total_eve_charge": 16.78,
    "total_night_minutes": 244.7,
    "total_night_calls": 91,
    "total_night_charge": 11.01,
    "total_intl_minutes": 10.0,
    "total_intl_calls": 3,
    "total_intl_charge": 2.7,
    "number_customer_service_calls": 1,
}
DATA = load("mlc_churn")
NUMBERS = [field.name for field in DATA.schema.numbers]
CATEGORIES = [field.name for field in DATA.schema.categories]


@pytest.fixture(scope="module")
def run(churn_trained: Path) -> TrainedRun:
    found = latest_run(churn_trained / "runs" / "churn")
    assert found is not None
    return found


@pytest.fixture(scope="module")
def predictions(run: TrainedRun) -> pd.DataFrame:
    """What training wrote down of every row."""
    return pd.read_csv(run.directory / "predictions.csv")


def with_holes(data: Dataset, seed: int) -> pd.DataFrame:
    """The table with numbers and categories missing here and there, and some unknown."""
    generator = np.random.default_rng(seed)
    frame = data.frame.copy()
    for name in NUMBERS:
        frame.loc[generator.random(len(frame)) < 0.15, name] = math.nan
    for name in CATEGORIES:
        frame.loc[generator.random(len(frame)) < 0.1, name] = None
        frame.loc[generator.random(len(frame)) < 0.1, name] = "never seen"
    return frame


def probabilities(run: TrainedRun, frame: pd.DataFrame) -> np.ndarray:
    """What the training pipeline gives, in this process: float32 `[rows]`."""
    transform = Transform(TransformData.from_json(run.transform_text()))
    features = torch.from_numpy(transform_frame(transform, DATA.schema, frame))
    with torch.no_grad():
        found, _ = run.module()(features)
    return found.numpy()[:, 0]


def fields(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Tensors by field, each `[rows, 1]`."""
    tensors = {name: frame[name].to_numpy(np.float32, na_value=np.nan)[:, None] for name in NUMBERS}
    for name in [*CATEGORIES, "customer_id"]:
        tensors[name] = column(frame[name])
    return tensors


def column(values: Sequence[str | None]) -> np.ndarray:
    tensor = np.empty((len(values), 1), dtype=object)
    tensor[:, 0] = [(value or "").encode() for value in values]
    return tensor


def records(frame: pd.DataFrame) -> list[str]:
    """Each row as JSON text; what is missing is left out."""
    rows = frame[[*NUMBERS, *CATEGORIES]].astype(object).to_dict("records")
    return [json.dumps({k: v for k, v in row.items() if v is not None and v == v}) for row in rows]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_test_row_gets_the_probability_of_training(
    churn_served: Served, predictions: pd.DataFrame, protocol: Protocol
) -> None:
    held_out = predictions["part"] == "test"
    frame, expected = DATA.frame[held_out.to_numpy()], predictions[held_out]
    assert len(frame) == 750
    with churn_served.client(protocol) as client:
        by_field = client.infer("churn", fields(frame)).outputs
        by_record = client.infer(
            "churn_record",
            {"RECORD": column(records(frame)), "customer_id": column(frame["customer_id"])},
        ).outputs
    for answer in (by_field, by_record):
        found = answer["churn_probability"]
        assert found.shape == (750, 1)
        assert np.abs(found[:, 0] - expected["probability"].to_numpy()).max() < 1e-5
        identifiers = [value.decode() for value in answer["customer_id"][:, 0]]
        assert identifiers == frame["customer_id"].tolist() == expected["identifier"].tolist()


@pytest.mark.parametrize("seed", [0, 1])
def test_rows_with_holes_and_strangers_get_the_probability_of_training(
    churn_served: Served, run: TrainedRun, seed: int
) -> None:
    frame = with_holes(DATA, seed).iloc[:1000]
    assert frame[NUMBERS].isna().to_numpy().any()
    assert (frame[CATEGORIES] == "never seen").to_numpy().any()
    expected = probabilities(run, frame)
    with churn_served.client("grpc") as client:
        by_field = client.infer("churn", fields(frame)).outputs
        by_record = client.infer("churn_record", {"RECORD": column(records(frame))}).outputs
    for answer in (by_field, by_record):
        assert np.abs(answer["churn_probability"][:, 0] - expected).max() < 1e-5
    np.testing.assert_array_equal(by_field["churn_probability"], by_record["churn_probability"])


def test_the_prediction_is_by_the_threshold_of_the_run(
    churn_served: Served, run: TrainedRun
) -> None:
    with churn_served.client("grpc") as client:
        answer = client.infer("churn", fields(DATA.frame.iloc[:1000])).outputs
    expected = answer["churn_probability"] >= run.metrics()["threshold"]
    assert 0 < expected.sum() < len(expected)
    np.testing.assert_array_equal(answer["churn_prediction"], expected)


def test_a_flat_record_gets_a_flat_answer(churn_served: Served) -> None:
    status, answer = post(churn_served, "churn", CUSTOMER)
    assert status == 200
    assert answer["customer_id"] == "c-1"
    assert isinstance(answer["churn_prediction"], bool)
    assert 0 < answer["churn_probability"] < 1
    text = {"RECORD": json.dumps(CUSTOMER), "customer_id": "c-1"}
    status, same = post(churn_served, "churn_record", text)
    assert status == 200
    for name in ("customer_id", "churn_probability", "churn_prediction"):
        assert same[name] == answer[name]


def test_the_identifier_is_optional(churn_served: Served) -> None:
    unnamed = without("customer_id")
    for model, body in (("churn", unnamed), ("churn_record", {"RECORD": json.dumps(unnamed)})):
        status, answer = post(churn_served, model, body)
        assert status == 200
        assert "customer_id" not in answer
        assert "churn_probability" in answer


IMPUTED: dict[str, dict[str, Any]] = {
    "a number left out": {"account_length": ...},
    "a number of the network left out": {"total_day_minutes": ...},
    "NaN": {"total_day_minutes": math.nan},
    "a category left out": {"voice_mail_plan": ...},
    "an empty category": {"voice_mail_plan": ""},
    "an unknown category": {"state": "Atlantis"},
}


@pytest.mark.parametrize("case", IMPUTED)
def test_what_is_missing_or_unknown_is_imputed_alike_in_both_forms(
    churn_served: Served, case: str
) -> None:
    customer = changed(IMPUTED[case])
    answers = [
        post(churn_served, "churn", customer),
        post(churn_served, "churn_record", {"RECORD": json.dumps(customer)}),
    ]
    assert [status for status, _ in answers] == [200, 200], answers
    first, second = (answer["churn_probability"] for _, answer in answers)
    assert first == second


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "below the range": ({"account_length": -4}, "row 0: field 'account_length' is -4; expected"),
    "absurd": ({"total_day_minutes": 1e7}, "row 0: field 'total_day_minutes' is 1e+07; expected"),
    "beyond float32": ({"total_day_minutes": 1e39}, "row 0: field 'total_day_minutes' is"),
    "misspelt": (
        {"total_day_minutes": ..., "total_dya_minutes": 1},
        "there is no field 'total_dya_minutes'; did you mean 'total_day_minutes'?",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_names_its_field_alike_in_both_forms(
    churn_served: Served, case: str
) -> None:
    change, message = REFUSED[case]
    customer = changed(change)
    for model, body in (("churn", customer), ("churn_record", {"RECORD": json.dumps(customer)})):
        status, answer = post(churn_served, model, body)
        assert status == 400
        assert message in answer["error"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "row 0 is a list ([]); expected one flat JSON object"),
        ("", "row 0: not JSON"),
        ("{}", "row 0 holds none of the fields"),
        (json.dumps({**CUSTOMER, "account_length": "128"}), "is text ('128'); expected a number"),
        (json.dumps({**CUSTOMER, "account_length": True}), "a truth value (True); expected a"),
        (json.dumps({**CUSTOMER, "state": 5}), "'state' is a number (5); expected text"),
        (json.dumps({**CUSTOMER, "state": ["OH"]}), "'state' is a list (['OH']); expected text"),
        (json.dumps({**CUSTOMER, "account_length": math.inf}), "expected a finite number"),
    ],
)
def test_a_json_record_that_cannot_be_used_says_why(
    churn_served: Served, text: str, message: str
) -> None:
    status, answer = post(churn_served, "churn_record", {"RECORD": text})
    assert status == 400
    assert message in answer["error"]
    assert "Traceback" not in answer["error"]


@pytest.mark.parametrize(
    "body",
    [
        {**CUSTOMER, "account_length": None},
        {**CUSTOMER, "account_length": "128"},
        {**CUSTOMER, "state": 5},
        {**CUSTOMER, "account_length": [1, 2]},
        {},
    ],
)
def test_what_triton_refuses_before_the_model_is_still_refused(
    churn_served: Served, body: Mapping[str, Any]
) -> None:
    status, answer = post(churn_served, "churn", body)
    assert status in (400, 500)
    assert answer["error"]


def test_a_row_of_a_batch_is_named(churn_served: Served) -> None:
    tensors = fields(DATA.frame.iloc[:5])
    tensors["total_day_minutes"][3] = np.inf
    with (
        churn_served.client("grpc") as client,
        pytest.raises(TrimaranError, match=r"row 3: field 'total_day_minutes' is inf; expected a"),
    ):
        client.infer("churn", tensors)


def test_no_rows_and_too_many_rows_are_refused(churn_served: Served) -> None:
    many = pd.concat([DATA.frame, DATA.frame])
    for frame, message in (
        (many, "batch-size must be <= 1024"),
        (many.iloc[:0], "expected 1 string elements"),
    ):
        for model, tensors in (
            ("churn", fields(frame)),
            ("churn_record", {"RECORD": column(records(frame))}),
        ):
            with churn_served.client("grpc") as client, pytest.raises(TrimaranError, match=message):
                client.infer(model, tensors)


def test_a_bad_request_leaves_its_batch_mates_alone(churn_served: Served) -> None:
    bodies = [
        {"RECORD": text if place % 3 else '{"state": 5}', "customer_id": str(place)}
        for place, text in enumerate(records(DATA.frame.iloc[:300]))
    ]
    ran = len(bodies)
    for _ in range(20):  # on a busy machine requests may come one at a time
        before = executions(churn_served)
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda body: post(churn_served, "churn_record", body), bodies))
        ran = executions(churn_served) - before
        if ran < len(bodies):
            break
    assert ran < len(bodies), "no two requests shared a batch"
    for place, (status, answer) in enumerate(answers):
        assert status == (200 if place % 3 else 400), answer
        if status == 200:
            assert answer["customer_id"] == str(place)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_refused_record_is_the_fault_of_the_client(
    churn_served: Served, protocol: Protocol
) -> None:
    record = {"RECORD": column(['{"state": 5}'])}
    minutes = {"total_day_minutes": np.array([[np.inf]], np.float32)}
    with churn_served.client(protocol) as client:
        for model, tensors in (("churn_record", record), ("churn", minutes)):
            with pytest.raises(TrimaranError, match="row 0: field ") as refused:
                client.infer(model, tensors)
            cause = refused.value.__cause__
            assert isinstance(cause, InferenceServerException)
            assert cause.status() in ("400", "StatusCode.INVALID_ARGUMENT")


def test_the_record_model_holds_the_published_network(churn_served: Served) -> None:
    repository = churn_served.repository
    record, network = repository.newest("churn_record"), repository.newest("churn_onnx")
    assert record is not None
    assert network is not None
    copied = (record.path / "model.onnx").read_bytes()
    assert copied == (network.path / "model.onnx").read_bytes()
    assert record.manifest is not None
    assert record.manifest.source["model.onnx"] == f"churn_onnx version {network.number}"


def test_the_printed_calls_work(churn_served: Served, tmp_path: Path) -> None:
    lines = churn_served.lines
    (curl,) = [line for line in lines if line.startswith("curl ")]
    assert json.loads(output_of("/bin/sh", "-c", curl))["churn_prediction"] is True
    start = lines.index("import numpy as np")
    script = tmp_path / "call.py"
    script.write_text("\n".join(lines[start : lines.index("Press Ctrl-C to stop.")]))
    said = output_of(sys.executable, script)
    assert "True" in said
    assert "leaves" in said


def test_without_a_trained_model_the_export_says_how_to_get_one(tmp_path: Path) -> None:
    result = call_trimaran("publish", "runs/churn/latest", cwd=tmp_path)
    assert result.status == 1
    assert "no trained run in runs/churn; train one with 'trimaran train TABLE'" in result.error


def output_of(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def post(served: Served, model: str, body: object) -> tuple[int, dict[str, Any]]:
    """A request to `/generate`; its status and answer."""
    url = served.url(f"/v2/models/{model}/generate")
    response = urllib3.request("POST", url, body=json.dumps(body), retries=False)
    return response.status, response.json()


def changed(change: Mapping[str, Any]) -> dict[str, Any]:
    """A customer with other values; `...` leaves a field out."""
    customer = {**CUSTOMER, **change}
    return {name: value for name, value in customer.items() if value is not ...}


def without(name: str) -> dict[str, Any]:
    return changed({name: ...})


def executions(served: Served) -> int:
    (statistics,) = served.control.statistics("churn_record")
    return int(statistics["execution_count"])
