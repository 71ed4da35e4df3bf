"""The repository on disk: which models and versions it has, and which of them are whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.trimaran.versions import model_config, publish_files
from trimaran.checks.raising import checked_config, sound_ensembles
from trimaran.repository.config import write_config
from trimaran.repository.live import render_step
from trimaran.repository.repository import Repository, check_model_name
from trimaran.system.errors import ConfigError, TrimaranError, UsageError

CONTENT = {"model.onnx": b"weights", "labels.txt": b"cat\ndog\n"}


@pytest.fixture
def repository(empty_repository: Repository) -> Repository:
    """A repository with versions 1 and 2 of the model `m`."""
    for number in (1, 2):
        content = {**CONTENT, "model.onnx": f"weights {number}".encode()}
        publish_files(empty_repository, model_config("m"), content)
    return empty_repository


def test_a_repository_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TrimaranError, match="no such model repository"):
        Repository.open(tmp_path / "missing")
    (tmp_path / "file").write_text("")
    with pytest.raises(TrimaranError, match="no such model repository"):
        Repository.open(tmp_path / "file")
    with pytest.raises(TrimaranError, match="cannot be a model repository"):
        Repository.create(tmp_path / "file")
    assert Repository.create(tmp_path / "a" / "b").names() == []


def test_models_are_directories_with_a_configuration_or_a_version(repository: Repository) -> None:
    for name in (".git/objects", "1", "notes/2026", "bare/1", "3d"):
        (repository.root / name).mkdir(parents=True)
    (repository.root / "notes" / "2026").rmdir()
    (repository.root / "3d" / "config.pbtxt").write_text("")
    (repository.root / "README.md").write_text("")
    assert repository.names() == ["3d", "bare", "m"]


def test_versions_are_numbers_without_leading_zeros(repository: Repository) -> None:
    for name in ("03", "0", "4.tmp", "v5", "\uff16", "-7", "8 ", "configs"):
        (repository.model("m") / name).mkdir(exist_ok=True)
    (repository.model("m") / "9").write_text("a file")
    assert [version.number for version in repository.versions("m")] == [1, 2]
    assert repository.versions("missing") == []


def test_versions_are_sorted_as_numbers(repository: Repository) -> None:
    (repository.model("m") / "2").rename(repository.model("m") / "10")
    (repository.model("m") / "1").rename(repository.model("m") / "9")
    assert [version.number for version in repository.versions("m")] == [9, 10]
    newest = repository.newest("m")
    assert newest is not None
    assert newest.number == 10


def test_a_whole_version_has_no_problem(repository: Repository) -> None:
    version = repository.version("m", 2)
    assert version.problem is None
    assert version.path == repository.model("m") / "2"
    assert version.manifest is not None
    assert set(version.manifest.files) == set(CONTENT)


def remove_manifest(version: Path) -> None:
    (version / "manifest.json").unlink()


def truncate_manifest(version: Path) -> None:
    path = version / "manifest.json"
    path.write_bytes(path.read_bytes()[:100])


def truncate_model(version: Path) -> None:
    (version / "model.onnx").write_bytes(b"wei")


def lengthen_labels(version: Path) -> None:
    with (version / "labels.txt").open("a") as file:
        file.write("bird\n")


def remove_model(version: Path) -> None:
    (version / "model.onnx").unlink()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (remove_manifest, "has no manifest.json"),
        (truncate_manifest, "manifest.json: is not a manifest"),
        (truncate_model, "model.onnx has 3 bytes, not the published 9"),
        (lengthen_labels, "labels.txt has 13 bytes, not the published 8"),
        (remove_model, "model.onnx is missing"),
    ],
)
def test_a_half_written_version_is_reported_and_skipped(
    repository: Repository, damage, said: str
) -> None:
    damage(repository.model("m") / "2")
    problems = [version.problem for version in repository.versions("m")]
    assert problems[0] is None
    assert said in str(problems[1])
    newest = repository.newest("m")
    assert newest is not None
    assert newest.number == 1
    with pytest.raises(TrimaranError, match="m version 2 cannot be served") as refused:
        repository.version("m", 2)
    assert said in str(refused.value)
    damage(repository.model("m") / "1")
    assert repository.newest("m") is None


def test_a_missing_version_is_reported_with_those_that_exist(
    repository: Repository,
) -> None:
    with pytest.raises(TrimaranError, match="m has no version 3; it has 1, 2"):
        repository.version("m", 3)
    with pytest.raises(TrimaranError, match="other has no version 1; it has none"):
        repository.version("other", 1)


def test_a_configuration_is_read_and_checked(repository: Repository) -> None:
    assert checked_config(repository, "m") == model_config("m")
    with pytest.raises(TrimaranError, match="has no model 'n'; it has m"):
        checked_config(repository, "n")
    nameless = model_config("m")
    nameless.ClearField("name")
    write_config(repository.config_path("m"), nameless)
    assert checked_config(repository, "m").name == "m"
    write_config(repository.config_path("m"), model_config("other"))
    with pytest.raises(ConfigError, match="name is 'other' but the directory is 'm'"):
        checked_config(repository, "m")


def test_ensembles_are_found_among_configurations_that_cannot_be_read(
    repository: Repository,
) -> None:
    ensemble = model_config("e")
    ensemble.backend = ""
    ensemble.platform = "ensemble"
    ensemble.ensemble_scheduling.step.add(
        model_name="m", model_version=-1, input_map={"x": "x"}, output_map={"y": "y"}
    )
    write_config(repository.config_path("e"), ensemble)
    repository.model("broken").mkdir()
    repository.config_path("broken").write_text("nonsense")
    repository.model("bare").mkdir()
    assert sound_ensembles(repository) == ["e"]


def test_what_is_live_is_generated_apart_from_what_people_write(repository: Repository) -> None:
    assert repository.live("m") is None
    live = render_step(checked_config(repository, "m"), [2])
    write_config(repository.live_path("m"), live)
    assert repository.live("m") == live
    assert checked_config(repository, "m") == model_config("m")
    assert [version.number for version in repository.versions("m")] == [1, 2]


def test_state_lies_on_the_same_file_system_and_outside(repository: Repository) -> None:
    with repository.staging() as scratch:
        assert not scratch.is_relative_to(repository.root)
        assert scratch.stat().st_dev == repository.root.stat().st_dev
    with repository.deployment_lock():
        assert repository.names() == ["m"]


@pytest.mark.parametrize("name", ["a", "_x", "efficientnet_lite0_onnx", "A-b.c", "x" * 128])
def test_a_name_is_kept(name: str) -> None:
    assert check_model_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "1", "2.tmp", ".hidden", "..", "a/b", "/a", "a b", "a\n", "ä", "-a", "x" * 129, "a\\b"],
)
def test_what_cannot_be_a_directory_url_or_label_is_refused(name: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_model_name(name)
    assert repr(name) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_version_beyond_64_bits_is_never_the_newest(empty_repository: Repository) -> None:
    repository = empty_repository
    publish_files(repository, model_config("m"), CONTENT)
    (repository.model("m") / "1").rename(repository.model("m") / str(2**63 - 1))
    assert repository.newest("m") is not None
    (repository.model("m") / str(2**63 - 1)).rename(repository.model("m") / str(2**63))
    assert repository.newest("m") is None
    (version,) = repository.versions("m")
    assert version.problem == "is a number of more than 64 bits; remove it"


def test_a_directory_whose_name_is_not_utf8_is_refused_in_one_sentence(
    repository: Repository,
) -> None:
    name = os.fsdecode(b"caf\xe9")
    repository.model(name).mkdir()
    repository.config_path(name).touch()
    with pytest.raises(ConfigError, match=r"'caf\\udce9' is not UTF-8; rename it"):
        checked_config(repository, name)
