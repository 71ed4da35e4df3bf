"""Each rule on files: versions, policies, artifacts, labels, data and manifests."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto

from tests.trimaran.checks.judging import SOURCE, Found, found, judged, relu, torchscript
from tests.trimaran.versions import model_config, publish_files
from trimaran.checks.api import check
from trimaran.checks.judge import judge
from trimaran.checks.reading import model_directories, read_model
from trimaran.checks.scheduling import check_threads
from trimaran.checks.versions import served_versions, version_of
from trimaran.repository.config import ModelConfig, parse_config
from trimaran.repository.repository import Repository

X = 'input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }'
Y = 'output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }'
PYTHON = f'backend: "python" max_batch_size: 8 {X} {Y} '
ONNX = PYTHON.replace("python", "onnxruntime")
TENSORRT = PYTHON.replace("python", "tensorrt")
BY_FILE = PYTHON.replace('backend: "python"', "")
STRATEGY = (
    'parameters { key: "execution_context_allocation_strategy" value { string_value: "%s" } }'
)
PYTORCH = PYTHON.replace("python", "pytorch")
TORCHSCRIPT = torchscript()
CONFIG = "m/config.pbtxt"


def missing_tensors(kind: str) -> Found:
    sentence = (
        f"there is no {kind}, and no model.pt describes its {kind}s; declare every {kind}, with "
        "its name, data_type and dims"
    )
    return ("error", CONFIG, kind, sentence)


CASES: dict[str, tuple[dict[str, str | bytes], list[Found]]] = {
    "two versions, of which the newest is served": (
        {CONFIG: PYTHON, "m/1/model.py": SOURCE, "m/2/model.py": SOURCE},
        [],
    ),
    "an older version without its file": (
        {CONFIG: PYTHON, "m/1/x": "", "m/2/model.py": SOURCE},
        [
            (
                "warning",
                "m/1",
                "",
                "1/model.py is missing, which backend python loads; add it, or correct "
                "default_model_filename",
            )
        ],
    ),
    "a served version without its file": (
        {CONFIG: PYTHON, "m/1/model.py": SOURCE, "m/2/x": ""},
        [
            (
                "error",
                "m/2",
                "",
                "2/model.py is missing, which backend python loads; add it, or correct "
                "default_model_filename",
            )
        ],
    ),
    "another file name": (
        {CONFIG: PYTHON + 'default_model_filename: "other.py"', "m/1/other.py": SOURCE},
        [],
    ),
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
    "a directory that is taken for a version": (
        {CONFIG: PYTHON, "m/1/model.py": SOURCE, "m/2.tmp/model.py": SOURCE},
        [
            (
                "error",
                "m/2.tmp",
                "2.tmp",
                "directory 2.tmp is read by Triton as version 2, which does not exist; rename "
                "it so that it "
                "starts with a letter, or remove it",
            )
        ],
    ),
    "the same, below the version that is served": (
        {CONFIG: PYTHON, "m/3/model.py": SOURCE, "m/2.tmp/model.py": SOURCE},
        [
            (
                "warning",
                "m/2.tmp",
                "2.tmp",
                "directory 2.tmp is read by Triton as version 2, which does not exist; rename "
                "it so that it "
                "starts with a letter, or remove it",
            )
        ],
    ),
    "a number below zero that is served": (
        {
            CONFIG: PYTHON + "version_policy { all { } }",
            "m/1/model.py": SOURCE,
            "m/-3/model.py": SOURCE,
        },
        [
            (
                "error",
                "m/-3",
                "-3",
                "directory -3 is read by Triton as version -3; rename it so that it starts with "
                "a letter, "
                "or remove it",
            )
        ],
    ),
    "a leading zero": (
        {CONFIG: PYTHON, "m/1/model.py": SOURCE, "m/02/model.py": SOURCE},
        [
            (
                "warning",
                "m/02",
                "02",
                "directory 02 is not a version, since it begins with a zero; rename it to 2",
            )
        ],
    ),
    "a number that cannot be one": (
        {CONFIG: PYTHON, "m/1/model.py": SOURCE, "m/99999999999999999999/model.py": SOURCE},
        [
            (
                "error",
                "m/99999999999999999999",
                "99999999999999999999",
                "directory 99999999999999999999 is too large a version number; rename it",
            ),
        ],
    ),
    "a policy for versions that are not there": (
        {
            CONFIG: PYTHON + "version_policy { specific { versions: [ 3 ] } }",
            "m/1/model.py": SOURCE,
        },
        [
            (
                "error",
                CONFIG,
                "version_policy.specific",
                "version_policy names version 3, but there is 1; name versions that are there",
            )
        ],
    ),
    "a policy for some that are there": (
        {
            CONFIG: PYTHON + "version_policy { specific { versions: [ 1, 3 ] } }",
            "m/1/model.py": SOURCE,
        },
        [
            (
                "warning",
                CONFIG,
                "version_policy.specific",
                "version_policy names version 3, but there is 1; name versions that are there",
            )
        ],
    ),
    "a policy for none": (
        {CONFIG: PYTHON + "version_policy { latest { } }", "m/1/model.py": SOURCE},
        [
            (
                "error",
                CONFIG,
                "version_policy",
                "version_policy leaves no version to serve: there is 1; name versions that are "
                "there, or remove the policy",
            )
        ],
    ),
    "no version yet": ({CONFIG: PYTHON}, []),
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
    "a directory in place of a source": (
        {CONFIG: PYTHON, "m/1/model.py/model.py": SOURCE},
        [
            (
                "error",
                "m/1",
                "",
                "1/model.py is missing, which backend python loads; add it, or correct "
                "default_model_filename",
            )
        ],
    ),
    "a source that is no Python": (
        {CONFIG: PYTHON, "m/1/model.py": "def ("},
        [
            (
                "error",
                "m/1/model.py",
                "",
                "1/model.py is not valid Python in line 1: invalid syntax; correct it",
            )
        ],
    ),
    "a source without the class": (
        {CONFIG: PYTHON, "m/1/model.py": ""},
        [("error", "m/1/model.py", "", "1/model.py has no class TritonPythonModel; correct it")],
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
    "profiles, and a plan that shows the backend": (
        {
            CONFIG: BY_FILE + 'instance_group { profile: [ "1", "2" ] }',
            "m/1/model.plan": "x",
        },
        [],
    ),
    "a profile that is no number": (
        {CONFIG: TENSORRT + 'instance_group { profile: "best" }', "m/1/model.plan": "x"},
        [
            (
                "error",
                CONFIG,
                "instance_group[0].profile",
                "profile 'best' is no number; number it from 0",
            )
        ],
    ),
    "a shape tensor of TensorRT": (
        {
            CONFIG: TENSORRT.replace("[ 4 ]", "[ 4 ] is_shape_tensor: true", 1),
            "m/1/model.plan": "x",
        },
        [],
    ),
    "tensors that a plan completes": (
        {CONFIG: 'backend: "tensorrt" input { name: "x" }', "m/1/model.plan": "x"},
        [],
    ),
    "a strategy that TensorRT does not have": (
        {CONFIG: BY_FILE + STRATEGY % "LATE", "m/1/model.plan": "x"},
        [
            (
                "error",
                CONFIG,
                "parameters.execution_context_allocation_strategy",
                "execution_context_allocation_strategy is 'LATE'; write STATIC or "
                "ON_PROFILE_CHANGE",
            )
        ],
    ),
    "one that it has": (
        {CONFIG: TENSORRT + STRATEGY % "ON_PROFILE_CHANGE", "m/1/model.plan": "x"},
        [],
    ),
    "a profile where the file shows another backend": (
        {
            CONFIG: BY_FILE + 'instance_group { profile: "1" }',
            "m/1/model.py": SOURCE,
        },
        [
            (
                "error",
                CONFIG,
                "instance_group[0].profile",
                "profile is set, which only TensorRT models have; remove it",
            )
        ],
    ),
    "a plan before a source": (
        {
            CONFIG: PYTHON.replace('backend: "python"', ""),
            "m/1/model.plan": "x",
            "m/1/model.py": "",
        },
        [],
    ),
    "PyTorch without outputs": (
        {CONFIG: PYTORCH.replace(Y, ""), "m/1/model.pt": TORCHSCRIPT},
        [missing_tensors("output")],
    ),
    "PyTorch without inputs": (
        {CONFIG: PYTORCH.replace(X, ""), "m/1/model.pt": TORCHSCRIPT},
        [missing_tensors("input")],
    ),
    "PyTorch by its file, without anything": (
        {CONFIG: "", "m/1/model.pt": TORCHSCRIPT},
        [missing_tensors("input"), missing_tensors("output")],
    ),
    "PyTorch without a configuration": (
        {"m/1/model.pt": TORCHSCRIPT},
        [missing_tensors("input"), missing_tensors("output")],
    ),
    "a type that PyTorch does not serve": (
        {CONFIG: PYTORCH.replace("FP32", "UINT16", 1), "m/1/model.pt": TORCHSCRIPT},
        [
            (
                "error",
                CONFIG,
                "input.x.data_type",
                "input 'x' is TYPE_UINT16, which the pytorch backend does not serve; use another "
                "type",
            )
        ],
    ),
    "an optional input of PyTorch": (
        {CONFIG: PYTORCH.replace("[ 4 ]", "[ 4 ] optional: true", 1), "m/1/model.pt": TORCHSCRIPT},
        [
            (
                "error",
                CONFIG,
                "input.x.optional",
                "input 'x' is optional, which the pytorch backend does not support; remove "
                "optional",
            )
        ],
    ),
    "a good ONNX file": ({CONFIG: ONNX, "m/1/model.onnx": relu()}, []),
    "a fixed batch axis": (
        {CONFIG: ONNX, "m/1/model.onnx": relu(batch=1)},
        [
            (
                "error",
                CONFIG,
                "max_batch_size",
                "1/model.onnx has 'x' of the fixed shape [1, 4], which takes no batches; export it "
                "with an open first axis, or set max_batch_size to 0",
            )
        ],
    ),
    "another width": (
        {CONFIG: ONNX.replace("[ 4 ]", "[ 5 ]", 1), "m/1/model.onnx": relu()},
        [
            (
                "error",
                CONFIG,
                "input.x.dims",
                "input 'x' is [5] but [4] in 1/model.onnx, without the batch axis; make them equal",
            )
        ],
    ),
    "another type": (
        {CONFIG: ONNX.replace("FP32", "FP16", 1), "m/1/model.onnx": relu()},
        [
            (
                "error",
                CONFIG,
                "input.x.data_type",
                "input 'x' is FP16 but FP32 in 1/model.onnx; make them equal",
            )
        ],
    ),
    "another name": (
        {CONFIG: ONNX, "m/1/model.onnx": relu(name="z")},
        [
            (
                "error",
                CONFIG,
                "input.x",
                "input 'x' is not in 1/model.onnx, which has z; name it as the file does",
            ),
            (
                "error",
                CONFIG,
                "input.z",
                "1/model.onnx needs input 'z', which the configuration does not have; add it",
            ),
        ],
    ),
    "an empty ONNX file": (
        {CONFIG: ONNX, "m/1/model.onnx": b""},
        [
            (
                "error",
                "m/1/model.onnx",
                "",
                "1/model.onnx is empty; copy or export the model again",
            )
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


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("1", 1),
        ("12", 12),
        ("2.tmp", 2),
        ("3x", 3),
        ("-3", -3),
        ("0", 0),
        ("01", None),
        ("v1", None),
    ],
)
def test_which_version_triton_takes_a_directory_for(name: str, number: int | None) -> None:
    assert version_of(name) == number


@pytest.mark.parametrize(
    ("policy", "served"),
    [
        ("", (7,)),
        ("version_policy { }", (7,)),
        ("version_policy { all { } }", (1, 3, 7)),
        ("version_policy { latest { num_versions: 2 } }", (3, 7)),
        ("version_policy { latest { } }", ()),
        ("version_policy { specific { versions: [ 1, 2 ] } }", (1,)),
    ],
)
def test_which_versions_a_policy_serves(policy: str, served: tuple[int, ...]) -> None:
    assert served_versions(parse_config(policy, "here"), (1, 3, 7)) == served


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


def test_weights_that_no_operator_uses_are_not_looked_for(tmp_path: Path) -> None:
    model = onnx.load_model_from_string(relu())
    weight = model.graph.initializer.add(name="w", data_type=TensorProto.FLOAT, dims=[4])
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="missing.bin")
    files = {CONFIG: ONNX, "m/1/model.onnx/model.onnx": model.SerializeToString()}
    assert found(judged(tmp_path, files)) == []
    files = {"n/config.pbtxt": ONNX, "n/1/model.onnx": model.SerializeToString()}
    assert found(judged(tmp_path / "file", files)) == []


def test_without_the_package_onnx_a_note_says_what_was_not_checked(tmp_path: Path) -> None:
    judged(tmp_path, {CONFIG: ONNX, "m/1/model.onnx": relu()})
    repository = Repository.open(tmp_path / "models")
    facts = {name: read_model(repository, name) for name in model_directories(repository)}
    report = judge("here", facts, graphs=False)
    assert [finding.sentence for finding in report.findings if not finding.model] == [
        "ONNX files were not checked, because the package onnx is not installed; install it "
        "with pip install '.[export]' in trimaran's checkout"
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
