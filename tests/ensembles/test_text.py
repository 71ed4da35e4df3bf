"""The ensembles of texts in the real Triton, against the network of their run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import urllib3

from tests.running import Served, start_serving, wait_for
from tests.trimaran.calling import call_trimaran
from trimaran.repository.repository import Repository
from trimaran.served.texts import MOST_BYTES, read_text
from trimaran.serving.client import Protocol
from trimaran.system.errors import TrimaranError
from trimaran.training.text.data import TextData, food_reviews
from trimaran.training.text.networks import probabilities
from trimaran.training.text.run import train_data
from trimaran.training.text.trained import TextRun
from trimaran.training.text.tuning import Tuning

PROTOCOLS: tuple[Protocol, ...] = ("http", "grpc")
REVIEW = b"Stale and bland; I threw the whole bag away."


@dataclass(frozen=True)
class Answers:
    """What the ensemble answers, one value per text."""

    labels: list[str]
    probability: np.ndarray
    truncated: list[bool]


def ask(served: Served, texts: list[bytes], protocol: Protocol = "grpc") -> Answers:
    rows = np.empty((len(texts), 1), dtype=object)
    rows[:, 0] = texts
    with served.client(protocol) as client:
        outputs = client.infer("food_reviews", {"TEXT": rows}).outputs
    labels = [label.decode() for label in outputs["LABEL"][:, 0]]
    return Answers(labels, outputs["PROBABILITY"][:, 0], outputs["TRUNCATED"][:, 0].tolist())


def in_process(run: TextRun, texts: list[bytes]) -> np.ndarray:
    """The probabilities of the run's own network, float32 `[rows]`."""
    encoding = run.encoding()
    encoded = encoding.tokenizer(run.text("vocabulary.json")).encode(list(map(read_text, texts)))
    return probabilities(run.network(), encoding, [row for row, _ in encoded])


def few(count: int) -> TextData:
    """Some of the reviews, of both parts."""
    data = food_reviews()
    rows = np.random.default_rng(0).permutation(len(data.texts))[:count]
    assert data.tested is not None
    texts = tuple(data.texts[row] for row in rows)
    return replace(data, texts=texts, target=data.target[rows], tested=data.tested[rows])


def released(run: TextRun, folder: Path) -> Served:
    """A server of the run's ensemble."""
    root = folder / "model_repository"
    commands: tuple[tuple[str | Path, ...], ...] = (
        ("export", run.directory, "--format", "onnx"),
        ("publish", run.directory),
        ("release", "food_reviews"),
    )
    for command in commands:
        outcome = call_trimaran(*command, "--repository", root, cwd=folder)
        assert outcome.status == 0, outcome.stderr
    return start_serving(Repository.open(root), "--log-predictions")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> TextRun:
    folder = tmp_path_factory.mktemp("text")
    return train_data(few(600), "tfidf", 0, folder / "runs", Tuning())


@pytest.fixture(scope="module")
def served(run: TextRun) -> Iterator[Served]:
    running = released(run, run.directory.parents[2])
    yield running
    running.stop()


def test_a_run_is_complete_and_found_again(run: TextRun) -> None:
    metrics = run.metrics()
    assert metrics["test"]["rows"] == metrics["rows"]["test"] > 80
    assert 0.5 < metrics["test"]["roc_auc"] < 1
    low, high = metrics["test"]["f1_interval"]
    assert low < metrics["test"]["f1"] < high
    assert metrics["threshold"] == run.threshold()
    report = (run.directory / "report.html").read_text(encoding="utf-8")
    assert f"{metrics['test']['f1']:.3f}" in report
    before = (run.directory / "metrics.json").stat().st_mtime_ns
    again = train_data(few(600), "tfidf", 0, run.directory.parents[1], Tuning())
    assert again == run
    assert (run.directory / "metrics.json").stat().st_mtime_ns == before


