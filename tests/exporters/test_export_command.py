"""`trimaran export`: exit 0 published or unchanged, 1 refused, 2 wrong usage."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from exporters.export_command import sizes
from tests.running import MODELS
from tests.trimaran.calling import Outcome, call_trimaran
from trimaran.repository.config import read_config, write_config
from trimaran.repository.repository import Repository

ONNX = ("--format", "onnx")
TORCHSCRIPT = ("--format", "torchscript")


def export(repository: Repository, factory: str, *options: str) -> Outcome:
    return call_trimaran("export", factory, *options, "--repository", repository.root)


def test_a_published_and_an_unchanged_version_end_with_0(empty_repository: Repository) -> None:
    for outcome, row_text in ((0, "version 1"), (0, "version 1, unchanged")):
        result = export(empty_repository, "tests.models:linear", *TORCHSCRIPT)
        assert result.status == outcome
        row = next(line for line in result.stdout.splitlines() if "linear_torchscript" in line)
        assert row_text in row
        assert ("unchanged" in row) is ("unchanged" in row_text)
        assert "1 to 7, 32" in row
        assert "y FP32" in row
    assert len(empty_repository.versions("linear_torchscript")) == 1


@pytest.mark.long
def test_the_same_weights_from_another_folder_are_unchanged(
    empty_repository: Repository, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "secret_place"
    elsewhere.mkdir()
    shutil.copyfile(MODELS, elsewhere / "renamed.py")
    first = call_trimaran(
        "export", "renamed.py:linear", *ONNX, *TORCHSCRIPT,
        "--repository", empty_repository.root, cwd=elsewhere,
    )  # fmt: skip
    assert first.status == 0, first.stderr
    assert first.stdout.count("version 1 ") == 2
    for name, file in (("linear_onnx", "model.onnx"), ("linear_torchscript", "model.pt")):
        assert b"secret_place" not in (empty_repository.model(name) / "1" / file).read_bytes()
    again = export(empty_repository, "tests.models:linear", *ONNX, *TORCHSCRIPT)
    assert again.status == 0, again.stderr
    assert again.stdout.count("version 1, unchanged") == 2
    other = export(empty_repository, "tests.models:linear_other_weights", *ONNX, *TORCHSCRIPT)
    assert other.status == 0, other.stderr
    assert other.stdout.count("version 2 ") == 2
    for name in ("linear_onnx", "linear_torchscript"):
        assert [version.number for version in empty_repository.versions(name)] == [1, 2]


def test_a_name_and_a_batch_size_may_be_chosen(empty_repository: Repository) -> None:
    options = ("--name", "chosen", "--max-batch-size", "2")
    assert export(empty_repository, "tests.models:linear", *TORCHSCRIPT, *options).status == 0
    assert empty_repository.names() == ["chosen_torchscript"]
    assert empty_repository.config("chosen_torchscript").max_batch_size == 2


def test_aoti_is_among_the_formats_by_default_and_needs_a_compiler_first(
    empty_repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "/nowhere/c++")
    result = export(empty_repository, "tests.models:linear")
    assert result.status == 1
    assert "aoti needs a C++ compiler, and '/nowhere/c++' cannot be run here" in result.error
    assert empty_repository.names() == []
    assert export(empty_repository, "tests.models:linear", *ONNX).status == 0


@pytest.mark.parametrize(
    ("factory", "options", "said"),
    [
        ("nothing", TORCHSCRIPT, "'nothing' names no function"),
        ("no_such_module:f", TORCHSCRIPT, "there is no module 'no_such_module'"),
        ("no_such_file.py:f", TORCHSCRIPT, "there is no file no_such_file.py"),
        ("tests.models:missing", TORCHSCRIPT, "tests.models has no function 'missing'"),
        ("tests.models:not_a_spec", TORCHSCRIPT, "returned str, not an exporters.ModelSpec"),
        ("tests.models:linear", ("--format", "tensorflow"), "there is no format 'tensorflow'"),
        (
            "tests.models:linear",
            (*TORCHSCRIPT, "--max-batch-size", "0"),
            "--max-batch-size is 0; it must be 1 or more",
        ),
        ("tests.models:linear", (*TORCHSCRIPT, "--name", "a/b"), "'a/b' cannot name a model"),
        (
            "tests.models:linear",
            (*ONNX, "--precision", "fp8"),
            "there is no precision 'fp8'; choose from fp32, fp16, bf16, int8",
        ),
        (
            "tests.models:linear",
            (*ONNX, "--precision", "int8", "--int8", "weights"),
            "there is no int8 method 'weights'; choose from static, dynamic",
        ),
        (
            "tests.models:linear",
            (*ONNX, "--calibration", "rows.npz"),
            "--calibration is for --precision int8 with --int8 static only",
        ),
        (
            "tests.models:linear",
            (*ONNX, "--agreement", "1.5"),
            "--agreement is 1.5; it must be above 0, and 1 at most",
        ),
        (
            "tests.models:linear",
            (*ONNX, "--accelerator", "openvino"),
            "there is no accelerator 'openvino'; choose from tensorrt",
        ),
        (
            "tests.models:linear",
            (*TORCHSCRIPT, "--accelerator", "tensorrt"),
            "--accelerator tensorrt is for --format onnx only",
        ),
    ],
)
def test_wrong_usage_ends_with_2(
    empty_repository: Repository, factory: str, options: tuple[str, ...], said: str
) -> None:
    result = export(empty_repository, factory, *options)
    assert result.status == 2
    assert said in result.error
    assert empty_repository.names() == []


@pytest.mark.parametrize(
    ("factory", "options", "said"),
    [
        ("tests.models:fails", TORCHSCRIPT, "RuntimeError: the weights are missing"),
        ("tests.models:mixes_rows", TORCHSCRIPT, "mixes_rows cannot be served in batches"),
        ("tests.models:table_of_sizes", TORCHSCRIPT, "cannot be exported to TorchScript: KeyError"),
        ("tests.models:unexportable", ONNX, "unexportable cannot be exported to ONNX"),
        (
            "tests.models:scaled_by_length",
            TORCHSCRIPT,
            "scaled_torchscript was not published: output 'y': element [1, 0] is ",
        ),
        (
            "tests.models:transcendental",
            ONNX,
            "transcendental_onnx was not published: output 'y': element [",
        ),
    ],
)
def test_what_is_refused_ends_with_1_and_nothing_is_published(
    empty_repository: Repository, factory: str, options: tuple[str, ...], said: str
) -> None:
    result = export(empty_repository, factory, *options)
    assert result.status == 1
    assert said in result.error
    assert empty_repository.names() == []
    if "not published" in said:
        assert "refused: out of tolerance" in result.stdout
        assert "(allowed: " in result.error


def test_one_formats_failure_does_not_keep_another_from_being_published(
    empty_repository: Repository,
) -> None:
    result = export(empty_repository, "tests.models:branches", *ONNX, *TORCHSCRIPT)
    assert result.status == 1
    assert "branches cannot be exported to ONNX" in result.error
    assert "branches_torchscript (script)" in result.stdout
    assert empty_repository.names() == ["branches_torchscript"]


@pytest.mark.long
def test_each_precision_is_a_model_of_its_own(empty_repository: Repository) -> None:
    precisions = ("--precision", "fp32", "--precision", "fp16", "--precision", "int8")
    factory = "tests/exporters/quadrants.py:quadrants"
    result = export(empty_repository, factory, *ONNX, *TORCHSCRIPT, *precisions)
    assert result.status == 1
    assert result.error == (
        "model quadrants: TorchScript is not exported in int8; use --format onnx for int8, or "
        "fp16 or bf16 for TorchScript"
    )
    assert empty_repository.names() == [
        "quadrants_onnx",
        "quadrants_onnx_fp16",
        "quadrants_onnx_int8",
        "quadrants_torchscript",
        "quadrants_torchscript_fp16",
    ]
    assert "Agreement with FP32" in result.stdout
    row = next(line for line in result.stdout.splitlines() if "quadrants_onnx_int8" in line)
    assert "100.0% of 256 by top-1" in row
    assert "99 %" in row
    assert " MB, " in row


def test_every_failure_is_reported(empty_repository: Repository) -> None:
    result = export(empty_repository, "tests.models:table_of_sizes", *ONNX, *TORCHSCRIPT)
    assert result.status == 1
    assert "Traceback" not in result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert "cannot be exported to ONNX: the batch axis of 'x' came out as 2" in errors[0]
    assert "cannot be exported to TorchScript: KeyError" in errors[1]
    assert empty_repository.names() == []


def test_another_interface_is_refused_and_the_configuration_stays(
    empty_repository: Repository,
) -> None:
    assert export(empty_repository, "tests.models:linear", *TORCHSCRIPT).status == 0
    path = empty_repository.config_path("linear_torchscript")
    edited = "# one instance per core\n" + path.read_text().replace("count: 1", "count: 2")
    path.write_text(edited)
    result = export(empty_repository, "tests.models:linear_other_interface", *TORCHSCRIPT)
    assert result.status == 1
    for part in (str(path), "x__0 FP32 [8]", "x__0 FP32 [9]", "under a new model name"):
        assert part in result.error
    assert len(empty_repository.versions("linear_torchscript")) == 1
    assert export(empty_repository, "tests.models:linear_other_weights", *TORCHSCRIPT).status == 0
    assert len(empty_repository.versions("linear_torchscript")) == 2
    assert path.read_text() == edited


def test_a_configuration_that_triton_would_refuse_is_refused_first(
    empty_repository: Repository,
) -> None:
    assert export(empty_repository, "tests.models:linear", *TORCHSCRIPT).status == 0
    path = empty_repository.config_path("linear_torchscript")
    config = read_config(path)
    config.name = "another"
    write_config(path, config)
    result = export(empty_repository, "tests.models:linear_other_weights", *TORCHSCRIPT)
    assert result.status == 1
    assert "name is 'another' but the directory is 'linear_torchscript'" in result.error
    path.write_text("max_batch_size: many")
    result = export(empty_repository, "tests.models:linear_other_weights", *TORCHSCRIPT)
    assert result.status == 1
    assert "line 1, column 17" in result.error
    assert len(empty_repository.versions("linear_torchscript")) == 1


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((), ""),
        ((1,), "1"),
        ((1, 2), "1, 2"),
        ((1, 2, 3), "1 to 3"),
        ((1, 3, 4, 5, 32), "1, 3 to 5, 32"),
    ],
)
def test_batch_sizes_in_a_row_are_a_range(numbers: tuple[int, ...], words: str) -> None:
    assert sizes(numbers) == words
