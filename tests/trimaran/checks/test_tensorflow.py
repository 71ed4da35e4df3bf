"""TensorFlow's two formats: which file is loaded, and what it describes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trimaran.checks.judging import found, judged

X = 'input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] } '
Y = 'output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] } '
PARTIAL = 'input { name: "x" dims: [ 4 ] } output { name: "y" data_type: TYPE_FP32 } '
SAVED = {"m/1/model.savedmodel/saved_model.pb": b"."}
GRAPH = {"m/1/model.graphdef": b"."}
BARE = "there is neither input nor output, and no model.graphdef describes them; declare every"
NO_TYPE = "tensor 'x' has no data_type"


@pytest.mark.parametrize(
    ("config", "files", "said"),
    [
        (X + Y, SAVED, None),
        (PARTIAL, SAVED, None),
        ("", SAVED, None),
        (None, SAVED, None),
        ('platform: "tensorflow_savedmodel" ' + PARTIAL, SAVED, None),
        (X + Y, GRAPH, None),
        (PARTIAL, GRAPH, NO_TYPE),
        ('platform: "tensorflow_graphdef" ' + PARTIAL, GRAPH, NO_TYPE),
        ("", GRAPH, BARE),
        (None, GRAPH, BARE),
        ('backend: "tensorflow" default_model_filename: "model.graphdef" ', GRAPH, BARE),
        (
            'platform: "tensorflow_savedmodel" ' + X + Y,
            GRAPH,
            "1/model.savedmodel is missing, which backend tensorflow loads",
        ),
        (
            'platform: "tensorflow_graphdef" ' + X + Y,
            SAVED,
            "1/model.graphdef is missing, which backend tensorflow loads",
        ),
        (
            'platform: "tensorflow_graphdef" default_model_filename: "n" ' + X + Y,
            {"m/1/n": b""},
            None,
        ),
    ],
)
def test_a_saved_model_describes_its_tensors_and_a_graph_does_not(
    config: str | None, files: dict[str, bytes], said: str | None, tmp_path: Path
) -> None:
    text = {} if config is None else {"m/config.pbtxt": config}
    findings = [f[3] for f in found(judged(tmp_path, {**text, **files})) if f[0] == "error"]
    assert bool(findings) == bool(said)
    assert all(said is not None and said in one for one in findings[:1])