def test_answers_are_judged_by_the_ids_of_their_requests(
    served: Served, run: TextRun, tmp_path: Path
) -> None:
    with served.client() as client:
        for number in range(3):
            rows = np.array([[REVIEW]], dtype=object)
            answer = client.infer("food_reviews", {"TEXT": rows}, request_id=f"review-{number}")
    (label,) = answer.outputs["LABEL"].ravel()
    other = "great" if label == b"other" else "other"
    path, root = tmp_path / "outcomes.csv", served.repository.root
    path.write_text(
        f"request_id,outcome\nreview-0,{label.decode()}\nreview-1,{other}\nreview-2,bad\n"
    )
    refused = call_trimaran("feedback", "food_reviews", "--input", path, "--repository", root)
    assert "row 2: the outcome 'bad' is no class; classes: other, great" in refused.stderr
    path.write_text(path.read_text().replace("review-2,bad\n", ""))

    def counted() -> bool:
        told = call_trimaran("feedback", "food_reviews", "--input", path, "--repository", root)
        return told.status == 0

    wait_for(counted, 10, "the log's lines")
    url = f"http://127.0.0.1:{served.ports.metrics}/metrics"
    metrics = urllib3.request("GET", url).data.decode()
    kind = "positive" if label == b"great" else "negative"
    labels = 'model="food_reviews",version="1"'
    for right in ("true", "false"):
        assert f'trimaran_outcomes_total{{cell="{right}_{kind}",{labels}}} 1' in metrics
    tested = run.metrics()["test"]["confusion"]["true_positive"]
    expected = f'trimaran_reference_outcomes{{cell="true_positive",{labels}}} {tested}'
    assert expected in metrics


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_answers_are_those_of_the_network_for_texts_of_all_lengths(
    served: Served, run: TextRun, protocol: Protocol
) -> None:
    texts = [text.encode() for text in few(600).texts]
    expected = in_process(run, texts)
    batches = [texts[start : start + 7] for start in range(0, len(texts), 7)]
    with ThreadPoolExecutor(8) as pool:  # so that requests of several lengths wait together
        answers = list(pool.map(lambda batch: ask(served, batch, protocol), batches))
    found = np.concatenate([each.probability for each in answers])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    decided = expected >= np.float32(run.threshold())
    sure = np.abs(expected - run.threshold()) > 1e-4
    labels = np.array([label for each in answers for label in each.labels])
    assert (labels[sure] == np.where(decided, "great", "other")[sure]).all()
    assert {*labels} == {"great", "other"}


SAME = {
    "NUL inside of a word": b"Stale and bl\x00and; I threw the whole bag away.",
    "control characters and a byte order mark": b"\xef\xbb\xbfStale\x07 and bland; I threw the "
    b"whole\x1b bag away.",
    "a zero-width joiner": "Stale and bl\u200dand; I threw the whole bag away.".encode(),
    "line breaks and spaces": "\r\n Stale\tand\u00a0bland;\nI threw the whole\u2003bag away. "
    "".encode(),
    "capital letters, and wide ones": (
        "STALE and \uff42\uff4c\uff41\uff4e\uff44; I threw the whole bag away.".encode()
    ),
}


def test_what_is_removed_changes_nothing(served: Served) -> None:
    plain = ask(served, [REVIEW])
    found = ask(served, list(SAME.values()))
    differing = [name for name, p in zip(SAME, found.probability, strict=True) if p != plain]
    np.testing.assert_array_equal(found.probability, plain.probability.repeat(len(SAME)), differing)


@pytest.mark.parametrize(
    "text",
    [
        "😍🍕👩‍🍳",
        "чай Чай 茶 شاي ชา very good",
        "zzzz qqqq",
        "e\u0301" * 300,
        "\ufdfa" * 2_000,
        "<br />",
    ],
    ids=["emoji", "mixed scripts", "unknown words", "marks", "one that grows", "HTML"],
)
def test_any_visible_text_is_answered(served: Served, run: TextRun, text: str) -> None:
    answers = ask(served, [text.encode()])
    np.testing.assert_allclose(answers.probability, in_process(run, [text.encode()]), rtol=1e-4)


