"""One page of each kind that trimaran writes, from data that are hard to show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from loadtests.bench.block import Settings
from loadtests.bench.plan import profile
from loadtests.bench.present import target_report
from loadtests.bench.target import Target
from loadtests.gates import Gates
from loadtests.generator.ceiling import Ceiling
from loadtests.reports.files import write_report
from loadtests.tuning.page import tuning_page
from loadtests.tuning.study import Score, Tried
from monitoring.page import summary_page
from monitoring.prometheus_api import Sample, Series
from monitoring.queries import CATALOGUE
from monitoring.query import MODEL
from monitoring.summary import summarise
from proofs.experiments import SCENARIOS
from tests.loadtests.knowing import known_server, one_request
from tests.photographs import parts_of_photographs
from tests.rollout.played import played
from tests.trimaran.training.tabular.customers import FAST, problem, recipe
from tests.trimaran.training.tabular.public import diamonds, penguins
from trimaran.pages.figures import SERIES
from trimaran.pages.page import Page, badge, beside, card, facts, figure, legend, table, text
from trimaran.repository.repository import Repository
from trimaran.rollout.experiments.course import course
from trimaran.rollout.experiments.experiment import record_of
from trimaran.rollout.experiments.plan import Goal
from trimaran.rollout.experiments.report import report as experiment_page
from trimaran.rollout.experiments.verdict import verdict
from trimaran.rollout.ledger import Entry
from trimaran.rollout.retraining.comparison import Comparison, SliceChange
from trimaran.rollout.retraining.gates import Gate
from trimaran.rollout.retraining.judging import Judgement
from trimaran.rollout.retraining.page import comparison_page
from trimaran.rollout.runs.checklist import ITEMS
from trimaran.rollout.runs.data_page import page_of_table
from trimaran.rollout.runs.families.known import figures_of
from trimaran.rollout.runs.families.tables import page_of_scored
from trimaran.rollout.runs.model_card import as_html, card_of
from trimaran.rollout.runs.readiness import Readiness, Timed
from trimaran.rollout.runs.run import runs_of
from trimaran.stats.intervals import Estimate
from trimaran.training.efficientnet_lite0 import SETTINGS
from trimaran.training.image.photographs import load, split
from trimaran.training.image.report import FINE_TUNED, FROZEN, Judged, Plain, report
from trimaran.training.tabular.data.schema import FieldSchema, Schema
from trimaran.training.tabular.data.sources import Dataset
from trimaran.training.tabular.evaluation.multiclass_metrics import score_classes
from trimaran.training.tabular.exploring.page import explore, overview
from trimaran.training.tabular.learning.learn import Problem
from trimaran.training.tabular.runs.frozen import scored_table
from trimaran.training.tabular.runs.run import train
from trimaran.training.tabular.runs.trained import TrainedRun
from trimaran.training.tabular.tasks.binary import Binary

LONG = "a_name_without_a_place_to_break_it_that_is_longer_than_any_place_" * 3
VERSIONS = len(SERIES) + 2


def machines() -> tuple[pd.DataFrame, Schema]:
    """A table of other things than customers, with long names that differ in the middle."""
    drawn = np.random.default_rng(0)
    rows = 600
    names = [f"temperature_of_the_{where}_bearing_in_degrees" for where in ("left", "right")]
    columns: dict[str, object] = {name: drawn.normal(60, 9, rows) for name in names}
    columns |= {f"sensor_number_{number:02}": drawn.normal(size=rows) for number in range(9)}
    columns["site"] = drawn.choice([f"the site by the {where} river" for where in "NESW"], rows)
    hot = columns[names[0]] + drawn.normal(0, 6, rows)  # type: ignore[operator]
    columns["state"] = np.where(hot > 66, "failed", "fine")
    frame = pd.DataFrame(columns).astype({"site": object, "state": object})
    frame.loc[:40, names[1]] = np.nan
    fields = [
        FieldSchema(name, "category" if name == "site" else "number") for name in frame.columns[:-1]
    ]
    return frame, Schema("machines", "state", Binary("failed"), tuple(fields))


def exploration(_: Path) -> str:
    frame, schema = machines()
    dataset = Dataset(frame, schema, "600 machines", ("a column was dropped",))
    return explore(dataset, overview(dataset))


def new_rows(_: Path) -> str:
    """The data report of a table without outcomes."""
    frame, schema = machines()
    unknown = frame.assign(state=None)
    return page_of_table(Dataset(unknown, schema, "600 machines", ("a column was dropped",)))


def predictions(directory: Path) -> str:
    """The results report of a persisted run."""
    run = _machines(directory)
    frame, schema = machines()
    frame["sensor_number_00"] += 3
    scored = scored_table(run, Dataset(frame, schema, "600 other machines"))
    return page_of_scored(run, scored, (LONG,))


def model_card(directory: Path) -> str:
    trained = figures_of(_machines(directory).directory)
    answers = {name: {"answer": "yes", "note": LONG} for name in ITEMS}
    told = [("begun", {}), ("finished", {}), ("reviewed", {"answers": answers}), ("approved", {})]
    told += [("deploying", {"persist": True}), ("prepared", {"parts": {"machines": 3}})]
    entries = [
        Entry(number, "2026-11-28T03:20:11.204Z", LONG[:90], event, "machines/1", details)
        for number, (event, details) in enumerate(told, start=1)
    ]
    served = [("machines", "3", "ensemble", "2.9 kB", ""), (LONG, "12", "onnx", "9 kB", "6e-08")]
    ready = Readiness("PyTorch", 9000, (Timed(1, 500, 2e-4, 4e-3), Timed(64, 3, 1.5, 2.5)), LONG)
    return as_html(card_of(runs_of(entries)["machines/1"], trained, trained, ready, served))


def retrained(_: Path) -> str:
    """The comparison of a retrained run with the live one."""
    gain = Estimate(-0.05, -0.11, 0.012)
    found = Comparison("unsure", 412, 0.81, 0.86, gain, 0.01)
    slices = [SliceChange(LONG, LONG, 60, gain, word) for word in ("falls", "unsure", "holds")]
    gates = [Gate("beats the live run", False, LONG), Gate("latency", True, "1.02 times")]
    judged = Judgement("machines/2", "F1", found, "", 0, slices, gates)
    return comparison_page("machines/3", LONG, judged)


def training(directory: Path) -> str:
    return (_machines(directory).directory / "report.html").read_text()


def _machines(directory: Path) -> TrainedRun:
    frame, schema = machines()
    about = replace(
        problem(),
        frame=frame,
        schema=schema,
        source="600 machines",
        target=(frame["state"] == "failed").to_numpy(),
    )
    plan = replace(recipe(), family="machines", goal=0.9, cuts={"sensor_number_00": (0, 1)})
    return train(about, plan, 0, directory)


def classes(directory: Path) -> str:
    return _trained(penguins(), directory)


def numbers(directory: Path) -> str:
    return _trained(diamonds(), directory)


def _trained(data: Dataset, directory: Path) -> str:
    plan = replace(recipe(replace(FAST, epochs=3)), family=data.source, goal=0.9, cuts={})
    return (train(Problem.of(data), plan, 0, directory).directory / "report.html").read_text()


def photographs(directory: Path) -> str:
    """A report on classes with long names, of which most are mistaken."""
    for place, content in enumerate(parts_of_photographs(36, 0)):
        folder = directory / f"the {LONG[:40]} class number {place % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{LONG[: 50 + place]}.jpg").write_bytes(content)
    data = load(directory, "parts", SETTINGS, lambda *_: None)
    parts = split(data, 0)
    drawn = np.random.default_rng(0).dirichlet([1, 1, 1], len(data.files)).astype(np.float32)
    scores = [
        score_classes(data.target[rows], drawn[rows], data.classes)
        for rows in (parts.validation, parts.test)
    ]
    judged = Judged(*scores, drawn[parts.validation], drawn[parts.test])
    plain = Plain(data.classes[0], 1 / 3, 1 / 6)
    losses = [0.5, 0.4, 0.45]
    return report(data, parts, 0, {FINE_TUNED: judged, FROZEN: judged}, plain, losses)


def benchmark(directory: Path) -> str:
    with known_server(0.001) as (process, port):
        target = Target("known", "http", one_request(port), "an empty object", process.pid)
        settings = Settings(0.1, 0, 4, Gates(p99_ms=50), 1e6)
        measured = profile(target, settings)
    report = target_report("trimaran bench", target, Ceiling(1e6, 1e-6), measured, {LONG: LONG})
    outcomes = {
        f"{place + 1}. {block.run.target}, {block.run.load}": block.outcome
        for place, block in enumerate(measured.blocks)
    }
    write_report(directory, report, outcomes)
    return (directory / "report.html").read_text()


def tuning(_: Path) -> str:
    trials = [
        Tried(number, {"model.instances": number}, Score(900.0 + 70 * number, 30.0 + number, 8, 1))
        for number in range(20)
    ]
    return tuning_page("Tuning of m", "better", 50.0, [*trials, Tried(20, {}, None, LONG)])


def monitoring(_: Path) -> str:
    versions = [{"model": f"a_model_{number}", "version": "1"} for number in range(VERSIONS)]
    answers = {
        name: [Sample(labels, 0.01 + at) for at, labels in enumerate(versions)]
        for name, query in CATALOGUE.items()
        if query.labels == MODEL
    }
    answers["errors_by_reason"] = [Sample({**versions[0], "reason": "BACKEND"}, 0.5)]
    answers["mean_objective"] = [Sample({"model": "a_model_3"}, 0.1)]
    at_the_gateway = [
        {"model": each["model"], "answer": answer, "reason": reason}
        for each in (*versions[:2], {"model": ""}, {"model": LONG})
        for answer, reason in (("2xx", "token"), ("grpc 7", "concurrency"))
    ]
    for name in ("gateway_requests", "gateway_refusals", "gateway_p99"):
        answers[name] = [Sample(labels, 0.5) for labels in at_the_gateway]
    servers = ("a", LONG[:64])
    answers["gateway_server_ready"] = [Sample({"server": name}, name == "a") for name in servers]
    at_s = 1_790_000_000.0
    times = np.linspace(at_s - 300, at_s, 60).tolist()
    courses = {
        name: [
            Series(labels, times, np.cumsum(np.random.default_rng(at).random(60)).tolist())
            for at, labels in enumerate(versions)
        ]
        for name in ("request_rate", "error_ratio", "p99_latency", "model_memory")
    }
    courses["gateway_refusals"] = [
        Series(labels, times, [float(at + 1)] * len(times))
        for at, labels in enumerate(at_the_gateway)
    ]
    summary = summarise(answers, "5m", at_s, at_s, [LONG])
    return summary_page(summary, courses, "http://127.0.0.1:9090")


def experiment(directory: Path) -> str:
    """A canary whose weights changed, with a goal of a long name and an arm without outcomes."""
    slower = SCENARIOS["slower"]
    plan = replace(slower.plan, goals=(Goal(LONG[:64]),))
    played(directory, replace(slower, requests=80, plan=plan), (0.05, 0.3), 12)
    name = "churn/1"
    found = course(record_of(Repository(directory / "model_repository"), name).news(), name)
    return experiment_page(found, verdict(found.state.plan, found.state.segments))


def everything(_: Path) -> str:
    """All blocks with texts that are hard to place."""
    black = Figure()
    black.subplots().set_title("drawn in black")
    many = Figure()
    many.subplots().plot(*np.random.default_rng(0).normal(size=(2, 20_000)), ".")
    cells = [LONG[:18]] * 12
    page = Page(LONG, LONG)
    page.section(
        LONG,
        *(text(LONG, kind) for kind in ("plain", "good", "warning", "error")),
        facts([(LONG, LONG), ("rows", 1_234_567), ("an interval", "0.326\N{EN DASH}0.683")]),
        table([f"column {at}" for at in range(14)], [[*cells, 12.5, badge("met", "good")]] * 3),
        legend([(LONG, look) for look in SERIES]),
        beside(figure(black, LONG, "black"), table(["text"], [[LONG]])),
        card(LONG, LONG, figure(many, "", "many points"), table(["text"], [[LONG]])),
    )
    return page.html()


PAGES: dict[str, Callable[[Path], str]] = {
    made.__name__: made
    for made in (
        exploration,
        new_rows,
        training,
        predictions,
        model_card,
        retrained,
        classes,
        numbers,
        photographs,
        benchmark,
        tuning,
        monitoring,
        experiment,
        everything,
    )
}
