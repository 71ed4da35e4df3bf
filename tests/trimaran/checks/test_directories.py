"""Each rule on the files of a model: its configuration, labels, warm-up data and manifests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trimaran.checks.judging import (
    BY_FILE,
    CONFIG,
    PYTHON,
    SOURCE,
    Found,
    found,
    judged,
    relu,
)
from tests.trimaran.versions import model_config, publish_files
from trimaran.checks.api import check
from trimaran.checks.scheduling import check_threads
from trimaran.repository.config import ModelConfig
from trimaran.repository.repository import Repository

CASES: dict[str, tuple[dict[str, str | bytes], list[Found]]] = {
    "no backend, and no file that shows one": (
        {CONFIG: PYTHON.replace('backend: "python"', ""), "m/1/x": ""},
        [
            (
                "error",
                CONFIG,
                "backend",
                "no backend is named, and no file of the versions shows which it is; name one, "
                'such as backend: "python"',
            )
        ],
    ),
    "no configuration": (
        {"m/1/model.py": SOURCE},
        [
            (
                "warning",
                CONFIG,
                "",
                "there is no config.pbtxt, so the model has the tensors that its code declares; "
                "write one that says inputs, outputs and max_batch_size",
            )
        ],
    ),
    "a configuration that cannot be read": (
        {CONFIG: "input {", "m/1/model.py": SOURCE},
        [
            (
                "error",
                CONFIG,
                "",
                'not a Triton model configuration: line 1, column 7: Expected "}".; '
                "correct the file",
            )
        ],
    ),
    "a configuration that is a directory": (
        {CONFIG + "/x": "", "m/1/model.py": SOURCE},
        [("error", CONFIG, "", "is a directory; put a text file in its place")],
    ),
    "a string that is no UTF-8": (
        {
            CONFIG: PYTHON.encode() + b'metric_tags { key: "a" value: "\xe9" }',
            "m/1/model.py": "",
        },
        [
            (
                "warning",
                CONFIG,
                "",
                "line 1 holds text that is not UTF-8, which clients over gRPC cannot read; save "
                "the "
                "file as UTF-8",
            ),
            ("error", "m/1/model.py", "", "1/model.py has no class TritonPythonModel; correct it"),
        ],
    ),
    "several numbers that name nothing": (
        {CONFIG: PYTHON.replace("TYPE_FP32", "99"), "m/1/model.py": SOURCE},
        [
            (
                "error",
                CONFIG,
                f"{kind}.data_type",
                "data_type 99 is none of Triton's types; write a name such as TYPE_FP32",
            )
            for kind in ("input.x", "output.y")
        ],
    ),
    "labels": (
        {
            CONFIG: PYTHON[:-3] + 'label_filename: "l.txt" }',
            "m/1/model.py": SOURCE,
            "m/l.txt": "a\nb\nc\nd\n",
        },
        [],
    ),
    "labels in the version": (
        {
            CONFIG: PYTHON[:-3] + 'label_filename: "l.txt" }',
            "m/1/model.py": SOURCE,
            "m/1/l.txt": "a\nb\nc\nd\n",
        },
        [
            (
                "error",
                CONFIG,
                "output.y.label_filename",
                "label file l.txt is missing; put it next to config.pbtxt in the model's directory",
            )
        ],
    ),
    "too many labels": (
        {
            CONFIG: PYTHON[:-3] + 'label_filename: "l.txt" }',
            "m/1/model.py": SOURCE,
            "m/l.txt": "a\nb\nc\nd\ne\n",
        },
        [
            (
                "warning",
                CONFIG,
                "output.y.label_filename",
                "label file l.txt has 5 lines but output 'y' is [4]; give it one line for every "
                "place of the output",
            )
        ],
    ),
    "too few labels": (
        {
            CONFIG: PYTHON[:-3] + 'label_filename: "l.txt" }',
            "m/1/model.py": SOURCE,
            "m/l.txt": "a\nb\n",
        },
        [
            (
                "warning",
                CONFIG,
                "output.y.label_filename",
                "label file l.txt has 2 lines but output 'y' is [4]; give it one line for every "
                "place of the output",
            )
        ],
    ),
}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("m.identity", ""),
        ("m.own", ""),
        ("m", "no backend is named, and no file of the versions shows which it is"),
        (
            "m.nothing",
            "no backend is named, so the directory's name makes it 'nothing', which is in none of "
            "NVIDIA's containers",
        ),
    ],
)
def test_a_directory_may_name_its_backend(name: str, said: str, tmp_path: Path) -> None:
    library = {"m.own/libtriton_own.so": ""} if name == "m.own" else {}
    files = {f"{name}/config.pbtxt": BY_FILE, f"{name}/1/weights": "", **library}
    remedy = 'name one, such as backend: "python"'
    assert found(judged(tmp_path, files)) == (
        [("error", f"{name}/config.pbtxt", "backend", f"{said}; {remedy}")] if said else []
    )


@pytest.mark.parametrize("case", CASES)
def test_what_is_found_in_a_directory(case: str, tmp_path: Path) -> None:
    files, expected = CASES[case]
    assert found(judged(tmp_path, files)) == expected


WARM = """
model_warmup { name: "w" batch_size: 1 inputs { key: "x"
  value { data_type: TYPE_%s dims: [ %s ] input_data_file: "f" } } }
