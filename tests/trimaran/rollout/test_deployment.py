"""Releases change under load without a failed request; a bad one never goes live."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import trimaran
from ensembles import Pipeline, PythonModel
from ensembles.efficientnet_lite0 import onnx_ensemble
from ensembles.pipeline import Ensemble, Step, tensor
from ensembles.publish import publish_python_model, write_wiring
from tests import models
from tests.programs import COMPILER, require
from tests.running import PROJECT, Served, start_serving, wait_for
from tests.trimaran.calling import call_trimaran
from tests.trimaran.repository.model_files.packages import altered
from tests.trimaran.serving.load import Answers, under_load
from trimaran.publishing.releases import make_release, read_release
from trimaran.repository.config import write_config
from trimaran.repository.live import render_candidate
from trimaran.repository.repository import Repository
from trimaran.rollout.deployment import deploy, roll_back
from trimaran.rollout.fleet import Fleet
from trimaran.rollout.switch import flip
from trimaran.serving.settling import settle
from trimaran.system.errors import TrimaranError

CAT = (PROJECT / "model_repository/image_classifier/golden/chelsea.jpg").read_bytes()
ENSEMBLE = "image_classifier"
COMPILED = "compiled_classifier"
PHOTOGRAPH = {"IMAGE": np.array([[CAT]], np.object_)}


def labels_model(pipeline: Pipeline) -> PythonModel:
    return next(model for model in pipeline.python_models() if model.name == "image_labels")


def release_with_labels(repository: Repository, change: str) -> int:
    """A release whose labels are changed: `upper` keeps them true, `reverse` makes them wrong."""
    model = labels_model(onnx_ensemble())
    lines = model.files["labels.txt"].decode().splitlines()
    changed = lines[::-1] if change == "reverse" else [f"{line} ({change})" for line in lines]
    files = {**model.files, "labels.txt": "".join(f"{line}\n" for line in changed).encode()}
    publish_python_model(repository, replace(model, files=files), "test")
    return make_release(repository, ENSEMBLE).version


@pytest.fixture(scope="module")
def released(exported: Repository, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("released") / "model_repository"
    shutil.copytree(exported.root, root, ignore=shutil.ignore_patterns("configs"))
    served = start_serving(Repository.open(root), "--model", ENSEMBLE)
    yield served
    served.stop()


@pytest.fixture
def standing(released: Served) -> Iterator[Served]:
    """A server whose release 1 is live; what a test makes live is taken back after it."""
    assert served_release(released) == 1
    yield released
    if served_release(released) != 1:
        with released.client() as client:
            deploy(released.repository, Fleet.of_one(released.control, client), ENSEMBLE, 1)


def served_release(served: Served) -> int:
    (version,) = served.control.ready_versions(ENSEMBLE)
    return version


def best_labels(answers: Answers) -> set[bytes]:
    return {outputs["LABEL"][0, 0] for outputs in answers.outputs}


@pytest.mark.parametrize("rounds", [3, pytest.param(10, marks=pytest.mark.long)])
def test_deployments_and_rollbacks_without_a_failed_request(standing: Served, rounds: int) -> None:
    repository, control = standing.repository, standing.control
    second = release_with_labels(repository, "second")
    with under_load(standing, ENSEMBLE, PHOTOGRAPH) as answers, standing.client() as client:
        for _ in range(rounds):
            before = answers.count
            deployed = deploy(repository, Fleet.of_one(control, client), ENSEMBLE, second)
            assert deployed.golden == 1
            assert served_release(standing) == second
            rolled = roll_back(repository, Fleet.of_one(control, client), ENSEMBLE)
            assert rolled.release == served_release(standing) == 1
            assert answers.count > before, "no request was answered meanwhile"
    assert answers.failures == []
    assert answers.versions == {"1", str(second)}
    assert best_labels(answers) == {b"Egyptian cat", b"Egyptian cat (second)"}


def test_failed_golden_request_leaves_the_live_release_serving(standing: Served) -> None:
    first = served_release(standing)
    wrong = release_with_labels(standing.repository, "reverse")
    before = standing.repository.live_path("image_labels").read_text()
    with under_load(standing, ENSEMBLE, PHOTOGRAPH) as answers, standing.client() as client:
        with pytest.raises(TrimaranError, match=r"was not deployed: golden request 'cat': LABEL"):
            deploy(standing.repository, Fleet.of_one(standing.control, client), ENSEMBLE, wrong)
        assert served_release(standing) == first
    assert answers.failures == []
    assert answers.versions == {str(first)}
    assert standing.repository.live_path("image_labels").read_text() == before
    assert {state.name for state in standing.control.index() if state.state == "READY"} == {
        *read_release(standing.repository, ENSEMBLE, first).pins,
        ENSEMBLE,
    }


def test_steps_keep_the_replaced_release_and_drop_older_ones(standing: Served) -> None:
    releases = [release_with_labels(standing.repository, name) for name in ("second", "third")]
    with standing.client() as client:
        for release in releases:
            deploy(standing.repository, Fleet.of_one(standing.control, client), ENSEMBLE, release)
    pins = [read_release(standing.repository, ENSEMBLE, r).pins["image_labels"] for r in releases]
    assert standing.control.ready_versions("image_labels") == set(pins)


def test_an_interrupt_before_the_switch_restores_the_steps(standing: Served) -> None:
    repository, control = standing.repository, standing.control
    second = release_with_labels(repository, "interrupted")
    before = repository.live_path("image_labels").read_text()
    served = control.ready_versions("image_labels")

    def interrupted(step: str) -> None:
        if step.startswith("sending"):
            assert control.ready_versions("image_labels") > served
            raise KeyboardInterrupt

    with standing.client() as client, pytest.raises(KeyboardInterrupt):
        deploy(repository, Fleet.of_one(control, client, interrupted), ENSEMBLE, second)
    assert repository.live_path("image_labels").read_text() == before
    assert control.ready_versions("image_labels") == served
    assert served_release(standing) == 1


def test_a_flip_that_does_not_load_is_taken_back(standing: Served) -> None:
    repository, control = standing.repository, standing.control
    before = repository.live_path(ENSEMBLE).read_text()
    missing = repository.live(ENSEMBLE)
    assert missing is not None
    missing.ensemble_scheduling.step[0].model_version = 99
    with standing.client() as client, pytest.raises(TrimaranError, match="99"):
        flip(repository, Fleet.of_one(control, client), missing, "switching")
    assert repository.live_path(ENSEMBLE).read_text() == before
    assert served_release(standing) == 1
    with standing.client() as client:
        assert client.infer(ENSEMBLE, PHOTOGRAPH).version == "1"


def test_a_deployment_that_was_cut_off_is_settled(standing: Served) -> None:
    """The disk says release 1, and the second one is served with a candidate left over.

    No command comes after it: `trimaran serve` sees that a deployment was at work.
    """
    repository, control = standing.repository, standing.control
    on_disk = repository.live(ENSEMBLE)
    assert on_disk is not None
    second = release_with_labels(repository, "cut off")
    with standing.client() as client:
        deploy(repository, Fleet.of_one(control, client), ENSEMBLE, second)
    pins = read_release(repository, ENSEMBLE, second).pins
    candidate = render_candidate(on_disk, pins, f"{ENSEMBLE}_canary")
    left = repository.live_path(ENSEMBLE).with_name(".live.pbtxt.left")
    printed = len(standing.lines)
    with repository.deployment_lock():
        control.load_given(candidate, {"1/release.json": b"{}"})
        write_config(repository.live_path(ENSEMBLE), on_disk)
        left.touch()
        assert served_release(standing) == second

    wait_for(lambda: standing.said("while it was tried", printed), 60, "the settling")
    assert standing.said(f"{ENSEMBLE}: a deployment was cut off", printed)
    assert served_release(standing) == 1
    with pytest.raises(TrimaranError, match="not available"):
        control.statistics(candidate.name)
    assert not left.exists()
    assert settle(repository, control) == []


def test_an_altered_release_is_refused(standing: Served) -> None:
    altered = release_with_labels(standing.repository, "altered")
    path = standing.repository.model(ENSEMBLE) / str(altered) / "release.json"
    path.write_text(path.read_text().swapcase())
    with (
        standing.client() as client,
        pytest.raises(TrimaranError, match=r"release\.json was altered after it was published"),
    ):
        deploy(standing.repository, Fleet.of_one(standing.control, client), ENSEMBLE, altered)
    assert served_release(standing) == 1


def test_damaged_release_is_refused(standing: Served) -> None:
    damaged = release_with_labels(standing.repository, "damaged")
    version = read_release(standing.repository, ENSEMBLE, damaged).pins["image_labels"]
    path = standing.repository.model("image_labels") / str(version) / "labels.txt"
    path.write_text(path.read_text().replace("cat", "dog"))
    with (
        standing.client() as client,
        pytest.raises(TrimaranError, match=r"labels\.txt was altered after it was published"),
    ):
        deploy(standing.repository, Fleet.of_one(standing.control, client), ENSEMBLE, damaged)
    assert served_release(standing) == 1


def test_model_of_the_candidate_name_is_not_touched(standing: Served) -> None:
    untried = release_with_labels(standing.repository, "untried")
    own = standing.repository.model(f"{ENSEMBLE}_canary")
    own.mkdir()
    (own / "config.pbtxt").write_text(f'name: "{ENSEMBLE}_canary"\n')
    try:
        with standing.client() as client, pytest.raises(TrimaranError, match="rename that model"):
            deploy(standing.repository, Fleet.of_one(standing.control, client), ENSEMBLE, untried)
    finally:
        shutil.rmtree(own)
    assert served_release(standing) == 1


@pytest.fixture
def compiled(released: Served, tmp_path: Path) -> Iterator[tuple[int, int]]:
    """Two releases of an ensemble whose one step is native code; none is live after the test.

    The second version is the first one's package with other weights.
    """
    require(COMPILER)
    repository = released.repository
    step = Step("linear_aoti", {"INPUT__0": "X"}, {"OUTPUT__0": "Y"})
    write_wiring(
        repository,
        Ensemble(COMPILED, [tensor("X", "FP32", 8)], [tensor("Y", "FP32", 4)], [step]),
    )
    first = make_release(repository, COMPILED).version
    path = repository.version("linear_aoti", 1).path / "model.pt2"
    before, after = (models.Linear(seed).layer.weight.detach().numpy() for seed in (0, 1))
    package = altered(
        path, tmp_path / "a.pt2", lambda _, held: held.replace(before.tobytes(), after.tobytes())
    )
    trimaran.add(package, repository.root, name="linear_aoti", trust=True)
    yield first, make_release(repository, COMPILED).version
    for name in (COMPILED, "linear_aoti"):
        released.control.unload(name)


@pytest.mark.long
def test_releases_of_a_compiled_step_change_without_a_failed_request(
    released: Served, compiled: tuple[int, int]
) -> None:
    repository, control = released.repository, released.control
    x = np.linspace(-2, 2, 24, dtype=np.float32).reshape(3, 8)
    with released.client() as client:
        deploy(repository, Fleet.of_one(control, client), COMPILED, compiled[0])
        with under_load(released, COMPILED, {"X": x}) as answers:
            wait_for(lambda: bool(answers.versions), 30, "an answer")
            deploy(repository, Fleet.of_one(control, client), COMPILED, compiled[1])
            wait_for(lambda: len(answers.versions) == 2, 30, "an answer of the second release")
            assert (
                roll_back(repository, Fleet.of_one(control, client), COMPILED).release
                == compiled[0]
            )
        after = client.infer(COMPILED, {"X": x})
    assert answers.failures == []
    module, other = models.Linear(0), models.Linear(0)
    other.layer.weight = models.Linear(1).layer.weight
    with torch.no_grad():
        old, new = (each(torch.from_numpy(x)).numpy() for each in (module, other))
    found = [answer["Y"] for answer in answers.outputs]
    is_old, is_new = ([np.allclose(y, each, 1e-4, 1e-6) for y in found] for each in (old, new))
    assert all(a != b for a, b in zip(is_old, is_new, strict=True))
    assert any(is_new)
    assert after.version == str(compiled[0])
    np.testing.assert_allclose(after.outputs["Y"], old, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["deploy", "nothing"], 1, "has no model 'nothing'"),
        (["deploy", "image_labels"], 1, "is a step of image_classifier, whose releases pin"),
        (["deploy", "linear_onnx", "--release", "99"], 1, "has no version 99; it has 1"),
        (["deploy", ENSEMBLE, "--release", "99"], 1, "has no version 99; it has 1"),
        (["rollback", ENSEMBLE], 1, "no earlier live release"),
        (["rollback", "image_labels"], 1, "is a step of image_classifier"),
        (
            ["release", "linear_onnx"],
            2,
            "make its versions live with 'trimaran deploy linear_onnx'",
        ),
        (["release", ENSEMBLE, "--step", "image_labels"], 2, "is not MODEL=VERSION"),
        (["release", ENSEMBLE, "--step", "other=1"], 2, "has no step 'other'"),
        (["release", ENSEMBLE, "--step", "image_labels=9"], 1, "has no version 9"),
    ],
)
def test_mistakes_are_one_sentence(
    exported: Repository, arguments: list[str], status: int, message: str, tmp_path: object
) -> None:
    result = call_trimaran(*arguments, "--repository", exported.root)
    assert result.status == status, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr
