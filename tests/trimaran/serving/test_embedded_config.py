"""What the embedded server reads of each model, next to what is live."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimaran.repository.config import ModelConfig, read_config
from trimaran.repository.live import render_step
from trimaran.repository.repository import Repository
from trimaran.serving.embedded_config import prepare, readable, remove_live, write_live


def configured(name: str, platform: str) -> ModelConfig:
    config = ModelConfig(name=name, backend="pytorch", platform=platform)
    config.input.add(name="INPUT__0", data_type="TYPE_FP32", dims=[2])
    return config


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository.create(tmp_path / "model_repository")
    for name, platform in (("package", "torch_aoti"), ("script", "")):
        (made.model(name) / "1").mkdir(parents=True)
        made.config_path(name).write_text(str(configured(name, platform)))
    return made


def embedded(repository: Repository, name: str) -> Path:
    return repository.live_path(name).with_name("embedded.pbtxt")


def test_only_the_platform_that_is_too_new_is_replaced() -> None:
    script = configured("script", "pytorch_libtorch")
    assert readable(script) is script
    package = readable(configured("package", "torch_aoti"))
    assert (package.platform, package.backend) == ("", "pytorch")
    assert package.default_model_filename == "model.pt2"
    assert package.parameters["trimaran_platform"].string_value == "torch_aoti"


def test_the_embedded_server_sees_what_becomes_live_and_what_is_taken_back(
    repository: Repository,
) -> None:
    prepare(repository, repository.names())
    assert not embedded(repository, "script").parent.exists()
    assert not read_config(embedded(repository, "package")).HasField("version_policy")
    for name in repository.names():
        live = render_step(repository.config(name), [1])
        write_live(repository, live)
        assert repository.live(name) == live
        assert read_config(embedded(repository, name)) == readable(live)
        remove_live(repository, name)
        assert repository.live(name) is None
    assert not embedded(repository, "script").exists()  # so config.pbtxt counts
    assert not read_config(embedded(repository, "package")).HasField("version_policy")


def test_a_file_that_is_right_stays_as_it_is(repository: Repository) -> None:
    prepare(repository, ["package"])
    before = embedded(repository, "package").stat()
    prepare(repository, ["package"])
    assert embedded(repository, "package").stat().st_ino == before.st_ino


def test_a_model_of_another_kind_in_its_place_is_followed(repository: Repository) -> None:
    write_live(repository, configured("package", "torch_aoti"))
    write_live(repository, configured("package", ""))
    assert read_config(embedded(repository, "package")).platform == ""
    assert embedded(repository, "package").is_symlink()
