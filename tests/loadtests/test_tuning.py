"""`trimaran tune`: what it tries, remembers, decides and writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.distributions import IntDistribution

from loadtests.bench.block import Block, closed_block
from loadtests.bench.target import Target
from loadtests.tuning.knobs import Knobs, knobs_of, parameters_of, read_knobs, space, with_knobs
from loadtests.tuning.page import tuning_page
from loadtests.tuning.study import Score, Tried, best_load, foregone, search
from tests.loadtests.knowing import known_server, one_request
from tests.trimaran.calling import call_trimaran
from trimaran.repository.config import ModelConfig, parse_config
from trimaran.repository.repository import Repository
from trimaran.system.errors import TrimaranError

NETWORK = """
name: "network"
backend: "onnxruntime"
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [8] }
output { name: "y" data_type: TYPE_FP32 dims: [4] }
"""
ENSEMBLE = """
name: "ensemble"
platform: "ensemble"
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [8] }
output { name: "y" data_type: TYPE_FP32 dims: [4] }
ensemble_scheduling { step {
  model_name: "network" model_version: -1
  input_map { key: "x" value: "x" } output_map { key: "y" value: "y" }
} }
"""


def config(more: str = "", base: str = NETWORK) -> ModelConfig:
    return parse_config(base + more, "here")


@pytest.mark.parametrize(
    ("more", "knobs"),
    [
        ("", Knobs()),
        ("instance_group { count: 3 }", Knobs(instances=3)),
        ("dynamic_batching { }", Knobs(batch=0)),
        (
            "dynamic_batching { preferred_batch_size: [2, 4] max_queue_delay_microseconds: 9 }",
            Knobs(batch=4, delay_us=9),
        ),
        (
            'parameters { key: "intra_op_thread_count" value { string_value: "2" } }',
            Knobs(threads=2),
        ),
    ],
)
def test_settings_are_read_and_written_back(more: str, knobs: Knobs) -> None:
    own = config(more)
    assert read_knobs(own) == knobs
    assert read_knobs(with_knobs(config(), knobs)) == knobs


def test_writing_settings_leaves_everything_else() -> None:
    more = 'dynamic_batching { preserve_ordering: true } parameters { key: "k" value { } }'
    changed = with_knobs(config(more), Knobs(instances=2, batch=4, delay_us=7))
    assert changed.dynamic_batching.preserve_ordering
    assert "k" in changed.parameters
    assert not with_knobs(config(more), Knobs(batch=1)).HasField("dynamic_batching")


def test_what_has_no_settings_is_not_searched() -> None:
    assert read_knobs(config(base=ENSEMBLE)) is None
    assert read_knobs(config("instance_group { count: 1 } instance_group { count: 1 }")) is None
    assert space({"ensemble": config(base=ENSEMBLE)}, cores=2) == {}


def test_the_present_settings_are_among_the_choices() -> None:
    own = config(
        "instance_group { count: 9 } "
        "dynamic_batching { preferred_batch_size: 3 max_queue_delay_microseconds: 77 }"
    )
    configs = {"network": own, "ensemble": config(base=ENSEMBLE)}
    distributions = space(configs, cores=2)
    present = parameters_of(configs, distributions)
    assert present == {
        "network.instances": 9,
        "network.threads": 0,
        "network.batch": 3,
        "network.delay_us": 77,
    }
    for name, value in present.items():
        assert distributions[name]._contains(distributions[name].to_internal_repr(value))
    assert knobs_of(configs, present) == {"network": read_knobs(own)}


def test_batches_stay_within_the_models_maximum() -> None:
    distributions = space({"network": config()}, cores=2)
    assert distributions["network.batch"].choices == (0, 1, 4, 8)  # type: ignore[attr-defined]
    single = config(base=NETWORK.replace("max_batch_size: 8", "max_batch_size: 1"))
    assert set(space({"network": single}, cores=2)) == {"network.instances", "network.threads"}


SPACE = {"m.instances": IntDistribution(1, 40)}


def score(rate: float) -> Score:
    return Score(rate, p99_ms=1.0, connections=1, cpu_ms=1.0)


def run(
    storage: Path,
    measure: Callable[[Mapping[str, int]], Score],
    trials: int,
    on_trial: Callable[[Tried], None] = lambda tried: None,
) -> list[Tried]:
    present = {"m.instances": 5}
    return search(
        SPACE, present, measure, trials=trials, seed=1, storage=storage, on_trial=on_trial
    )


def test_a_search_begins_with_the_present_and_finds_the_better(tmp_path: Path) -> None:
    def measure(parameters: Mapping[str, int]) -> Score:
        return score(100.0 - abs(parameters["m.instances"] - 30))

    tried = run(tmp_path / "study.sqlite3", measure, 30)
    assert len(tried) == 30
    assert tried[0].parameters == {"m.instances": 5}
    best = max(tried, key=lambda trial: trial.score.rate if trial.score else 0.0)
    assert abs(best.parameters["m.instances"] - 30) <= 2


def test_an_interrupted_search_keeps_its_trials_and_goes_on(tmp_path: Path) -> None:
    storage = tmp_path / "study.sqlite3"
    measured = []

    def measure(parameters: Mapping[str, int]) -> Score:
        if len(measured) == 3:
            raise KeyboardInterrupt
        measured.append(parameters["m.instances"])
        return score(parameters["m.instances"])

    assert [trial.parameters["m.instances"] for trial in run(storage, measure, 8)] == measured
    again, reported = [], []

    def measure_again(parameters: Mapping[str, int]) -> Score:
        again.append(parameters["m.instances"])
        return score(parameters["m.instances"])

    tried = run(storage, measure_again, 8, reported.append)
    assert len(again) == 5
    assert [trial.parameters["m.instances"] for trial in tried] == [*measured, *again]
    assert reported == tried


def test_an_interrupt_while_a_trial_sends_ends_the_search_and_is_no_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The generator ends its loop at an interrupt and reports it, instead of raising it."""
    asked = []

    def interrupted(target: Target, connections: int, seconds: float) -> Block:
        block = closed_block(target, connections, seconds)
        return replace(block, outcome=replace(block.outcome, interrupted=True))

    with known_server(0.01) as (_, port):
        target = Target("known", "http", one_request(port), "an empty object")

        def measure(parameters: Mapping[str, int]) -> Score:
            asked.append(parameters)
            if len(asked) == 2:
                monkeypatch.setattr("loadtests.tuning.study.closed_block", interrupted)
                return best_load(target, 1000.0, 0.1)
            return score(1.0)

        tried = run(tmp_path / "study.sqlite3", measure, 3)
    assert len(asked) == 2
    assert [bool(trial.score) for trial in tried] == [True]


