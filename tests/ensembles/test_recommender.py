"""The ensemble of a recommender in the real Triton, against the network of its run."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import urllib3

from loadtests.payloads import choose_rows
from tests.running import Served, start_serving
from tests.trimaran.calling import call_trimaran
from trimaran.repository.repository import Repository
from trimaran.served.histories import padded_histories
from trimaran.serving.client import Protocol
from trimaran.system.errors import TrimaranError
from trimaran.training.recommender.data import Choices
from trimaran.training.recommender.movielens import movielens
from trimaran.training.recommender.run import train_data
from trimaran.training.recommender.trained import RecommenderRun

PROTOCOLS: tuple[Protocol, ...] = ("http", "grpc")
USERS, TOP = 100, 12
Answers = list[tuple[list[str], str]]
"""The items of each user, and what they were made from."""


@functools.cache
def few() -> Choices:
    """The choices of some users among the films that most of all users rated."""
    data = movielens()
    known = np.argsort(-np.bincount(data.item), kind="stable")[:300]
    rows = (data.user < USERS) & np.isin(data.item, known)
    items, item = np.unique(data.item[rows], return_inverse=True)
    return replace(
        data,
        users=data.users[:USERS],
        items=tuple(data.items[place] for place in items),
        user=data.user[rows],
        item=item.astype(np.int64),
        liked=data.liked[rows],
    )


def ask(served: Served, users: Sequence[bytes], protocol: Protocol = "grpc") -> Answers:
    rows = np.empty((len(users), 1), dtype=object)
    rows[:, 0] = users
    with served.client(protocol) as client:
        outputs = client.infer("movielens", {"USER": rows}).outputs
    assert outputs["SCORE"].shape == (len(users), TOP)
    assert (np.diff(outputs["SCORE"], axis=1) <= 0).all()
    basis = [each.decode() for each in outputs["BASIS"][:, 0]]
    return [
        ([name.decode() for name in row], made)
        for row, made in zip(outputs["ITEM"], basis, strict=True)
    ]


def in_process(run: RecommenderRun, users: Sequence[str]) -> list[list[str]]:
    """The items of users by the run's own network."""
    histories, names = run.histories(), ["", *run.text("items.txt").splitlines()]
    given = [histories.of(user) for user in users]
    rows = padded_histories([np.zeros(0, np.int32) if row is None else row for row in given])
    with torch.inference_mode():
        items, _ = run.network()(torch.from_numpy(rows))
    return [[names[place] for place in row] for row in items.tolist()]


def released(run: RecommenderRun, folder: Path, unknown: str = "popularity") -> Served:
    """A server of the run's ensemble."""
    root = folder / "model_repository"

    def call(*command: str | Path) -> None:
        outcome = call_trimaran(*command, "--repository", root, cwd=folder)
        assert outcome.status == 0, outcome.stderr

    call("export", run.directory, "--format", "onnx")
    call("publish", run.directory)
    path = root / "movielens_history" / "config.pbtxt"
    written = 'string_value: "popularity"'
    assert written in path.read_text()
    path.write_text(path.read_text().replace(written, f'string_value: "{unknown}"'))
    call("release", "movielens")
    return start_serving(Repository.open(root))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RecommenderRun:
    folder = tmp_path_factory.mktemp("recommender")
    return train_data(few(), "ease", TOP, 0, folder / "runs")


@pytest.fixture(scope="module")
def served(run: RecommenderRun) -> Iterator[Served]:
    running = released(run, run.directory.parents[2])
    yield running
    running.stop()


