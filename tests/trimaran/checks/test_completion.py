"""What a Python model adds to its configuration is followed, and never run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trimaran.checks.judging import SOURCE, found, judged

CONFIG = """
backend: "python" max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "y" }
"""
WHOLE = CONFIG.replace('"y" }', '"y" data_type: TYPE_FP32 dims: [ 4 ] }')
TENSORS = """
INPUTS = [{"name": "x", "data_type": "TYPE_FP32", "dims": [4]}]
OUTPUT = {"name": "y", "data_type": "TYPE_FP32", "dims": [4]}
"""


def completing(*lines: str, head: str = TENSORS, returns: bool = True) -> str:
    body = "\n        ".join([*lines, "return config" if returns else "pass"])
    return (
        f"{head}\nclass TritonPythonModel:\n    @staticmethod\n"
        f"    def auto_complete_config(config):\n        {body}\n"
    )


@pytest.mark.parametrize(
    "source",
    [
        completing("config.add_output(OUTPUT)"),
        completing('config.add_output({"name": "y", "data_type": "TYPE_INT8", "dims": (-1, 2)})'),
        completing("output = OUTPUT", "for item in [OUTPUT]:", "    config.add_output(output)"),
        completing(
            "for item in INPUTS:", "    config.add_input(item)", "config.add_output(OUTPUT)"
        ),
        completing(
            "known = [o['name'] for o in config.as_dict()['output']]",
            "if 'y' not in known:",
            "    config.add_output(OUTPUT)",
        ),
        completing("for size in (4, 8):", "    config.set_max_batch_size(8)", "fill(config)"),
        completing("config.as_dict()['output'].append(OUTPUT)"),
        completing("given = config.as_dict()", "given['output'] = [OUTPUT]"),
        completing("[config.add_output(item) for item in [OUTPUT]]"),
        completing("config.add_output(make())"),
        "from elsewhere import TritonPythonModel\n",
        "class TritonPythonModel(Base):\n    pass\n",
    ],
)
def test_what_may_be_completed_is_no_error(source: str, tmp_path: Path) -> None:
    assert found(judged(tmp_path, {"m/config.pbtxt": CONFIG, "m/1/model.py": source})) == []


@pytest.mark.parametrize(
    "source",
    [
        SOURCE,
        completing('config.add_input({"name": "x", "data_type": "TYPE_FP32", "dims": [4]})'),
        completing("config.set_max_batch_size(8)"),
        completing("print(config)", "count = len(config.as_dict())"),
    ],
)
def test_what_nothing_completes_is_an_error(source: str, tmp_path: Path) -> None:
    findings = found(judged(tmp_path, {"m/config.pbtxt": CONFIG, "m/1/model.py": source}))
    assert [item[:3] for item in findings] == [
        ("error", "m/config.pbtxt", "output.y.data_type"),
        ("error", "m/config.pbtxt", "output.y.dims"),
    ]


@pytest.mark.parametrize(
    ("more", "lines", "said"),
    [
        (
            "",
            ['config.add_input({"name": "x", "data_type": "TYPE_INT8", "dims": [4]})'],
            "makes input 'x' TYPE_INT8 but config.pbtxt has TYPE_FP32; make them equal",
        ),
        (
            "",
            ['config.add_output({"name": "y", "data_type": "TYPE_FP32", "dims": [5]})'],
            "makes output 'y' [5] but config.pbtxt has [4]; make them equal",
        ),
        (
            "",
            ['config.add_input({"data_type": "TYPE_FP32", "dims": [4]})'],
            "adds input None without name; add name",
        ),
        (
            "",
            ['for item in [{"name": "z", "dims": [4]}]:', "    config.add_input(item)"],
            "adds input 'z' without data_type; add data_type",
        ),
        (
            "",
            ['z = {"name": "z", "data_type": "TYPE_FP32"}', "config.add_output(z)"],
            "adds output 'z' without dims; add dims",
        ),
        (
            "",
            ['config.add_input({**more, "name": "x"})'],
            "",
        ),
        (
            "",
            [
                'config.add_output({"name": "z", "data_type": "TYPE_FP32", "dims": [4], '
                '"reshape": []})'
            ],
            "adds output 'z' with 'reshape'; write that into config.pbtxt",
        ),
        (
            "",
            ["config.set_max_batch_size(4)"],
            "sets max_batch_size to 4 but config.pbtxt has 8; lower the one in config.pbtxt",
        ),
        ("", ["if large():", "    config.set_max_batch_size(4)"], ""),
        ("", ["config.set_max_batch_size(16)"], ""),
        (
            "sequence_batching { }",
            ["config.set_dynamic_batching()"],
            "sets dynamic_batching but config.pbtxt has sequence_batching; remove one",
        ),
        (
            "",
            ['config.set_model_transaction_policy({"coupled": True})'],
            "sets a transaction policy with 'coupled'; give it decoupled alone",
        ),
        (
            "model_transaction_policy { decoupled: false }",
            ["config.set_model_transaction_policy(dict(decoupled=True))"],
            "sets decoupled to True but config.pbtxt has False; make them equal",
        ),
        (
            "model_transaction_policy { decoupled: true }",
            ["config.set_model_transaction_policy(dict(decoupled=True))"],
            "",
        ),
        (
            "model_transaction_policy { }",
            ['config.set_model_transaction_policy({"decoupled": True})'],
            "sets decoupled to True but config.pbtxt has False; make them equal",
        ),
    ],
)
def test_what_a_completion_contradicts(
    more: str, lines: list[str], said: str, tmp_path: Path
) -> None:
    files = {"m/config.pbtxt": WHOLE + more, "m/1/model.py": completing(*lines)}
    sentence = f"1/model.py: auto_complete_config {said}"
    assert found(judged(tmp_path, files)) == (
        [("error", "m/1/model.py", "", sentence)] if said else []
    )


def test_a_class_that_another_file_of_the_version_defines_is_followed(tmp_path: Path) -> None:
    module = "trimaran/served/some_model.py"
    files = {
        "m/config.pbtxt": CONFIG,
        "m/1/model.py": "from trimaran.served.some_model import TritonPythonModel\n",
    }
    complete = files | {f"m/1/{module}": completing("config.add_output(OUTPUT)")}
    assert found(judged(tmp_path / "complete", complete)) == []
    lacking = found(judged(tmp_path / "lacking", files | {f"m/1/{module}": SOURCE}))
    alone = {"m/config.pbtxt": CONFIG, "m/1/model.py": SOURCE}
    assert lacking == found(judged(tmp_path / "alone", alone))
    assert lacking


def test_a_completion_that_returns_nothing(tmp_path: Path) -> None:
    files = {"m/config.pbtxt": WHOLE, "m/1/model.py": completing(returns=False)}
    assert [item[3] for item in found(judged(tmp_path, files))] == [
        "1/model.py: auto_complete_config returns nothing; return the configuration that it was "
        "given"
    ]


def test_an_ensemble_sees_what_its_step_completes(tmp_path: Path) -> None:
    ensemble = """
    platform: "ensemble" max_batch_size: 8
    input { name: "X" data_type: TYPE_FP32 dims: [ 4 ] }
    output { name: "Y" data_type: TYPE_FP32 dims: [ %d ] }
    ensemble_scheduling { step { model_name: "m" model_version: 1
      input_map { key: "x" value: "X" } output_map { key: "y" value: "Y" } } }
    """
    source = completing("config.add_output(OUTPUT)")
    files = {"m/config.pbtxt": CONFIG, "m/1/model.py": source, "e/1/": ""}
    assert found(judged(tmp_path / "4", files | {"e/config.pbtxt": ensemble % 4})) == []
    findings = found(judged(tmp_path / "5", files | {"e/config.pbtxt": ensemble % 5}))
    assert [item[2] for item in findings] == ["output.Y"]
