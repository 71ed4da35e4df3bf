"""Models of several classes and of a number in the real Triton, against the training pipeline."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import urllib3

from ensembles.pipeline import Pipeline
from ensembles.publish import publish_pipeline, publish_python_model
from ensembles.tabular_classifier import models_of
from exporters.export import export_model
from exporters.original import run_original
from exporters.spec import ModelSpec
from tests.running import Served, start_serving, wait_for
from tests.trimaran.calling import call_trimaran
from tests.trimaran.training.tabular.customers import FAST, recipe
from tests.trimaran.training.tabular.public import diamonds, penguins
from trimaran.repository.repository import Repository
from trimaran.served.dates import as_text, days_of
from trimaran.served.transform import Transform, TransformData
from trimaran.training.tabular.data.schema import FieldSchema
from trimaran.training.tabular.data.sources import Dataset
from trimaran.training.tabular.features.fit import transform_frame
from trimaran.training.tabular.learning.learn import Problem
from trimaran.training.tabular.runs.run import train
from trimaran.training.tabular.runs.trained import TrainedRun


def sold() -> Dataset:
    """The diamonds with made-up dates and texts, of which some are missing."""
    data = diamonds()
    chance, rows = np.random.default_rng(0), len(data.frame)
    cut = chance.uniform(days_of("2024-01-01"), days_of("2025-12-31"), rows).round(2)
    dates = {"cut_on": cut, "sold_on": np.floor(cut + chance.uniform(0, 90, rows))}
    dates["cut_on"][chance.random(rows) < 0.1] = np.nan
    fields = [FieldSchema("cut_on", "date", as_of="sold_on"), FieldSchema("sold_on", "date")]
    schema = replace(
        data.schema, fields=(*data.schema.fields, *fields, FieldSchema("note", "text"))
    )
    notes = [" ".join(chance.choice(["Fine", "old", "from Ü", "sold"], 3)) for _ in range(rows)]
    note = pd.Series(notes, dtype=object).where(chance.random(rows) > 0.1, None)
    return replace(data, frame=data.frame.assign(**dates, note=note), schema=schema)


def written(column: pd.Series) -> list[str]:
    """Dates as a client sends them."""
    return ["" if days != days else as_text(days) for days in column]


TABLES: dict[str, Callable[[], Dataset]] = {"penguins": penguins, "diamonds": sold}
ROWS = 64
Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TrainedRun]:
    out = tmp_path_factory.mktemp("runs")
    return {
        name: train(
            Problem.of(table()),
            replace(recipe(replace(FAST, epochs=8)), family=name, cuts={}),
            0,
            out,
        )
        for name, table in TABLES.items()
    }


@pytest.fixture(scope="module")
def served(
    runs: dict[str, TrainedRun], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    repository = Repository.create(tmp_path_factory.mktemp("tasks") / "model_repository")
    for name, run in runs.items():
        features = torch.from_numpy(run.samples())
        spec = ModelSpec(
            name=name,
            module=run.module(),
            example_inputs={"features": features[:2]},
            output_names=list(run.answers().network),
        )
        export_model(run_original(spec, 256), "onnx", repository, name, lambda stage: None)
        for model in models_of(run, logged=True):
            if isinstance(model, Pipeline):
                wiring = replace(model.ensemble, max_batch_size=256)
                publish_pipeline(repository, replace(model, ensemble=wiring), "tests")
            else:
                publish_python_model(repository, model, "tests")
        result = call_trimaran("release", name, "--repository", str(repository.root))
        assert result.status == 0, result.stderr
    running = start_serving(repository, "--log-predictions")
    yield running
    running.stop()


def expected(run: TrainedRun, data: Dataset) -> list[np.ndarray]:
    """What the training pipeline gives for the first rows, in this process."""
    transform = Transform(TransformData.from_json(run.transform_text()))
    features = transform_frame(transform, data.schema, data.frame.head(ROWS))
    with torch.no_grad():
        return [each.numpy() for each in run.module()(torch.from_numpy(features))]


def by_record(served: Served, name: str, data: Dataset) -> Arrays:
    fields = [field.name for field in data.schema.fields]
    frame = data.frame[fields].head(ROWS).astype(object)
    frame = frame.assign(**{each.name: written(frame[each.name]) for each in data.schema.dates})
    rows = frame.to_dict("records")
    texts = [json.dumps({k: v for k, v in row.items() if v is not None and v == v}) for row in rows]
    records = np.array([[text.encode()] for text in texts], dtype=object)
    with served.client("grpc") as client:
        return dict(
            client.infer(f"{name}_record", {"RECORD": records, "id": ids(data, ROWS)}).outputs
        )


def ids(data: Dataset, rows: int) -> np.ndarray:
    return np.array([[each.encode()] for each in data.frame["id"].head(rows)], dtype=object)


def by_fields(
    served: Served, name: str, data: Dataset, request_id: str = "", prefix: str = "field"
) -> Arrays:
    """The answers to rows by field; each has an id of its own unless the request has one."""
    frame = data.frame.head(ROWS)
    inputs = {
        field.name: frame[field.name].to_numpy(np.float32)[:, np.newaxis]
        for field in data.schema.numbers
    }
    for field in (*data.schema.categories, *data.schema.texts):
        texts = [(value or "").encode() for value in frame[field.name]]
        inputs[field.name] = np.array(texts, dtype=object)[:, np.newaxis]
    for field in data.schema.dates:
        texts = [text.encode() for text in written(frame[field.name])]
        inputs[field.name] = np.array(texts, dtype=object)[:, np.newaxis]
    with served.client("grpc") as client:
        if not request_id:
            inputs["id"] = np.char.add(f"{prefix}-", ids(data, ROWS).astype(str)).astype(object)
        return dict(client.infer(name, inputs, request_id=request_id).outputs)


@pytest.mark.parametrize("ask", [by_record, by_fields])
def test_classes_are_answered_by_name_with_their_probabilities(
    served: Served, runs: dict[str, TrainedRun], ask: Callable[[Served, str, Dataset], Arrays]
) -> None:
    data = penguins()
    probability, number = expected(runs["penguins"], data)
    found = ask(served, "penguins", data)
    classes = ["Adelie", "Chinstrap", "Gentoo"]
    np.testing.assert_allclose(found["penguins_probability"], probability, atol=1e-5)
    assert found["penguins_probability"].shape == (ROWS, 3)
    answered = [each.decode() for each in found["penguins_prediction"].ravel()]
    assert answered == [classes[each] for each in number.ravel()]
    assert answered.count("Adelie") > ROWS / 2  # the table begins with them


@pytest.mark.parametrize("ask", [by_record, by_fields])
def test_a_number_is_answered_in_its_unit_with_its_interval(
    served: Served, runs: dict[str, TrainedRun], ask: Callable[[Served, str, Dataset], Arrays]
) -> None:
    data, run = sold(), runs["diamonds"]
    assert {"cut_on_days", "sold_on_weekday", "cut_on_missing", "note~fine old"} <= set(
        json.loads(run.transform_text())["outputs"]
    )
    found = ask(served, "diamonds", data)
    for name, values in zip(("value", "low", "high"), expected(run, data), strict=True):
        np.testing.assert_allclose(found[f"diamonds_{name}"], values, rtol=1e-4, atol=0.1)
    width = found["diamonds_high"] - found["diamonds_low"]
    np.testing.assert_allclose(width, 2 * run.metrics()["margin"], rtol=1e-4)


def test_a_csv_file_gets_a_column_for_each_class(served: Served, tmp_path: Path) -> None:
    data = penguins()
    source, scored = tmp_path / "penguins.csv", tmp_path / "scored.csv"
    fields = [field.name for field in data.schema.fields]
    data.frame[["id", *fields]].head(ROWS).to_csv(source, index=False)
    root = str(served.repository.root)
    files = ("--input", str(source), "--output", str(scored))
    result = call_trimaran("predict", "penguins", *files, "--repository", root)
    assert result.status == 0, result.stderr
    found = pd.read_csv(scored)
    assert list(found)[-4:] == [*(f"penguins_probability_{n}" for n in range(3)),
                                "penguins_prediction"]  # fmt: skip
    answers = by_fields(served, "penguins", data)
    columns = found[[f"penguins_probability_{n}" for n in range(3)]].to_numpy(np.float32)
    np.testing.assert_allclose(columns, answers["penguins_probability"], atol=1e-6)


def told(served: Served, name: str, outcomes: list[tuple[str, object]], path: Path) -> str:
    """What `trimaran feedback` says of outcomes by id."""
    rows = "".join(f"{each},{outcome}\n" for each, outcome in outcomes)
    path.write_text(f"id,outcome\n{rows}")
    given = ("feedback", name, "--input", str(path), "--repository", str(served.repository.root))
    result = call_trimaran(*given)
    return result.stdout + result.stderr


def cells(served: Served, model: str, metric: str = "trimaran_outcomes_total") -> dict[str, float]:
    """The outcomes of a model by cell, as Prometheus reads them."""
    url = f"http://127.0.0.1:{served.ports.metrics}/metrics"
    lines = urllib3.request("GET", url).data.decode().splitlines()
    found = [line for line in lines if line.startswith(f"{metric}{{")]
    mine = [line for line in found if f'model="{model}"' in line]
    return {
        re.search(r'cell="([^"]*)"', line)[1]: float(line.rpartition(" ")[2])  # type: ignore[index]
        for line in mine
    }


def until_told(
    served: Served, name: str, outcomes: list[tuple[str, object]], path: Path
) -> dict[str, float]:
    """Ask for the rows, tell their outcomes, and give the counts by cell."""
    by_record(served, name, TABLES[name]())
    wait_for(lambda: "unknown" not in told(served, name, outcomes, path), 10, "the log's lines")
    return wait_for(lambda: cells(served, f"{name}_record"), 10, "the counters")


def test_outcomes_of_classes_are_counted_by_class(
    served: Served, runs: dict[str, TrainedRun], tmp_path: Path
) -> None:
    data = penguins()
    _, number = expected(runs["penguins"], data)
    decided = [("Adelie", "Chinstrap", "Gentoo")[each] for each in number.ravel()]
    true = data.frame["species"].head(ROWS).tolist()
    outcomes = list(zip(data.frame["id"].head(ROWS), true, strict=True))
    path = tmp_path / "outcomes.csv"
    assert "is no class; classes: Adelie, Chinstrap, Gentoo" in told(
        served, "penguins", [("1", "Emperor")], path
    )
    found = until_told(served, "penguins", outcomes, path)
    for label in set(true) | set(decided):
        pairs = list(zip(true, decided, strict=True))
        assert found[f"right:{label}"] == pairs.count((label, label))
        assert found[f"missed:{label}"] == true.count(label) - pairs.count((label, label))
        assert found[f"false:{label}"] == decided.count(label) - pairs.count((label, label))


def test_outcomes_of_numbers_are_counted_by_their_errors(
    served: Served, runs: dict[str, TrainedRun], tmp_path: Path
) -> None:
    data = sold()
    value, low, high = (each.ravel() for each in expected(runs["diamonds"], data))
    true = data.frame["price"].head(ROWS).to_numpy()
    outcomes: list[tuple[str, object]] = list(zip(data.frame["id"].head(ROWS), true, strict=True))
    path = tmp_path / "outcomes.csv"
    assert "is 'cheap', and not a number" in told(served, "diamonds", [("1", "cheap")], path)
    found = until_told(served, "diamonds", outcomes, path)
    assert found["held"] == ((true >= low) & (true <= high)).sum()
    assert found["held"] + found["outside"] == ROWS
    assert found["absolute_error"] == pytest.approx(np.abs(value - true).sum(), rel=1e-4)
    assert found["squared_error"] == pytest.approx(((value - true) ** 2).sum(), rel=1e-3)


@pytest.mark.parametrize("request_id", ["", "order-7"])
def test_answers_by_named_fields_are_judged_by_identifier_or_request(
    served: Served, runs: dict[str, TrainedRun], request_id: str, tmp_path: Path
) -> None:
    data = diamonds()
    before = cells(served, "diamonds")
    # No other answer has these ids, so outcomes find these or, while they are not logged, none.
    found = by_fields(served, "diamonds", data, request_id, prefix="judged")
    true = data.frame["price"].head(ROWS).to_numpy()
    names = [f"{request_id}/{row}" for row in range(ROWS)]
    if not request_id:
        names = [f"judged-{each}" for each in data.frame["id"].head(ROWS)]
    outcomes: list[tuple[str, object]] = list(zip(names, true, strict=True))
    path = tmp_path / "outcomes.csv"

    def added() -> float:
        told(served, "diamonds", outcomes, path)
        return cells(served, "diamonds").get("absolute_error", 0) - before.get("absolute_error", 0)

    error = np.abs(found["diamonds_value"].ravel() - true).sum()
    wait_for(lambda: added() == pytest.approx(error, rel=1e-4), 10, "the counters")
    reference = cells(served, "diamonds", "trimaran_reference_outcomes")
    assert reference["held"] + reference["outside"] == runs["diamonds"].metrics()["test"]["rows"]


def test_what_is_served_is_what_the_report_judged(runs: dict[str, TrainedRun]) -> None:
    penguin, diamond = (run.metrics()["test"] for run in runs.values())
    assert penguin["macro_f1"] > penguin["majority_macro_f1"] + 0.3
    assert diamond["mae"] < 0.6 * diamond["median_mae"]
    assert 0.8 < diamond["coverage"] <= 1.0