def test_a_run_is_complete_and_found_again(run: RecommenderRun) -> None:
    metrics = run.metrics()
    low, high = metrics["intervals"]["ndcg"]
    assert low < metrics["test"]["ndcg"] < high
    assert metrics["test"]["ndcg"] > metrics["baselines"]["popularity"]["ndcg"] > 0
    report = (run.directory / "report.html").read_text(encoding="utf-8")
    assert f"{metrics['test']['ndcg']:.3f}" in report
    before = (run.directory / "metrics.json").stat().st_mtime_ns
    assert train_data(few(), "ease", TOP, 0, run.directory.parents[1]) == run
    assert (run.directory / "metrics.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_answers_are_those_of_the_network_and_nothing_that_was_seen(
    served: Served, run: RecommenderRun, protocol: Protocol
) -> None:
    histories = run.histories()
    users = [*histories.users, "nobody", "0196"]
    expected = in_process(run, users)
    batches = [users[start : start + 5] for start in range(0, len(users), 5)]
    with ThreadPoolExecutor(8) as pool:  # so that histories of several lengths wait together
        parts = pool.map(lambda part: ask(served, [u.encode() for u in part], protocol), batches)
        answers = [each for part in parts for each in part]
    assert [items for items, _ in answers] == expected
    assert [made for _, made in answers] == ["history"] * USERS + ["popularity"] * 2
    names = run.text("items.txt").splitlines()
    for user, (items, _) in zip(histories.users, answers, strict=False):
        seen = histories.of(user)
        assert seen is not None
        assert not {names[abs(place) - 1] for place in seen} & set(items)


def test_a_user_who_cannot_be_read_fails_alone(served: Served) -> None:
    with pytest.raises(TrimaranError, match="the user has no visible character"):
        ask(served, [b""])
    with pytest.raises(TrimaranError, match="user 1 of 3 is no UTF-8: byte 0 is 0xff"):
        ask(served, [b"1", b"\xff", b"2"])
    with pytest.raises(TrimaranError, match="the user has 1,001 bytes, and 1,000 are the most"):
        ask(served, [b"1" * 1001])
    url = served.url("/v2/models/movielens/generate")
    answer = urllib3.request("POST", url, json={"USER": " 1\u200b0 "})
    assert answer.status == 200, answer.data
    assert answer.json()["BASIS"] == "history"
    assert urllib3.request("POST", url, json={"USER": ""}).status == 400


def test_load_tests_send_users_whom_the_version_knows(run: RecommenderRun, served: Served) -> None:
    opened = served.repository
    rows = choose_rows(opened.config("movielens"), count=20, seed=1, repository=opened)
    assert rows.source == "20 users of the training, seed 1"
    sent = {row["USER"].item().decode() for row in rows.rows}
    assert len(sent) > 10
    assert sent <= set(run.histories().users)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--user", "who", "--item", "what"], "t.csv has no column 'who' for --user; its columns"),
        (["--user", "a"], "name the columns of users and items: --item is missing"),
        (["--user", "a", "--item", "b"], "t.csv has 3 users; a recommender takes 20 users or more"),
        (["--user", "a", "--item", "b", "--top", "0"], "--top is 0; it must be between 1 and 100"),
        (
            ["--user", "a", "--item", "b", "--liked", "3"],
            "--liked is the rating from which an item",
        ),
    ],
)
def test_wrong_usage_is_one_sentence(tmp_path: Path, options: list[str], message: str) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n2,3\n3,4\n")
    outcome = call_trimaran("train", "t.csv", *options, cwd=tmp_path)
    assert outcome.status != 0
    assert outcome.error.startswith(message)
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.long
def test_both_models_are_better_than_popularity_and_the_towers_are_served(tmp_path: Path) -> None:
    data = movielens()
    towers = train_data(data, "towers", TOP, 0, tmp_path / "runs")
    metrics = towers.metrics()
    assert metrics["users"]["tested"] == 907
    assert metrics["gain_over_popularity"]["ndcg"][1] > 0.03
    assert metrics["baselines"]["ease"]["ndcg"] > metrics["test"]["ndcg"]
    assert not list(towers.directory.glob("checkpoint*"))
    served = released(towers, tmp_path)
    try:
        users = [*data.users[:100], "nobody"]
        answers = ask(served, [user.encode() for user in users])
        assert [items for items, _ in answers] == in_process(towers, users)
    finally:
        served.stop()


@pytest.mark.long
def test_unknown_users_are_refused_where_the_configuration_says_so(
    run: RecommenderRun, tmp_path: Path
) -> None:
    served = released(run, tmp_path, unknown="refuse")
    try:
        assert ask(served, [b"1"])[0][1] == "history"
        with pytest.raises(TrimaranError, match="the user 'nobody' is unknown; name one who was"):
            ask(served, [b"nobody"])
    finally:
        served.stop()
