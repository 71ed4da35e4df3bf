"""Each rule on an ensemble and its steps, and the exact finding."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trimaran.checks.judging import SOURCE, Found, found, judged, relu

STEP = (
    'backend: "python" max_batch_size: 8 input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] } '
    'output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] } '
)
ENSEMBLE = """
platform: "ensemble" max_batch_size: 8
input { name: "X" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "Y" data_type: TYPE_FP32 dims: [ 4 ] }
ensemble_scheduling {
  step { model_name: "a" model_version: 1
    input_map { key: "x" value: "X" } output_map { key: "y" value: "M" } }
  step { model_name: "b" model_version: 1
    input_map { key: "x" value: "M" } output_map { key: "y" value: "Y" } }
}
"""
STEPS = "ensemble_scheduling"


def repository(ensemble: str, a: str = STEP, b: str = STEP) -> dict[str, str | bytes]:
    return {
        "a/config.pbtxt": a,
        "a/1/model.py": SOURCE,
        "b/config.pbtxt": b,
        "b/1/model.py": SOURCE,
        "e/config.pbtxt": ensemble,
        "e/1/": "",
    }


def change(old: str, new: str, text: str = ENSEMBLE) -> str:
    assert old in text
    return text.replace(old, new, 1)


def error(field: str, sentence: str) -> list[Found]:
    return [("error", "e/config.pbtxt", field, sentence)]


def test_nothing_is_found_in_a_good_ensemble(tmp_path: Path) -> None:
    assert found(judged(tmp_path, repository(ENSEMBLE))) == []


def test_a_mistake_of_a_step_is_reported_there_and_not_in_the_ensemble(tmp_path: Path) -> None:
    broken = change("TYPE_FP32", "TYPE_INVALID", STEP)
    report = judged(tmp_path, repository(ENSEMBLE, a=broken))
    assert ("error", "a/config.pbtxt", "input.x.data_type") in [f[:3] for f in found(report)]


CASES: dict[str, tuple[dict[str, str | bytes], list[Found]]] = {
    "a field that it may not have": (
        repository(ENSEMBLE + "instance_group { }"),
        error(
            "instance_group",
            "an ensemble takes no instance_group; set it in the steps' own models",
        ),
    ),
    "no platform": (
        repository(change('platform: "ensemble"', "")),
        error("platform", "there are steps but platform is ''; write platform: \"ensemble\""),
    ),
    "a reshape": (
        repository(change("[ 4 ]", "[ 4 ] reshape { shape: [ 4 ] }")),
        error("X.reshape", "ensemble tensor 'X' has a reshape; put it into the step's model"),
    ),
    "a model that is not there": (
        repository(change('"a"', '"c"')),
        error(
            STEPS,
            "step model 'c' is not in the repository; correct the name, or add the model",
        ),
    ),
    "no version": (
        repository(change("model_version: 1", "")),
        error(
            f"{STEPS}.step[0].model_version",
            "step 'a' has model_version 0; write a version's number, or -1 for the newest",
        ),
    ),
    "a pinned version that is not served": (
        repository(change("model_version: 1", "model_version: 2")),
        error(
            f"{STEPS}.step[0].model_version",
            "step 'a' is pinned to version 2, but its version_policy serves 1; pin a version that "
            "is served",
        ),
    ),
    "a floating version": (
        repository(change("model_version: 1", "model_version: -1")),
        [
            (
                "warning",
                "e/config.pbtxt",
                f"{STEPS}.step[0].model_version",
                "step 'a' is not pinned, so publishing its model changes the ensemble; pin a "
                "version, or "
                "make a release with 'trimaran release'",
            )
        ],
    ),
    "a larger batch": (
        repository(change("8", "9")),
        [
            error(
                "max_batch_size",
                f"max_batch_size is 9 but step {name!r} takes at most 8; lower the ensemble's",
            )[0]
            for name in "ab"
        ],
    ),
    "an input that the step does not have": (
        repository(change('key: "x"', 'key: "z"')),
        [
            error(
                f"{STEPS}.step[0].input_map",
                "step 'a' has no input 'z'; it has x; map one of these",
            )[0],
            error(
                f"{STEPS}.step[0].input_map",
                "step 'a': input 'x' is not in its input_map; map it",
            )[0],
        ],
    ),
    "another type": (
        repository(ENSEMBLE, b=change("FP32", "INT32", STEP)),
        error(
            f"{STEPS}.step[1].input_map",
            "tensor 'M' is FP32 [-1, 4] from step 'a' but INT32 [-1, 4] in step 'b'; make them "
            "equal",
        ),
    ),
    "another shape": (
        repository(
            change('"Y" data_type: TYPE_FP32 dims: [ 4 ]', '"Y" data_type: TYPE_FP32 dims: 5')
        ),
        error(
            "output.Y",
            "tensor 'Y' is FP32 [-1, 4] from step 'b' but FP32 [-1, 5] in the ensemble; make them "
            "equal",
        ),
    ),
    "a tensor that nobody makes": (
        repository(change('value: "M" } output', 'value: "Q" } output')),
        [
            error(
                STEPS,
                "step 'b' waits for tensor 'Q', which no input and no earlier step provides; "
                "map it to an existing tensor",
            )[0],
            error(
                STEPS,
                "tensor 'M' is produced but never used, and is not an output of the ensemble; "
                "leave it out "
                "of the output_map",
            )[0],
        ],
    ),
    "a tensor made twice": (
        repository(change('value: "Y" } }', 'value: "M" } }')),
        [
            error(
                STEPS,
                "tensor 'M' is produced twice, the second time by step 'b'; give one of them "
                "another name",
            )[0],
            error(
                "output.Y",
                "output 'Y' is produced by no step; map a step's output to it, or remove it",
            )[0],
        ],
    ),
    "an input that nobody takes": (
        repository(ENSEMBLE + 'input { name: "U" data_type: TYPE_FP32 dims: [ 4 ] }'),
        error("input.U", "input 'U' is used by no step; map it to one or remove it"),
    ),
    "an output that nobody makes": (
        repository(ENSEMBLE + 'output { name: "U" data_type: TYPE_FP32 dims: [ 4 ] }'),
        error(
            "output.U", "output 'U' is produced by no step; map a step's output to it, or remove it"
        ),
    ),
    "a step that maps nothing": (
        repository(change('input_map { key: "x" value: "M" }', "")),
        [
            error(f"{STEPS}.step[1].input_map", "step 'b' has no input_map; map its tensors")[0],
            error(
                f"{STEPS}.step[1].input_map",
                "step 'b': input 'x' is not in its input_map; map it",
            )[0],
            error(
                STEPS,
                "tensor 'M' is produced but never used, and is not an output of the ensemble; "
                "leave it out "
                "of the output_map",
            )[0],
        ],
    ),
    "an optional input that a step needs": (
        repository(change("[ 4 ]", "[ 4 ] optional: true")),
        error(
            f"{STEPS}.step[0].input_map",
            "tensor 'X' is optional in the ensemble but step 'a' needs it; make both optional, or "
            "neither",
        ),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_found_in_an_ensemble(case: str, tmp_path: Path) -> None:
    files, expected = CASES[case]
    assert found(judged(tmp_path, files)) == expected


def test_a_released_ensemble_floats_in_its_own_file_and_not_when_it_is_live(tmp_path: Path) -> None:
    floating = ENSEMBLE.replace("model_version: 1", "model_version: -1")
    files = repository(floating) | {"e/1/release.json": "{}"}
    assert found(judged(tmp_path / "released", files)) == []
    live = floating + "version_policy { specific { versions: [ 1 ] } }"
    report = judged(tmp_path / "live", files | {"e/configs/live.pbtxt": live})
    assert [item[:3] for item in found(report)] == [
        ("warning", "e/configs/live.pbtxt", f"{STEPS}.step[{index}].model_version")
        for index in (0, 1)
    ]


def test_a_live_release_whose_step_version_is_gone(tmp_path: Path) -> None:
    live = change("model_version: 1", "model_version: 7")
    report = judged(tmp_path, repository(ENSEMBLE) | {"e/configs/live.pbtxt": live})
    assert found(report) == [
        (
            "error",
            "e/configs/live.pbtxt",
            f"{STEPS}.step[0].model_version",
            "step 'a' is pinned to version 7, but its version_policy serves 1; pin a version that "
            "is served",
        )
    ]


def test_a_step_without_tensors_takes_those_of_its_onnx_file(tmp_path: Path) -> None:
    files = repository(ENSEMBLE.replace("max_batch_size: 8", "max_batch_size: 4"))
    del files["b/1/model.py"]
    files |= {"b/config.pbtxt": 'backend: "onnxruntime"', "b/1/model.onnx": relu(4)}
    assert found(judged(tmp_path / "fits", files)) == []
    report = judged(tmp_path / "other", files | {"b/1/model.onnx": relu(5)})
    assert found(report)[0] == (
        "error",
        "e/config.pbtxt",
        f"{STEPS}.step[1].input_map",
        "tensor 'M' is FP32 [-1, 4] from step 'a' but FP32 [-1, 5] in step 'b'; make them equal",
    )


MANY = STEP + "model_transaction_policy { decoupled: true }"
JOIN = STEP + 'input { name: "z" data_type: TYPE_FP32 dims: [ 4 ] }'
UNBATCHED = "max_batch_size: 0"


def joining(second: str, *, step: str = "b") -> str:
    """An ensemble whose step `c` joins what `a` makes with what `second` names."""
    return f"""
