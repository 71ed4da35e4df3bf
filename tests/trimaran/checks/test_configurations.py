"""Each rule on a configuration: a text that breaks it, and the exact finding."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trimaran.checks.judging import SOURCE, found, judged

X = 'input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }'
Y = 'output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }'
GOOD = f'name: "m" backend: "python" max_batch_size: 8 {X} {Y} '
QUEUE = "default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 9 }"
START = "control { kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 1 ] }"
STATE = 'input_name: "s" output_name: "t" data_type: TYPE_INT32 dims: [ 1 ]'
FIRST = 'name: "i" data_type: TYPE_INT32 dims: [ 1 ]'


def warmup(value: str, batch: str = "batch_size: 1", name: str = "x") -> str:
    sample = f'inputs {{ key: "{name}" value {{ {value} }} }}'
    return f'{GOOD} model_warmup {{ name: "w" {batch} {sample} }}'


ZEROS = "data_type: TYPE_FP32 dims: [ 4 ] zero_data: true"


def sequences(body: str) -> str:
    return f"{GOOD} sequence_batching {{ {body} }}"


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD.replace('name: "m" ', ""),
        GOOD.replace('backend: "python"', ""),
        GOOD.replace("[ 4 ]", "[ 2, -1, 4 ] reshape { shape: [ 1, 2, -1, 2, 2 ] }"),
        GOOD.replace("[ 4 ]", "[ 1 ] reshape { }"),
        GOOD.replace("[ 4 ]", "[ 4, 4, 3 ] format: FORMAT_NHWC", 1),
        GOOD + "dynamic_batching { preferred_batch_size: [ 4, 8 ] }",
        GOOD + "dynamic_batching { preserve_ordering: true default_queue_policy { } }",
        GOOD + "instance_group { count: 2 kind: KIND_CPU }",
        GOOD + "response_cache { enable: true }",
        sequences(f'control_input {{ name: "S" {START} }}'),
        sequences(f"state {{ {STATE} initial_state {{ {FIRST} zero_data: true }} }}"),
        warmup(ZEROS),
    ],
)
def test_nothing_is_found_in_a_good_model(text: str, tmp_path: Path) -> None:
    report = judged(tmp_path, {"m/config.pbtxt": text, "m/1/model.py": SOURCE})
    assert found(report) == []


ERRORS = [
    (
        GOOD.replace('"m"', '"o"'),
        "name",
        "name is 'o' but the directory is 'm'; Triton wants them equal; rename one",
    ),
    (
        GOOD.replace('"x"', '""'),
        "input",
        "an input has no name; give it the name that the model knows",
    ),
    (
        GOOD.replace("data_type: TYPE_FP32", "", 1),
        "input.x.data_type",
        "tensor 'x' has no data_type; add one such as TYPE_FP32",
    ),
    (
        GOOD.replace("dims: [ 4 ]", "", 1),
        "input.x.dims",
        "tensor 'x' has empty dims; write dims: [1] and an empty reshape for a tensor of one value "
        "per row",
    ),
    (
        GOOD.replace("[ 4 ]", "[ 4, 0 ]", 1),
        "input.x.dims",
        "tensor 'x' has dims [4, 0]; use numbers above 0, or -1 for any length",
    ),
    (GOOD + X, "input.x", "input 'x' is declared twice; remove one"),
    (GOOD + Y, "output.y", "output 'y' is declared twice; remove one"),
    (
        GOOD.replace("[ 4 ]", "[ 4 ] reshape { shape: [ 2, 3 ] }", 1),
        "input.x.reshape",
        "tensor 'x' has dims [4] but a reshape to [2, 3], which holds another number of elements; "
        "give both the same number of elements, also between axes of any length",
    ),
    (
        GOOD.replace("[ 4 ]", "[ 2, -1 ] reshape { shape: [ -1, 2 ] }", 1),
        "input.x.reshape",
        "tensor 'x' has dims [2, -1] but a reshape to [-1, 2], which holds another number of "
        "elements; give both the same number of elements, also between axes of any length",
    ),
    (
        GOOD.replace("[ 4 ]", "[ 4 ] reshape { shape: [ 0 ] }", 1),
        "input.x.reshape",
        "tensor 'x' is reshaped to [0]; use numbers above 0, or -1 for any length",
    ),
    (
        GOOD.replace("max_batch_size: 8", "max_batch_size: 0").replace(
            "[ 4 ]", "[ 1 ] reshape { }", 1
        ),
        "input.x.reshape",
        "tensor 'x' has an empty reshape, which needs max_batch_size above 0; remove the reshape",
    ),
    (
        GOOD.replace("[ 4 ]", "[ 4 ] format: FORMAT_NCHW", 1),
        "input.x.format",
        "input 'x' has a format of images but 1 dims; give it 3 dims, or remove the format",
    ),
    (
        GOOD
        + 'batch_output { kind: BATCH_SCATTER_WITH_INPUT_SHAPE target_name: "y" '
        + 'target_name: "y" source_input: "x" }',
        "batch_output.y,y",
        "batch_output has the target 'y' twice; name it once",
    ),
    (
        GOOD.replace("[ 4 ]", "[ 4 ] is_shape_tensor: true", 1),
        "input.x.is_shape_tensor",
        "tensor 'x' is a shape tensor, which only TensorRT models have; remove is_shape_tensor",
    ),
    (
        GOOD.replace("8", "-1"),
        "max_batch_size",
        "max_batch_size is -1; write 0 for a model without a batch axis, or the largest batch",
    ),
    (
        GOOD + "dynamic_batching { preferred_batch_size: [ 9 ] }",
        "dynamic_batching.preferred_batch_size",
        "preferred_batch_size has 9 but max_batch_size is 8; use sizes from 1 to max_batch_size",
    ),
    (
        GOOD + "dynamic_batching { priority_levels: 2 }",
        "dynamic_batching.default_priority_level",
        "default_priority_level is 0 but there are 2 levels; use one from 1 to 2",
    ),
    (
        GOOD
        + "dynamic_batching { priority_levels: 2 default_priority_level: 1 "
        + "priority_queue_policy { key: 3 value { } } }",
        "dynamic_batching.priority_queue_policy",
        "priority_queue_policy is for level 3 but there are 2 levels; use one from 1 to 2",
    ),
    (
        GOOD
        + "dynamic_batching { priority_levels: 2 default_priority_level: 1 "
        + "preserve_ordering: true }",
        "dynamic_batching.preserve_ordering",
        "preserve_ordering is set with 2 priority levels; remove one of them",
    ),
    (
        GOOD + f"dynamic_batching {{ preserve_ordering: true {QUEUE} }}",
        "dynamic_batching.preserve_ordering",
        "preserve_ordering is set but a queue policy delays requests that time out; reject them, "
        "or remove preserve_ordering",
    ),
    (
        GOOD + "model_transaction_policy { decoupled: true } response_cache { enable: true }",
        "response_cache",
        "a decoupled model has a response cache; remove response_cache",
    ),
    (
        sequences("") + "response_cache { enable: true }",
        "response_cache",
        "a model of sequences has a response cache; remove response_cache",
    ),
    (
        GOOD + "instance_group { kind: KIND_CPU gpus: [ 0 ] }",
        "instance_group[0].gpus",
        "KIND_CPU is given gpus [0]; remove the gpus",
    ),
    (
        GOOD + 'instance_group { profile: "0" }',
        "instance_group[0].profile",
        "profile is set, which only TensorRT models have; remove it",
    ),
    (
        GOOD.replace('"python"', '"nothing"'),
        "backend",
        "backend 'nothing' is in none of NVIDIA's containers, and libtriton_nothing.so is not in "
        "the model's directory; use one of dali, fil, identity, onnxruntime, openvino, python, "
        "pytorch, repeat, square, tensorflow, tensorrt, tensorrtllm, vllm, or add the library",
    ),
    (
        GOOD.replace('backend: "python"', 'platform: "python"'),
        "platform",
        "platform 'python' is unknown; name the backend instead, such as backend: \"python\"",
    ),
    (
        GOOD + 'runtime: "model.py"',
        "runtime",
        "runtime is 'model.py', which breaks the model where the backend is another file; remove "
        "it: Triton finds its backends by name",
    ),
    (
        GOOD + 'parameters { key: "FORCE_CPU_ONLY_INPUT_TENSORS" value { string_value: "x" } }',
        "parameters.FORCE_CPU_ONLY_INPUT_TENSORS",
        "FORCE_CPU_ONLY_INPUT_TENSORS is 'x'; write yes or no",
    ),
    (
        sequences("direct { minimum_slot_utilization: 2 }"),
        "sequence_batching.direct.minimum_slot_utilization",
        "minimum_slot_utilization is 2; use a share from 0 to 1",
    ),
    (
        sequences("oldest { preferred_batch_size: [ 16 ] }"),
        "sequence_batching.oldest.preferred_batch_size",
        "preferred_batch_size has 16 but max_batch_size is 8; use sizes from 1 to max_batch_size",
    ),
    (
        sequences(f'control_input {{ name: "" {START} }}'),
        "sequence_batching.control_input",
        "a control input has no name; give it one",
    ),
    (
        sequences(f'control_input {{ name: "S" {START} {START} }}'),
        "sequence_batching.control_input",
        "CONTROL_SEQUENCE_START is declared 2 times; keep one of them",
    ),
    (
        sequences('control_input { name: "S" control { kind: CONTROL_SEQUENCE_START } }'),
        "sequence_batching.control_input.S",
        "CONTROL_SEQUENCE_START needs exactly one pair of values for false and true; write for "
        "example int32_false_true: [0, 1]",
    ),
    (
        sequences('control_input { name: "C" control { kind: CONTROL_SEQUENCE_CORRID } }'),
        "sequence_batching.control_input.C",
        "CONTROL_SEQUENCE_CORRID has the type TYPE_INVALID; use TYPE_UINT64, TYPE_INT64, "
        "TYPE_UINT32, TYPE_INT32 or TYPE_STRING",
    ),
    (
        sequences(f"state {{ {STATE} initial_state {{ {FIRST} }} }}"),
        "sequence_batching.state.s.initial_state",
        "the first value of state 's' is not given; add zero_data: true or a data_file",
    ),
    (
        sequences(f'state {{ {STATE} initial_state {{ {FIRST} data_file: "f" }} }}'),
        "sequence_batching.state.s.initial_state",
        "initial_state/f is missing; add the file to the model's directory",
    ),
    (
        sequences(
            f"state {{ {STATE} initial_state {{ {FIRST.replace('1', '2')} zero_data: true }} }}"
        ),
        "sequence_batching.state.s.initial_state",
        "the first value of state 's' has another type or shape; make data_type and dims those of "
        "the state",
    ),
    (
        warmup(ZEROS, "batch_size: 9"),
        "model_warmup.w.batch_size",
        "warm-up 'w' has 9 rows but max_batch_size is 8; lower its batch_size",
    ),
    (
        warmup(ZEROS.replace("4", "5")),
        "model_warmup.w.inputs.x.dims",
        "warm-up input 'x' has dims [5] but the model takes [4]; make them equal, without the "
        "batch axis",
    ),
    (
        warmup(ZEROS.replace("4", "-1")),
        "model_warmup.w.inputs.x.dims",
        "warm-up input 'x' has dims [-1]; give every axis a length",
    ),
    (
        warmup(ZEROS.replace("FP32", "INT32")),
        "model_warmup.w.inputs.x.data_type",
        "warm-up input 'x' is TYPE_INT32 but the model takes TYPE_FP32; make them equal",
    ),
    (
        warmup(ZEROS.replace("zero_data: true", "")),
        "model_warmup.w.inputs.x",
        "warm-up input 'x' has no data; add zero_data: true, random_data: true or an "
        "input_data_file",
    ),
    (
        warmup(ZEROS.replace("zero_data: true", 'input_data_file: "f"')),
        "model_warmup.w.inputs.x",
        "warmup/f is missing; add the file to the model's directory",
    ),
    (
        GOOD + 'model_warmup { name: "w" batch_size: 1 }',
        "model_warmup.w.inputs",
        "warm-up 'w' has no input 'x', which the model needs; add it",
    ),
    (
        GOOD + "model_metrics { }",
        "model_metrics",
        "model_metrics is not known to tritonserver 2.51, which refuses the configuration; remove "
        "it, or serve with a newer tritonserver",
    ),
    (
        GOOD
        + 'batch_input { kind: BATCH_ELEMENT_COUNT target_name: "b" data_type: TYPE_INT64 '
        + 'source_input: "x" }',
        "batch_input.b.data_type",
        "batch_input is TYPE_INT64; make it TYPE_INT32 or TYPE_FP32",
    ),
    (
        GOOD
        + 'batch_output { kind: BATCH_SCATTER_WITH_INPUT_SHAPE target_name: "y" '
        + 'source_input: "q" }',
        "batch_output.y",
        "source input 'q' is not a declared tensor; name one of x",
    ),
]


@pytest.mark.parametrize(("text", "field", "sentence"), ERRORS)
def test_what_triton_refuses_is_an_error(
    text: str, field: str, sentence: str, tmp_path: Path
) -> None:
    report = judged(tmp_path, {"m/config.pbtxt": text, "m/1/model.py": SOURCE})
    assert found(report) == [("error", "m/config.pbtxt", field, sentence)]


WARNINGS = [
    (
        GOOD.replace("max_batch_size: 8", ""),
        "max_batch_size",
        "inputs are given without max_batch_size, so each is the full shape of one request; set "
        "max_batch_size to 0 if that is intended, or to the largest batch",
    ),
    (
        GOOD.replace("8", "0") + "dynamic_batching { max_queue_delay_microseconds: 100 }",
        "dynamic_batching",
        "there is a delay of 100 µs but max_batch_size is 0, so no batches are formed; set "
        "max_batch_size, or remove dynamic_batching",
    ),
    (
        GOOD.replace("8", "1") + "dynamic_batching { max_queue_delay_microseconds: 100 }",
        "dynamic_batching.max_queue_delay_microseconds",
        "there is a delay of 100 µs but max_batch_size is 1; raise max_batch_size, or remove the "
        "delay",
    ),
    (
        GOOD + "instance_group { kind: KIND_GPU }",
        "instance_group[0].kind",
        "KIND_GPU is refused by a host without a GPU; leave the kind out, and Triton takes a GPU "
        "where there is one",
    ),
    (
        GOOD + "instance_group { gpus: [ 0 ] }",
        "instance_group[0].gpus",
        "gpus [0] are named, so a host without them refuses the model; leave them out unless "
        "every host has them",
    ),
    (
        warmup(ZEROS, ""),
        "model_warmup.w.batch_size",
        "warm-up 'w' has no batch_size, so it is skipped; write batch_size: 1",
    ),
    (
        warmup(ZEROS).replace(
            "inputs {", f'inputs {{ key: "z" value {{ {ZEROS} }} }} inputs {{', 1
        ),
        "model_warmup.w.inputs.z",
        "warm-up 'w' has an input 'z', which the model does not have; remove it",
    ),
]


@pytest.mark.parametrize(("text", "field", "sentence"), WARNINGS)
def test_what_is_regretted_later_is_a_warning(
    text: str, field: str, sentence: str, tmp_path: Path
) -> None:
    report = judged(tmp_path, {"m/config.pbtxt": text, "m/1/model.py": SOURCE})
    assert found(report) == [("warning", "m/config.pbtxt", field, sentence)]
