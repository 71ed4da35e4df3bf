"""`config.pbtxt`: what is written is read back, and mistakes are one sentence."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimaran.checks.raising import check_config
from trimaran.repository.config import (
    ModelConfig,
    UnknownNumberError,
    add_tensors,
    format_config,
    inputs_of,
    interface_difference,
    is_complete,
    is_ensemble,
    outputs_of,
    parse_config,
    read_config,
    write_config,
)
from trimaran.repository.dtypes import DTYPES, TensorSpec
from trimaran.system.errors import ConfigError

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ['"', "'", '\\"', "\n", "\r", "\x00", "#", "ünï", "🚢", "{ }", "a: b"]
)
NUMBERS = st.integers(1, 2**31 - 1)
DIMS = st.lists(st.just(-1) | st.integers(1, 2**62), min_size=1, max_size=4).map(tuple)
MAPS = st.dictionaries(TEXTS, TEXTS, max_size=3)


def tensors(optional: st.SearchStrategy[bool]) -> st.SearchStrategy[list[TensorSpec]]:
    spec = st.builds(
        TensorSpec,
        name=TEXTS,
        dtype=st.sampled_from(DTYPES),
        dims=DIMS,
        reshape=st.none() | DIMS | st.just(()),
        optional=optional,
    )
    return st.lists(spec, max_size=3)


INPUTS = tensors(st.booleans())
OUTPUTS = tensors(st.just(False))


@st.composite
def configs(draw: st.DrawFn) -> ModelConfig:
    """Configurations with anything in them that this project, or a person, may write."""
    config = ModelConfig(
        name=draw(TEXTS),
        backend=draw(TEXTS),
        platform=draw(TEXTS),
        default_model_filename=draw(TEXTS),
        max_batch_size=draw(NUMBERS | st.just(0)),
        metric_tags=draw(MAPS),
    )
    add_tensors(config, draw(INPUTS), draw(OUTPUTS))
    for key, value in draw(MAPS).items():
        config.parameters[key].string_value = value
    for _ in range(draw(st.integers(0, 2))):
        config.instance_group.add(
            name=draw(TEXTS), count=draw(NUMBERS), kind=draw(st.integers(0, 3)), gpus=[0, 1]
        )
    match draw(st.sampled_from(["latest", "all", "specific", "none"])):
        case "latest":
            config.version_policy.latest.num_versions = draw(NUMBERS)
        case "all":
            config.version_policy.all.SetInParent()
        case "specific":
            config.version_policy.specific.versions.extend(draw(st.lists(NUMBERS, max_size=3)))
    match draw(st.sampled_from(["ensemble", "batching", "none"])):
        case "ensemble":
            for _ in range(draw(st.integers(0, 3))):
                config.ensemble_scheduling.step.add(
                    model_name=draw(TEXTS),
                    model_version=draw(NUMBERS | st.just(-1)),
                    input_map=draw(MAPS),
                    output_map=draw(MAPS),
                )
        case "batching":
            config.dynamic_batching.preferred_batch_size.extend([4, 8])
            config.dynamic_batching.max_queue_delay_microseconds = draw(NUMBERS)
    return config


@given(configs())
def test_what_is_formatted_is_read_back(config: ModelConfig) -> None:
    assert parse_config(format_config(config), "a test") == config


@given(configs())
def test_what_is_written_to_a_file_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, config: ModelConfig
) -> None:
    path = tmp_path_factory.getbasetemp() / "written" / "config.pbtxt"
    write_config(path, config)
    assert read_config(path) == config
    assert format_config(read_config(path)) == path.read_text(encoding="utf-8")


@given(INPUTS, OUTPUTS)
def test_declared_tensors_are_read_back(
    inputs: list[TensorSpec], outputs: list[TensorSpec]
) -> None:
    config = ModelConfig()
    add_tensors(config, inputs, outputs)
    assert inputs_of(config) == inputs
    assert outputs_of(config) == outputs


def test_a_tensor_without_axes_is_one_value_with_an_empty_reshape() -> None:
    config = ModelConfig(name="m", max_batch_size=4)
    add_tensors(config, [TensorSpec("x", DTYPES[0], ())], [])
    assert inputs_of(config) == [TensorSpec("x", DTYPES[0], (1,), ())]
    check_config(config, "m", "here")


@given(st.text() | configs().map(format_config), st.integers(0, 400), st.text(max_size=3))
def test_any_text_is_read_or_refused_with_line_and_column(
    text: str, place: int, inserted: str
) -> None:
    broken = text[:place] + inserted + text[place + 1 :]
    refused = ""
    try:
        parse_config(broken, "here.pbtxt")
    except ConfigError as error:
        refused = str(error)
    sentence = r"here\.pbtxt: not a Triton model configuration: line \d+, column \d+: \S.*"
    assert not refused or re.fullmatch(sentence, refused)


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ('name: "m"\nmax_batch: 3\n', "line 2, column 1", "max_batch"),
        ('name: "m"\ninput [\n  { dims: [ x ] }\n]', "line 3, column 13", "x"),
        ('name: "\\xff"', "line 1", "utf-8"),
        ("max_batch_size: 99999999999", "line 1, column 17", "out of range"),
        ("input [", "line 1, column 8", "{"),
    ],
)
def test_a_syntax_error_says_where(text: str, place: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "config.pbtxt"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        read_config(path)
    assert str(path) in str(refused.value)
    assert place in str(refused.value)
    assert reason in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.pbtxt: cannot be read"):
        read_config(tmp_path / "missing.pbtxt")
    (tmp_path / "directory.pbtxt").mkdir()
    with pytest.raises(ConfigError, match=r"directory\.pbtxt: is a directory; "):
        read_config(tmp_path / "directory.pbtxt")
    (tmp_path / "link.pbtxt").symlink_to("nowhere")
    with pytest.raises(
        ConfigError, match=r"link\.pbtxt: is a link to nowhere, which does not exist"
    ):
        read_config(tmp_path / "link.pbtxt")
    os.mkfifo(tmp_path / "pipe.pbtxt")
    with pytest.raises(ConfigError, match=r"pipe\.pbtxt: is not a regular file; "):
        read_config(tmp_path / "pipe.pbtxt")


@pytest.mark.parametrize(
    ("text", "field", "found"),
    [
        (
            'input { name: "x" data_type: 99 }',
            "input.x.data_type",
            "data_type 99 is none of Triton's types",
        ),
        (
            "output { data_type: -3 }",
            "output[0].data_type",
            "data_type -3 is none of Triton's types",
        ),
        ('input { name: "x" format: 7 }', "input.x.format", "format 7 is none of FORMAT_NONE, "),
        ("instance_group { kind: 9 }", "instance_group[0].kind", "kind 9 is none of KIND_AUTO, "),
        ("optimization { priority: 9 }", "optimization.priority", "priority 9 is none of "),
        (
            "dynamic_batching { priority_queue_policy { key: 2 value { timeout_action: 5 } } }",
            "dynamic_batching.priority_queue_policy.2.timeout_action",
            "timeout_action 5 is none of REJECT, DELAY",
        ),
        (
            'model_warmup { name: "w" inputs { key: "x" value { data_type: 99 } } }',
            "model_warmup.w.inputs.x.data_type",
            "data_type 99 is none",
        ),
        (
            'sequence_batching { control_input { name: "S" control { kind: 8 } } }',
            "sequence_batching.control_input.S.control[0].kind",
            "kind 8 is none of CONTROL_SEQUENCE_START, ",
        ),
        ("batch_input { data_type: 99 }", "batch_input[0].data_type", "data_type 99 is none"),
        ("batch_output { kind: 5 }", "batch_output[0].kind", "kind 5 is none of "),
    ],
)
def test_a_number_that_names_nothing_is_reported(text: str, field: str, found: str) -> None:
    with pytest.raises(UnknownNumberError) as refused:
        parse_config(text, "here")
    assert refused.value.numbers[0][0] == field
    assert refused.value.numbers[0][1].startswith(found)
    assert str(refused.value).startswith(f"here: {field}: {found}")


def test_a_number_that_names_something_is_its_name() -> None:
    assert parse_config("instance_group { kind: 2 }", "here").instance_group[0].kind == 2


def test_a_tensor_that_the_model_completes_is_reported_where_its_type_is_needed() -> None:
    config = parse_config('backend: "python" output { name: "y" }', "here")
    assert not is_complete(config)
    with pytest.raises(ConfigError, match=r"tensor 'y' has no data_type or no dims"):
        outputs_of(config)


GOOD = """
name: "m" backend: "onnxruntime" max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [ 3, -1 ] }
output { name: "y" data_type: TYPE_FP32 dims: [ 1 ] reshape { } }
instance_group { count: 2 }
"""
ENSEMBLE = """
name: "m" platform: "ensemble" max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [ 3 ] }
output { name: "y" data_type: TYPE_FP32 dims: [ 3 ] }
ensemble_scheduling { step {
  model_name: "s" model_version: -1
  input_map { key: "a" value: "x" } output_map { key: "b" value: "y" } } }