"""


@pytest.mark.parametrize(
    ("dtype", "dims", "data", "sentence"),
    [
        ("FP32", 4, bytes(16), ""),
        ("FP32", 4, bytes(17), ""),
        (
            "FP32",
            4,
            bytes(15),
            "warmup/f holds 15 bytes but TYPE_FP32 [4] are 16; write the tensor's raw bytes into "
            "it",
        ),
        ("STRING", 2, b"\1\0\0\0a\0\0\0\0", ""),
        (
            "STRING",
            2,
            b"\1\0\0\0a",
            "warmup/f holds 1 texts but dims [2] are 2; write each text after its length in four "
            "bytes, little-endian",
        ),
        (
            "STRING",
            1,
            b"\x09\0\0\0a",
            "warmup/f holds no texts with their lengths but dims [1] are 1; write each text after "
            "its length in four bytes, little-endian",
        ),
    ],
)
def test_warm_up_data_fills_its_input(
    dtype: str, dims: int, data: bytes, sentence: str, tmp_path: Path
) -> None:
    config = PYTHON.replace("FP32", dtype, 1).replace("[ 4 ]", f"[ {dims} ]", 1)
    files = {CONFIG: config + WARM % (dtype, dims), "m/1/model.py": SOURCE, "m/warmup/f": data}
    assert [item[3] for item in found(judged(tmp_path, files))] == ([sentence] if sentence else [])


def test_what_was_published_is_not_to_change(tmp_path: Path) -> None:
    repository = Repository.create(tmp_path / "models")
    publish_files(repository, model_config("m"), {"model.onnx": relu()})
    assert found(check(repository)) == []
    version = repository.model("m") / "1"
    (version / "notes.txt").write_text("mine")
    changed = relu(5)
    (version / "model.onnx").write_bytes(changed)
    assert len(changed) == len(relu())
    assert found(check(repository))[-2:] == [
        (
            "warning",
            "m/1/manifest.json",
            "",
            "version 1 differs from what was published: model.onnx was altered after it was "
            "published; publish it again",
        ),
        (
            "warning",
            "m/1/notes.txt",
            "",
            "1/notes.txt is not in the manifest of its version; remove it, or publish a version "
            "with it",
        ),
    ]


def test_a_version_without_a_manifest_next_to_one_with(tmp_path: Path) -> None:
    repository = Repository.create(tmp_path / "models")
    publish_files(repository, model_config("m"), {"model.onnx": relu()})
    (repository.model("m") / "2").mkdir()
    (repository.model("m") / "2" / "model.onnx").write_bytes(relu())
    assert found(check(repository)) == [
        (
            "warning",
            "m/2",
            "",
            "version 2 has no manifest, so nothing shows whether it is complete; publish it with "
            "'trimaran export', 'trimaran publish' or 'trimaran add'",
        )
    ]


def test_instances_do_not_share_more_threads_than_there_are_cores() -> None:
    config = ModelConfig(backend="onnxruntime")
    config.instance_group.add(count=2)
    config.parameters["intra_op_thread_count"].string_value = "2"
    assert list(check_threads(config, 4)) == []
    (finding,) = check_threads(config, 2)
    assert finding.sentence == (
        "2 instances of 2 threads run on 2 cores; lower the instances or the threads"
    )
