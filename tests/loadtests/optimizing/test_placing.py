"""Where the winner goes: a version of its own, or the step of an ensemble."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.optimizing.placing import Names, place_in_ensemble, publish_winner, rewired
from tests.trimaran.versions import model_config, publish_files, tensor
from trimaran.repository.config import ModelConfig, parse_config
from trimaran.repository.repository import Repository
from trimaran.system.errors import ConfigError, TrimaranError


def test_a_version_that_records_a_choice_is_made_once(
    empty_repository: Repository, tmp_path: Path
) -> None:
    work = Repository.create(tmp_path / "work")
    publish_files(work, model_config("m_onnx"), {"model.onnx": b"content"})
    publish_files(empty_repository, model_config("m"), {"model.onnx": b"content"})

    def place() -> tuple[int, bool]:
        beat = [{"format": "torchscript", "refused": "it fails"}]
        made = publish_winner(work, "m_onnx", empty_repository, "m", "most rows/s", beat)
        return made.version, made.unchanged

    assert [place(), place()] == [(2, False), (2, True)]
    manifest = empty_repository.version("m", 2).manifest
    assert manifest is not None
    assert manifest.beat == [{"format": "torchscript", "refused": "it fails"}]
    assert manifest.source["chosen_for"] == "most rows/s"
    again = publish_files(empty_repository, model_config("m"), {"model.onnx": b"content"})
    assert again.unchanged


def test_a_winner_of_another_format_or_a_damaged_one_is_not_published(
    empty_repository: Repository, tmp_path: Path
) -> None:
    work = Repository.create(tmp_path / "work")
    other = model_config("m_torchscript")
    other.backend = "pytorch"
    publish_files(work, other, {"model.pt": b"content"})
    publish_files(work, model_config("m_onnx"), {"model.onnx": b"content"})
    publish_files(empty_repository, model_config("m"), {"model.onnx": b"earlier"})
    with pytest.raises(ConfigError, match=r"m/config\.pbtxt is for onnx, and the winner"):
        publish_winner(work, "m_torchscript", empty_repository, "m", "", [])
    (work.version("m_onnx", 1).path / "model.onnx").write_bytes(b"CONTENT")
    with pytest.raises(TrimaranError, match="start again"):
        publish_winner(work, "m_onnx", empty_repository, "m", "", [])
    assert len(empty_repository.versions("m")) == 1


ENSEMBLE = """
name: "ensemble"
platform: "ensemble"
max_batch_size: 8
input { name: "IN" data_type: TYPE_FP32 dims: [4] }
output { name: "OUT" data_type: TYPE_FP32 dims: [4] }
ensemble_scheduling {
  step {
    model_name: "m_onnx" model_version: 3
    input_map { key: "x" value: "IN" } output_map { key: "y" value: "middle" }
  }
  step {
    model_name: "other" model_version: -1
    input_map { key: "x" value: "middle" } output_map { key: "y" value: "OUT" }
  }
}
"""
PLAIN, NUMBERED = Names(("x",), ("y",)), Names(("x__0",), ("y__0",))


def wires(config: ModelConfig) -> list[tuple[str, dict[str, str], dict[str, str]]]:
    steps = config.ensemble_scheduling.step
    return [(step.model_name, dict(step.input_map), dict(step.output_map)) for step in steps]


def test_a_step_is_replaced_under_the_names_of_the_other_format() -> None:
    before = parse_config(ENSEMBLE, "here")
    changed = rewired(before, "m_onnx", "m_torchscript", [PLAIN, NUMBERED], NUMBERED)
    assert wires(changed) == [
        ("m_torchscript", {"x__0": "IN"}, {"y__0": "middle"}),
        ("other", {"x": "middle"}, {"y": "OUT"}),
    ]
    back = rewired(changed, "m_torchscript", "m_onnx", [PLAIN, NUMBERED], PLAIN)
    assert wires(back) == wires(before)
    strange = Names(("z",), ("y",))
    with pytest.raises(ConfigError, match="'x', which this model lacks"):
        rewired(before, "m_onnx", "m_tensorrt", [strange], strange)


def test_an_ensemble_takes_only_a_step_that_fits(empty_repository: Repository) -> None:
    path = empty_repository.config_path("ensemble")
    path.parent.mkdir()
    path.write_text(ENSEMBLE)
    for name in ("m_onnx", "other"):
        publish_files(empty_repository, model_config(name), {"model.onnx": b"content"})
    publish_files(
        empty_repository, model_config("m_onnx_int8", (tensor("x", "FP32", 5),)),
        {"model.onnx": b"content"},
    )  # fmt: skip

    def place(model: str) -> bool:
        return place_in_ensemble(empty_repository, "ensemble", "m_onnx", model, [PLAIN], PLAIN)

    with pytest.raises(ConfigError, match="m_onnx_int8"):
        place("m_onnx_int8")
    assert path.read_text() == ENSEMBLE
    publish_files(empty_repository, model_config("m_onnx_fp16"), {"model.onnx": b"content"})
    assert place("m_onnx_fp16")
    assert wires(empty_repository.config("ensemble"))[0][0] == "m_onnx_fp16"