"""


@pytest.mark.parametrize("text", [GOOD, ENSEMBLE, GOOD.replace('name: "m" ', "", 1), ""])
def test_a_good_configuration_passes(text: str) -> None:
    check_config(parse_config(text, "here"), "m", "here")


def test_an_ensemble_is_known_by_its_steps_or_its_platform() -> None:
    assert is_ensemble(parse_config(ENSEMBLE, "here"))
    assert is_ensemble(parse_config(ENSEMBLE.replace('platform: "ensemble"', ""), "here"))
    assert is_ensemble(parse_config('platform: "ensemble"', "here"))
    assert not is_ensemble(parse_config(GOOD, "here"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace('"m"', '"other"'), ["name is 'other'", "directory is 'm'", "rename one"]),
        (GOOD.replace("dims: [ 3, -1 ]", ""), ["tensor 'x' has empty dims", "dims: [1]"]),
        (GOOD.replace("3, -1", "3, 0"), ["tensor 'x' has dims [3, 0]"]),
        (GOOD.replace("3, -1", "3, -2"), ["tensor 'x' has dims [3, -2]"]),
        (GOOD.replace("data_type: TYPE_FP32", "", 1), ["tensor 'x' has no data_type"]),
        (
            GOOD + 'input { name: "x" data_type: TYPE_FP32 dims: [ 3 ] }',
            ["input 'x' is declared twice"],
        ),
        (
            GOOD + 'output { name: "y" data_type: TYPE_FP32 dims: [ 3 ] }',
            ["output 'y' is declared twice"],
        ),
        (GOOD.replace("max_batch_size: 8", ""), ["tensor 'y' has an empty reshape", "above 0"]),
        (ENSEMBLE + "instance_group { count: 1 }", ["an ensemble takes no instance_group"]),
        (ENSEMBLE + "optimization { }", ["an ensemble takes no optimization"]),
        (ENSEMBLE + 'model_warmup { name: "w" }', ["an ensemble takes no model_warmup"]),
        (ENSEMBLE + 'backend: "python"', ["an ensemble takes no backend"]),
        (
            ENSEMBLE.replace("dims: [ 3 ]", "dims: [ 3 ] reshape { shape: [ 1, 3 ] }", 1),
            ["ensemble tensor 'x' has a reshape", "step's model"],
        ),
        ('name: "m" platform: "ensemble"', ["needs at least one step"]),
    ],
)
def test_what_triton_would_refuse_is_refused_in_one_sentence(text: str, said: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        check_config(parse_config(text, "here"), "m", "m/config.pbtxt")
    message = str(refused.value)
    assert message.startswith("m/config.pbtxt: ")
    assert "\n" not in message
    for part in said:
        assert part in message


def test_an_ensemble_with_batching_of_its_own_is_refused_as_it_is_read() -> None:
    with pytest.raises(ConfigError, match=r"line 8, column 1: .*dynamic_batching"):
        parse_config(ENSEMBLE + "dynamic_batching { }", "here")


@pytest.mark.parametrize(
    ("existing", "wanted", "said"),
    [
        (GOOD, GOOD, None),
        (GOOD, GOOD.replace("max_batch_size: 8", "max_batch_size: 64"), None),
        (GOOD.replace("count: 2", "count: 1") + "dynamic_batching { }", GOOD, None),
        ('name: "m" max_batch_size: 8', GOOD, None),
        (GOOD, GOOD.replace("3, -1", "4, -1"), ["input 'x'", "FP32 [3, -1]", "FP32 [4, -1]"]),
        (GOOD, GOOD.replace("TYPE_FP32", "TYPE_FP16", 1), ["'x'", "FP32 [3, -1]", "FP16 [3, -1]"]),
        (GOOD, GOOD.replace("reshape { }", ""), ["'y'", "FP32 [1] reshaped to [],", "FP32 [1]"]),
        (GOOD, GOOD.replace('"x"', '"z"'), ["input 'x' is only in config.pbtxt"]),
        (
            GOOD,
            GOOD + 'input { name: "a" data_type: TYPE_FP32 dims: [ 3 ] }',
            ["input 'a' is only in the artifact"],
        ),
        (
            GOOD.replace("[ 1 ] reshape { }", "[ 1 ]").replace("max_batch_size: 8", ""),
            GOOD.replace("[ 1 ] reshape { }", "[ 1 ]"),
            ["max_batch_size: config.pbtxt has 0", "a batch axis"],
        ),
    ],
)
def test_an_interface_differs_with_both_values(
    existing: str, wanted: str, said: list[str] | None
) -> None:
    found = interface_difference(parse_config(existing, "a"), parse_config(wanted, "b"))
    if said is None:
        assert found is None
    else:
        assert found is not None
        for part in said:
            assert part in found
