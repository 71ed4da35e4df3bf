"""A release pins what it was made from, and is refused where that does not hold."""

from __future__ import annotations

import pytest

from tests.trimaran.versions import model_config, publish_files, tensor
from trimaran.publishing.releases import make_release, read_release, verify_release
from trimaran.repository.config import ModelConfig, add_tensors, read_config, write_config
from trimaran.repository.repository import Repository
from trimaran.system.errors import ConfigError, TrimaranError, UsageError


def ensemble() -> ModelConfig:
    config = ModelConfig(name="e", platform="ensemble", max_batch_size=8)
    add_tensors(config, [tensor("X")], [tensor("Y")])
    for model, source, target in (("first", "X", "between"), ("second", "between", "Y")):
        config.ensemble_scheduling.step.add(
            model_name=model, model_version=-1, input_map={"x": source}, output_map={"y": target}
        )
    return config


def publish_step(repository: Repository, name: str, content: bytes) -> None:
    publish_files(repository, model_config(name), {"model.onnx": content})


@pytest.fixture
def repository(empty_repository: Repository) -> Repository:
    """An ensemble of `first` with two versions, and `second` with one; no release."""
    publish_step(empty_repository, "first", b"one")
    publish_step(empty_repository, "first", b"two")
    publish_step(empty_repository, "second", b"one")
    write_config(empty_repository.config_path("e"), ensemble())
    return empty_repository


def test_a_release_pins_the_newest_versions_and_keeps_the_configurations(
    repository: Repository,
) -> None:
    assert str(make_release(repository, "e")) == "e version 1"
    release = read_release(repository, "e", 1)
    assert release.pins == {"first": 2, "second": 1}
    verify_release(repository, release)
    repository.config_path("second").write_text('name: "second" max_batch_size: 8')
    assert release.config("second") == model_config("second")
    assert release.config("e") == ensemble()
    assert read_config(repository.config_path("e")) == ensemble()


def test_the_same_steps_and_configurations_are_unchanged(repository: Repository) -> None:
    assert make_release(repository, "e").unchanged is False
    assert str(make_release(repository, "e")) == "e version 1 (unchanged)"
    publish_step(repository, "second", b"two")
    assert str(make_release(repository, "e")) == "e version 2"
    config = repository.config("first")
    config.instance_group.add(count=2)
    write_config(repository.config_path("first"), config)
    assert str(make_release(repository, "e")) == "e version 3"
    assert len(repository.versions("e")) == 3
    assert read_release(repository, "e", 1).pins == {"first": 2, "second": 1}


def test_versions_may_be_chosen(repository: Repository) -> None:
    make_release(repository, "e", {"first": 1})
    assert read_release(repository, "e", 1).pins == {"first": 1, "second": 1}


def test_an_incomplete_newest_version_is_passed_over(repository: Repository) -> None:
    (repository.model("first") / "2" / "manifest.json").unlink()
    make_release(repository, "e")
    assert read_release(repository, "e", 1).pins == {"first": 1, "second": 1}


def damage_quietly(repository: Repository) -> None:
    (repository.model("first") / "2" / "model.onnx").write_bytes(b"TWO")


def refuse(repository: Repository, error: type[TrimaranError], *said: str, **pins: int) -> None:
    with pytest.raises(error) as refused:
        make_release(repository, "e", pins)
    assert type(refused.value) is error
    for part in said:
        assert part in str(refused.value)
    assert repository.versions("e") == []


def test_a_damaged_step_is_refused(repository: Repository) -> None:
    damage_quietly(repository)
    refuse(repository, TrimaranError, "first version 2 cannot be released", "altered")
    make_release(repository, "e", {"first": 1})


def test_a_step_made_for_another_ensemble_is_refused(repository: Repository) -> None:
    for name, content in (("other", b"two"), ("other", b"2"), ("e", b"2")):
        publish_files(repository, model_config("second"), {"model.onnx": content}, ensemble=name)
    assert [version.number for version in repository.versions("second")] == [1, 2, 3, 4]
    said = "second version 3 was made for the ensemble other; choose a version made for e"
    refuse(repository, TrimaranError, said, second=3)
    make_release(repository, "e")
    assert read_release(repository, "e", 1).pins == {"first": 2, "second": 4}


def test_a_version_that_is_not_there_is_refused(repository: Repository) -> None:
    refuse(repository, TrimaranError, "first has no version 3; it has 1, 2", first=3)


def test_a_step_without_a_version_is_refused(repository: Repository) -> None:
    (repository.model("second") / "1" / "manifest.json").unlink()
    refuse(repository, TrimaranError, "second has no complete version", "trimaran export")


def test_a_step_that_the_ensemble_does_not_have_is_refused(repository: Repository) -> None:
    refuse(repository, UsageError, "e has no step 'third'; it has first, second", third=1)


def test_wiring_that_does_not_fit_is_refused(repository: Repository) -> None:
    write_config(repository.config_path("second"), model_config("second", (tensor("x", "FP16"),)))
    refuse(repository, ConfigError, "ensemble e: tensor 'between' is FP32", "FP16")


def test_a_step_that_is_not_in_the_repository_is_refused(repository: Repository) -> None:
    for path in sorted(repository.model("second").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    refuse(repository, ConfigError, "step model 'second' is not in the repository")


def test_only_an_ensemble_has_releases(repository: Repository) -> None:
    with pytest.raises(UsageError, match="first is not an ensemble"):
        make_release(repository, "first")
    with pytest.raises(TrimaranError, match="has no model 'nothing'; it has e, first, second"):
        make_release(repository, "nothing")


def test_a_release_whose_steps_are_gone_or_changed_is_not_verified(repository: Repository) -> None:
    make_release(repository, "e")
    release = read_release(repository, "e", 1)
    damage_quietly(repository)
    with pytest.raises(TrimaranError, match=r"first version 2 cannot be served: .* altered"):
        verify_release(repository, release)
    (repository.model("first") / "2").rename(repository.root / "away")
    with pytest.raises(TrimaranError, match="first has no version 2; it has 1"):
        verify_release(repository, release)
    (repository.model("first") / "1").rename(repository.model("first") / "2")
    with pytest.raises(TrimaranError, match="is not the one that the release was made from"):
        verify_release(repository, release)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"steps": []}', '{"steps": {"a": 3}}', "null"])
def test_what_is_not_a_release_is_refused(repository: Repository, text: str) -> None:
    publish_files(repository, ensemble(), {"release.json": text.encode()})
    with pytest.raises(TrimaranError, match=r"release\.json: is not a release"):
        read_release(repository, "e", 1)