def test_an_interrupt_before_any_trial_is_the_users(tmp_path: Path) -> None:
    def measure(parameters: Mapping[str, int]) -> Score:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "study.sqlite3", measure, 3)


def test_settings_that_the_server_refuses_are_reported_and_never_win(tmp_path: Path) -> None:
    def measure(parameters: Mapping[str, int]) -> Score:
        if parameters["m.instances"] == 5:
            raise TrimaranError("not so many")
        return score(1.0)

    tried = run(tmp_path / "study.sqlite3", measure, 4)
    assert tried[0].problem == "not so many"
    assert tried[0].score is None
    assert all(trial.score for trial in tried if trial.parameters["m.instances"] != 5)


@pytest.mark.parametrize(
    ("rates", "found"),
    [
        ((20.0, 10.0, None), ("the present settings are the best of 2, and 1 were refused", True)),
        ((20.0, 10.0), ("the present settings are the best of 2", True)),
        ((0.0, 0.0), ("no settings keep p99 within 5 ms", True)),
        ((20.0, None, None), ("all other settings were refused, trial 1: no room", False)),
        ((None, 10.0), ("the present settings could not be measured: no room", False)),
        ((10.0, 20.0, None), None),
    ],
)
def test_what_is_said_without_a_comparison(
    rates: Sequence[float | None], found: tuple[str, bool] | None
) -> None:
    tried = [
        Tried(number, {}, None, "no room") if rate is None else Tried(number, {}, score(rate))
        for number, rate in enumerate(rates)
    ]
    assert foregone(tried, 5.0) == found


def test_the_page_shows_every_trial_and_its_plot() -> None:
    tried = [
        Tried(0, {"m.instances": 1}, score(10.0)),
        Tried(1, {"m.instances": 2}, None, "refused <by> the server"),
    ]
    page = tuning_page("Tuning of m", "better", 50.0, tried)
    assert "<svg" in page
    assert "refused &lt;by&gt; the server" in page
    assert 'src="http' not in page


@pytest.mark.long
def test_a_search_on_a_real_server_writes_only_what_is_better(
    own_repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadtests.tuning.study._CONNECTIONS", (1, 4))
    monkeypatch.setattr("loadtests.bench.compare._MOST_TRIES", 1)
    path = own_repository.config_path("linear_onnx")
    before = path.read_text()
    page = tmp_path / "tuning.html"
    options = (
        "tune", "linear_onnx", "--p99-ms", "1000", "--trials", "2", "--duration", "100ms",
        "--turns", "2", "--write", "--output", page, "--repository", own_repository.root,
    )  # fmt: skip
    outcome = call_trimaran(*options)
    assert [f"trial {number}:" in outcome.stdout for number in range(2)] == [True] * 2
    assert "<svg" in page.read_text()
    if outcome.status == 0:
        assert (path.read_text() != before) is ("better settings:" in outcome.stdout)
    else:  # the comparison may be invalid on a busy machine; then nothing is written
        assert "invalid" in outcome.error
        assert path.read_text() == before
    storages = list((own_repository.state / "tuning").glob("linear_onnx*.sqlite3"))
    assert len(storages) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("linear_onnx", "--p99-ms", "0"), "--p99-ms is 0"),
        (("linear_onnx", "--p99-ms", "5", "--trials", "0"), "--trials is 0; give at least 1"),
        (("linear_onnx", "--p99-ms", "5", "--turns", "1"), "--turns is 1; give at least 2"),
        (("nothing", "--p99-ms", "5"), "nothing"),
        (("linear_onnx@smoke", "--p99-ms", "5"), "there is no protocol 'smoke'"),
    ],
)
def test_mistakes_are_one_sentence_and_status_2(
    exported: Repository, arguments: tuple[str, ...], words: str
) -> None:
    outcome = call_trimaran("tune", *arguments, "--repository", exported.root)
    assert words in outcome.error
    assert outcome.status == 2