def test_a_long_text_is_cut_and_says_so(served: Served) -> None:
    start = b"Good tea. " * 1_000
    answers = ask(served, [start, b"Good tea.", start + b"Bad, stale, awful. " * 100])
    assert answers.truncated == [True, False, True]
    assert answers.probability[0] == answers.probability[2]


REFUSED = {
    "": "the text has no visible character; send at least one word",
    " \t\n\x00\u200b": "the text has no visible character",
    "a" * (MOST_BYTES + 1): "the text has 100,001 bytes, and 100,000 are the most; shorten it",
    b"caf\xe9 is nice": "the text is no UTF-8: byte 3 is 0xe9; encode it as UTF-8",
    b"half a pair \xed\xa0\x80": "the text is no UTF-8: byte 12 is 0xed",
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_text_that_cannot_be_used_fails_alone(served: Served, protocol: Protocol) -> None:
    bad = {t if isinstance(t, bytes) else t.encode(): message for t, message in REFUSED.items()}
    expected = ask(served, [REVIEW]).probability[0]

    def outcome(text: bytes) -> str | float:
        try:
            return float(ask(served, [text], protocol).probability[0])
        except TrimaranError as error:
            return str(error)

    sent = [each for text in bad for each in (REVIEW, text, REVIEW)] * 4
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(outcome, sent))
    for text, answer in zip(sent, found, strict=True):
        if text in bad:
            assert isinstance(answer, str), text[:50]
            assert bad[text] in answer
        else:
            assert answer == pytest.approx(expected, rel=1e-5)


def test_a_bad_text_among_others_of_a_request_is_named(served: Served) -> None:
    with pytest.raises(TrimaranError, match="text 2 of 4 is no UTF-8"):
        ask(served, [REVIEW, REVIEW, b"\xff", REVIEW])


def test_json_over_http(served: Served) -> None:
    url = served.url("/v2/models/food_reviews/generate")
    answer = urllib3.request("POST", url, json={"TEXT": "Great \u0000 café 😍"})
    assert answer.status == 200, answer.data
    assert answer.json()["LABEL"] in ("great", "other")
    refused = urllib3.request("POST", url, json={"TEXT": ""})
    assert refused.status == 400
    assert "no visible character" in json.loads(refused.data)["error"]


@pytest.mark.long
def test_all_reviews_are_better_decided_than_by_always_yes(tmp_path: Path) -> None:
    run = train_data(food_reviews(), "tfidf", 0, tmp_path / "runs", Tuning())
    metrics = run.metrics()
    assert metrics["test"]["rows"] == 1000
    assert metrics["test"]["f1_interval"][0] > metrics["always_yes_f1"]


@pytest.mark.long
def test_a_fine_tuned_encoder_is_served_as_it_was_trained(tmp_path: Path) -> None:
    run = train_data(few(500), "encoder", 0, tmp_path / "runs", Tuning(epochs=1))
    assert {*run.metrics()["baselines"]} == {"frozen encoder", "tfidf"}
    assert not list(run.directory.glob("embeddings*")) + list(run.directory.glob("checkpoint*"))
    served = released(run, tmp_path)
    try:
        texts = [*map(str.encode, few(500).texts[:60]), *SAME.values(), "😍 чай".encode()]
        found = ask(served, texts[:32]), ask(served, texts[32:60], "http"), ask(served, texts[60:])
        expected = in_process(run, texts)
        for part, wanted in zip(
            found, (expected[:32], expected[32:60], expected[60:]), strict=True
        ):
            np.testing.assert_allclose(part.probability, wanted, rtol=1e-3, atol=1e-4)
        assert ask(served, [b"good " * 300, b"good"]).truncated == [True, False]
    finally:
        served.stop()