platform: "ensemble" max_batch_size: 8
input {{ name: "X" data_type: TYPE_FP32 dims: [ 4 ] }}
output {{ name: "Y" data_type: TYPE_FP32 dims: [ 4 ] }}
ensemble_scheduling {{
  step {{ model_name: "a" model_version: 1
    input_map {{ key: "x" value: "X" }} output_map {{ key: "y" value: "A" }} }}
  step {{ model_name: "{step}" model_version: 1
    input_map {{ key: "x" value: "{second}" }} output_map {{ key: "y" value: "B" }} }}
  step {{ model_name: "c" model_version: 1
    input_map [ {{ key: "x" value: "A" }}, {{ key: "z" value: "B" }} ]
    output_map {{ key: "y" value: "Y" }} }}
}}"""


def joined(ensemble: str, a: str, b: str) -> dict[str, str | bytes]:
    return repository(ensemble, a, b) | {"c/config.pbtxt": JOIN, "c/1/model.py": SOURCE}


def nesting(name: str, step: str) -> dict[str, str | bytes]:
    """An ensemble of one step, whose tensors are named as its own."""
    text = change('"a"', f'"{step}"').partition('  step { model_name: "b"')[0] + "}"
    text = text.replace('key: "x"', f'key: "{"x" if step == "a" else "X"}"')
    text = text.replace('key: "y" value: "M"', f'key: "{"y" if step == "a" else "Y"}" value: "Y"')
    return {f"{name}/config.pbtxt": text, f"{name}/1/": ""}


@pytest.mark.parametrize(
    ("models", "circle"),
    [
        (nesting("e", "e"), {"e": "e -> e"}),
        (nesting("e", "f") | nesting("f", "e"), {"e": "e -> f -> e", "f": "f -> e -> f"}),
        (
            nesting("e", "f") | nesting("f", "g") | nesting("g", "f"),
            {"e": "f -> g -> f", "f": "f -> g -> f", "g": "g -> f -> g"},
        ),
        (nesting("e", "f") | nesting("f", "g") | nesting("g", "a"), {}),
    ],
)
def test_ensembles_that_lead_back_to_themselves(
    models: dict[str, str | bytes], circle: dict[str, str], tmp_path: Path
) -> None:
    report = judged(tmp_path, {"a/config.pbtxt": STEP, "a/1/model.py": SOURCE, **models})
    findings = [item for item in found(report) if item[0] == "error"]
    assert findings == [
        (
            "error",
            f"{name}/config.pbtxt",
            STEPS,
            f"its steps form a cycle: {path}; take one of these steps out",
        )
        for name, path in circle.items()
    ]


@pytest.mark.parametrize(
    ("ensemble", "a", "b", "refused"),
    [
        (joining("X"), STEP, STEP, False),
        (joining("X"), MANY, STEP, True),
        (joining("X"), MANY, MANY, True),
        (joining("X", step="a"), MANY, STEP, True),
        (joining("A"), MANY, STEP, False),
        (joining("A"), STEP, MANY, True),
        (joining("A"), MANY, MANY, True),
    ],
)
def test_joins_of_answers_of_different_decoupled_models(
    ensemble: str, a: str, b: str, refused: bool, tmp_path: Path
) -> None:
    findings = found(judged(tmp_path, joined(ensemble, a, b)))
    sentence = (
        "step 'c' joins answers of different decoupled models; join only the outputs of one "
        "decoupled step"
    )
    assert findings == (error(f"{STEPS}.step[2].input_map", sentence) if refused else [])


def test_outputs_of_different_decoupled_models(tmp_path: Path) -> None:
    output = 'output { name: "M" data_type: TYPE_FP32 dims: [ 4 ] }'
    sentence = (
        "the ensemble's outputs join answers of different decoupled models; join only the "
        "outputs of one decoupled step"
    )
    findings = found(judged(tmp_path / "both", repository(ENSEMBLE + output, a=MANY, b=MANY)))
    assert findings == error("output", sentence)
    assert found(judged(tmp_path / "one", repository(ENSEMBLE + output, a=MANY))) == []


def test_an_ensemble_of_a_decoupled_step_is_decoupled_itself(tmp_path: Path) -> None:
    inner = nesting("f", "a") | {"a/config.pbtxt": MANY}
    outer = joining("X", step="f").replace('key: "x" value: "X" } output_map { key: "y" value: "B"',
        'key: "X" value: "X" } output_map { key: "Y" value: "B"')  # fmt: skip
    findings = found(judged(tmp_path, joined(outer, STEP, STEP) | inner))
    assert [item[2] for item in findings if item[0] == "error"] == [f"{STEPS}.step[2].input_map"]


def test_an_ensemble_without_batches_takes_steps_that_have_them(tmp_path: Path) -> None:
    unbatched = change("max_batch_size: 8", UNBATCHED)
    assert found(judged(tmp_path / "step", repository(unbatched))) == []
    rows = unbatched.replace("[ 4 ]", "[ -1, 4 ]")
    assert found(judged(tmp_path / "rows", repository(rows))) == []
    three = unbatched.replace("[ 4 ]", "[ 3, 4 ]")
    assert found(judged(tmp_path / "three", repository(three))) == []
    other = found(judged(tmp_path / "other", repository(unbatched.replace("[ 4 ]", "[ 5 ]"))))
    assert [item[2] for item in other] == [f"{STEPS}.step[0].input_map", "output.Y"]


def test_a_step_that_cannot_be_read_is_reported_once(tmp_path: Path) -> None:
    broken = change("TYPE_FP32", "99", STEP) + "version_policy { all { } }"
    files = repository(ENSEMBLE, a=broken) | {"a/2/model.py": SOURCE}
    findings = found(judged(tmp_path, files))
    assert [item[:3] for item in findings] == [("error", "a/config.pbtxt", "input.x.data_type")]
