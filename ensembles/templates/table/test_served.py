"""The served ensemble gives customers the probabilities that the training wrote down for them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

from trimaran.training.tabular.runs.trained import named_run

PROJECT = Path(__file__).parent
TRITON: dict[str, Any] = {"http": tritonclient.http, "grpc": tritonclient.grpc}
NUMBERS = ("tenure", "monthly_charge", "support_calls")
TEXTS = ("customer_id", "contract")


def ask(protocol: str, address: str, rows: list[dict[str, str]]) -> np.ndarray:
    triton = TRITON[protocol]
    columns = {name: np.array([[float(r[name])] for r in rows], np.float32) for name in NUMBERS}
    columns |= {name: np.array([[r[name].encode()] for r in rows], object) for name in TEXTS}
    given = []
    for name, column in columns.items():
        kind = "FP32" if name in NUMBERS else "BYTES"
        given.append(triton.InferInput(name, list(column.shape), kind))
        given[-1].set_data_from_numpy(column)
    client = triton.InferenceServerClient(address)
    return client.infer("my_project", given).as_numpy("my_project_probability")[:, 0]


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_it_answers_as_the_training_did(server: dict[str, str], protocol: str) -> None:
    rows = read_csv(PROJECT / "my_project.csv")[:100]
    run = named_run(str(PROJECT / "runs" / "my_project"))
    predictions = read_csv(run.directory / "predictions.csv")
    expected = {row["identifier"]: float(row["probability"]) for row in predictions}
    answer = ask(protocol, server[protocol], rows)
    np.testing.assert_allclose(answer, [expected[r["customer_id"]] for r in rows], atol=1e-4)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_it_refuses_what_the_columns_do_not_allow(server: dict[str, str], protocol: str) -> None:
    row = read_csv(PROJECT / "my_project.csv")[0]
    with pytest.raises(InferenceServerException, match="tenure"):
        ask(protocol, server[protocol], [{**row, "tenure": "-1"}])
