"""`trimaran add`: good files are published and served; what a user says of them is checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from tests.exporters import model_files as files
from tests.exporters.adding_files import AFFINE, FLOAT, add, tensors
from tests.running import run_trimaran
from trimaran.repository import target
from trimaran.repository.repository import Repository
from trimaran.serving.client import Client
from trimaran.serving.runtime import find_runtime
from trimaran.serving.server import private_server
from trimaran.system.files import sha256_of

OLD_SCRIPT = Path(__file__).parents[1] / "trimaran/repository/model_files/torch_1_13.pt"


def test_files_of_both_kinds_are_published_and_served(
    empty_repository: Repository, tmp_path: Path
) -> None:
    onnx_path = files.write_beside(files.weighted(), tmp_path / "plain.pt")  # by content
    whole_path = files.write(files.unary("Softmax", ["rows", 4], ["rows", 4]), tmp_path / "w.onnx")
    script_path = files.write_script(files.Affine(), tmp_path / "affine.onnx")
    scalar_path = files.write(files.unary("Exp", [], []), tmp_path / "scalar.onnx")
    forest_path = files.write(files.zipped_forest(), tmp_path / "forest.onnx")
    old_path = tmp_path / "old.pt"
    old_path.write_bytes(OLD_SCRIPT.read_bytes())
    assert run_trimaran("add", onnx_path, "--repository", empty_repository.root).returncode == 0
    for path, options in (
        (whole_path, ()), (script_path, AFFINE), (scalar_path, ()), (forest_path, ()),
        (old_path, ("--input", "x:FP32[-1,4]")),
    ):  # fmt: skip
        result = add(empty_repository, path, *options)
        assert result.status == 0, result.stderr
    assert empty_repository.names() == ["affine", "forest", "old", "plain", "scalar", "w"]
    assert tensors(empty_repository, "plain") == ["x FP32 [3]", "y FP32 [4]"]
    assert tensors(empty_repository, "affine") == [
        "image__0 FP32 [3]",
        "scale__1 FP32 [1]",
        "output__0 FP32 [2]",
        "output__1 FP32 [1] reshaped to []",
    ]
    assert tensors(empty_repository, "forest") == [
        "x FP32 [2]",
        "label INT64 [1] reshaped to []",
        "by_class FP32 [2]",
    ]
    assert tensors(empty_repository, "scalar") == ["x FP32 [1]", "y FP32 [1]"]
    x = np.random.default_rng(0).random((5, 3), dtype=np.float32)
    scale = np.full((5, 1), 2, dtype=np.float32)
    with torch.no_grad():
        scaled, sums = files.Affine()(torch.tensor(x), torch.tensor(scale))
    names = empty_repository.names()
    with (
        private_server(find_runtime(), empty_repository, names) as server,
        Client(server.endpoint) as client,
    ):
        answer = client.infer("plain", {"x": x}).outputs["y"]
        np.testing.assert_allclose(answer, x @ np.arange(12.0).reshape(3, 4), rtol=1e-6)
        answers = client.infer("affine", {"image__0": x, "scale__1": scale}).outputs
        np.testing.assert_allclose(answers["output__0"], scaled.numpy(), rtol=1e-6)
        np.testing.assert_allclose(answers["output__1"], sums.numpy()[:, None], rtol=1e-6)
        leaves = np.array([[0, 0], [0, 1], [1, 1]], dtype=np.float32)
        answers = client.infer("forest", {"x": leaves}).outputs
        assert answers["label"].ravel().tolist() == [0, 1, 1]
        assert answers["by_class"].tolist() == [[0.75, 0], [0.5, 0.75], [0, 1.25]]
        answer = client.infer("old", {"x__0": np.ones((1, 4), dtype=np.float32)})
        found = answer.outputs["output__0"][0]
        np.testing.assert_allclose(found, [0.17990, 0.48396, 0.33614], atol=1e-5)
        one = np.ones(1, dtype=np.float32)
        np.testing.assert_allclose(
            client.infer("scalar", {"x": one}).outputs["y"], np.exp(one), rtol=1e-6
        )


def test_a_zipmap_is_left_out_and_the_classes_are_reported(
    empty_repository: Repository, tmp_path: Path
) -> None:
    path = files.write(files.zipped_forest(), tmp_path / "m.onnx")
    result = add(empty_repository, path)
    assert "m version 1: onnxruntime, batches of at most 32" in result.stdout
    assert "by_class is the scores before the file's ZipMap, of the classes 0, 1" in result.stdout
    (version,) = empty_repository.versions("m")
    assert version.manifest is not None
    assert version.manifest.source["sha256"] == sha256_of(path)
    assert version.manifest.source["without_zipmap"] == "by_class"
    assert "external" not in version.manifest.source
    assert "m version 1 (unchanged)" in add(empty_repository, path).stdout


def test_the_manifest_says_where_the_file_came_from(
    empty_repository: Repository, tmp_path: Path
) -> None:
    path = files.write_beside(files.weighted(), tmp_path / "model.onnx")
    assert add(empty_repository, path, "--name", "linear").status == 0
    (version,) = empty_repository.versions("linear")
    manifest = version.manifest
    assert manifest is not None
    assert manifest.format == "onnx"
    assert manifest.source["file"] == str(path)
    assert manifest.source["sha256"] == sha256_of(path)
    assert manifest.source["external"] == "weights.bin"
    assert manifest.target["opset"] == target.ONNX_OPSET
    assert manifest.target["ir_version"] == target.ONNX_IR_VERSION
    assert manifest.libraries["onnxruntime"] == onnxruntime.__version__
    assert list(manifest.files) == ["model.onnx"]
    config = empty_repository.config("linear")
    assert (config.backend, config.max_batch_size) == ("onnxruntime", 32)
    assert config.HasField("dynamic_batching")


def test_equal_content_is_unchanged_and_other_content_is_the_next_version(
    empty_repository: Repository, tmp_path: Path
) -> None:
    path = files.write(files.weighted(), tmp_path / "m.onnx")
    assert "m version 1: onnxruntime, batches of at most 32" in add(empty_repository, path).stdout
    assert "m version 1 (unchanged)" in add(empty_repository, path).stdout
    files.write_beside(files.weighted(), path)
    assert "m version 1 (unchanged)" in add(empty_repository, path).stdout
    other = files.weighted()
    other.producer_name = "another"
    files.write(other, path)
    assert "m version 2:" in add(empty_repository, path).stdout
    script = files.write_script(files.Affine(), tmp_path / "s.pt")
    assert "s version 1:" in add(empty_repository, script, *AFFINE).stdout
    assert "s version 1 (unchanged)" in add(empty_repository, script, *AFFINE).stdout


@pytest.mark.parametrize(
    ("shape", "answer", "operator", "options", "limit", "note"),
    [
        (["N", 3], ["N", 3], "Relu", (), 32, ""),
        ([None, 3], [None, 3], "Relu", (), 32, ""),
        (["N"], ["N"], "Relu", (), 32, ""),
        (["N", 3], ["N", 3], "Relu", ("--max-batch-size", "1"), 1, ""),
        (["N", 3], ["N", 3], "Relu", ("--max-batch-size", "0"), 0, ""),
        (["N", 3], ["N", 3], "Relu", ("--input", "x:FP32[2,3]"), 0, "has the fixed length 2"),
        ([2, 3], [2, 3], "Relu", (), 0, "has the fixed length 2"),
        (["N", "N"], ["N", "N"], "Relu", (), 0, "also appears elsewhere"),
        (["N", 3], ["N", 3], "Softmax0", (), 0, "depends on the rows next to it"),
        (["A", 3], ["B", 3], "Relu", (), 0, "of 'x' is A and that of 'y' is B"),
        (["A", 3], ["B", 3], "Relu", ("--max-batch-size", "8"), 8, ""),
    ],
)  # fmt: skip
def test_a_first_axis_is_a_batch_only_where_rows_stand_alone(
    empty_repository: Repository,
    tmp_path: Path,
    shape: files.Shape,
    answer: files.Shape,
    operator: str,
    options: tuple[str, ...],
    limit: int,
    note: str,
) -> None:
    if operator == "Softmax0":
        node = helper.make_node("Softmax", ["x"], ["y"], axis=0)
        model = files.onnx_model([node], [("x", FLOAT, shape)], [("y", FLOAT, answer)])
    else:
        model = files.unary(operator, shape, answer)
    result = add(empty_repository, files.write(model, tmp_path / "m.onnx"), *options)
    assert result.status == 0, result.stderr
    assert empty_repository.config("m").max_batch_size == limit
    assert note in result.stdout
    assert ("without batching" in result.stdout) is bool(note)
    assert empty_repository.config("m").HasField("dynamic_batching") is (limit > 1)


@pytest.mark.parametrize(
    ("model", "own", "limit"),
    [
        (files.quantised_tokens(), False, 0),
        (files.quantised_tokens(), True, 0),
        (files.bytes_table(), False, 32),
        (files.forest(target.READ_OPSET), False, 32),
    ],
)
def test_integers_are_drawn_as_far_as_the_file_takes_them(
    empty_repository: Repository, tmp_path: Path, model: onnx.ModelProto, own: bool, limit: int
) -> None:
    path = files.write(model, tmp_path / "m.onnx")
    sample = tmp_path / "sample.npz"
    np.savez(sample, ids=np.random.default_rng(0).integers(0, 50, (8, 6)))
    result = add(empty_repository, path, *(("--sample", sample) if own else ()))
    assert result.status == 0, result.stderr
    assert empty_repository.config("m").max_batch_size == limit
    if not limit:
        assert "a row of 'scores' depends on the rows next to it (up to " in result.stdout
        assert "DynamicQuantizeLinear takes one range over all rows" in result.stdout
        assert ("give real ones with --sample" in result.stdout) is not own


def test_batching_that_is_insisted_on_is_refused_where_rows_are_mixed(
    empty_repository: Repository, tmp_path: Path
) -> None:
    node = helper.make_node("Softmax", ["x"], ["y"], axis=0)
    model = files.onnx_model([node], [("x", FLOAT, ["N", 3])], [("y", FLOAT, ["N", 3])])
    path = files.write(model, tmp_path / "m.onnx")
    result = add(empty_repository, path, "--max-batch-size", "4")
    assert result.status == 1
    assert "a row of 'y' depends on the rows next to it (" in result.error
    assert result.error.endswith(
        "give real ones with --sample inputs.npz; or give --max-batch-size 0"
    )
    assert empty_repository.names() == []


def test_a_model_that_takes_certain_values_is_tried_on_a_sample(
    empty_repository: Repository, tmp_path: Path
) -> None:
    model = files.onnx_model(
        [helper.make_node("Reshape", ["x", "shape"], ["y"])],
        [("x", FLOAT, [2, 3]), ("shape", TensorProto.INT64, [3])],
        [("y", FLOAT, [None, None, None])],
    )
    path = files.write(model, tmp_path / "m.onnx")
    refused = add(empty_repository, path)
    assert refused.status == 1
    assert "give real ones with --sample inputs.npz" in refused.error
    assert empty_repository.names() == []
    sample = tmp_path / "inputs.npz"
    x = np.zeros((2, 3), dtype=np.float32)
    np.savez(sample, x=x, shape=np.array([1, 3, 3]))
    assert "fails on the sample" in add(empty_repository, path, "--sample", sample).error
    np.savez(sample, x=x)
    assert "it needs one array for each of" in add(empty_repository, path, "--sample", sample).error
    np.savez(sample, x=x, shape=np.array([1, 3, 2]))
    result = add(empty_repository, path, "--sample", sample)
    assert result.status == 0, result.stderr


def test_a_name_that_is_none_and_options_that_are_none(
    empty_repository: Repository, tmp_path: Path
) -> None:
    path = files.write(files.weighted(), tmp_path / "7b model.onnx")
    result = add(empty_repository, path)
    assert result.status == 1
    assert "'7b model' cannot name a model" in result.error
    assert "give another with --name" in result.error
    for options, said in (
        (("--name", "a/b"), "cannot name a model"),
        (("--input", "x"), "--input 'x' cannot be read"),
        (("--input", "x:FP31[1]"), "has the dtype 'FP31'; choose from BOOL"),
        (("--input", "x:FP32[1,-]"), "has no shape that can be read"),
        (("--input", "x:FP32[0]"), "has an axis below 1"),
        (("--input", "x:FP32[1]", "--input", "x:FP32[2]"), "names 'x' twice"),
        (("--max-batch-size", "-1"), "it must be 0 or more"),
    ):
        result = add(empty_repository, path, *options)
        assert result.status == 2, options
        assert said in result.error
    for options, said in (
        (("--input", "z:FP32[1]"), "has no input 'z'; its inputs are x"),
        (("--input", "x:FP32[-1,5]"), "--input says x FP32 [-1, 5], the file has x FP32 [-1, 3]"),
        (("--output", "y:FP64[-1,4]"), "--output says y FP64 [-1, 4], the file has y FP32 [-1, 4]"),
    ):
        result = add(empty_repository, path, "--name", "m", *options)
        assert result.status == 1
        assert said in result.error
    assert empty_repository.names() == []


def test_a_standing_configuration_is_kept_or_reported(
    empty_repository: Repository, tmp_path: Path
) -> None:
    path = files.write(files.weighted(), tmp_path / "m.onnx")
    assert add(empty_repository, path, "--max-batch-size", "5").status == 0
    standing = empty_repository.config_path("m").read_bytes()
    files.write(files.weighted(3, 6), path)
    assert "output 'y': config.pbtxt has y FP32 [4]" in add(empty_repository, path).error
    script = files.write_script(files.Affine(), tmp_path / "s.pt")
    result = add(empty_repository, script, "--name", "m", *AFFINE)
    assert "m is served by onnxruntime, and the file needs pytorch" in result.error
    other = files.weighted()
    other.producer_name = "another"
    files.write(other, path)
    assert "m version 2: onnxruntime, batches of at most 5" in add(empty_repository, path).stdout
    assert empty_repository.config_path("m").read_bytes() == standing
