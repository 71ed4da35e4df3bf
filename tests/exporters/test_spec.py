"""What a trained model is said to be, and the interface that it shows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from exporters.original import run_original
from exporters.spec import DynamicAxis, ModelSpec, PositionalModule
from tests import models
from trimaran.system.errors import TrimaranError

X = torch.zeros(2, 8)


CONTRADICTIONS: list[tuple[dict[str, Any], str, str]] = [
    ({"name": "1a"}, "cannot name a model"),
    ({"example_inputs": {}}, "example_inputs is empty"),
    ({"output_names": []}, "output_names is []; give a list"),
    ({"output_names": "logits"}, "output_names is 'logits'; give a list"),
    ({"output_names": ["a b"]}, "tensor name 'a b' is not an identifier"),
    ({"output_names": ["y", "y"]}, "tensor name 'y' is used twice"),
    ({"output_names": ["x"]}, "tensor name 'x' is used twice"),
    ({"example_inputs": {"x": [1.0]}}, "'x' is list, not a torch.Tensor"),
    ({"example_inputs": {"x": X, "z": X.numpy()}}, "'z' is ndarray, not a torch.Tensor"),
    ({"example_inputs": {"x": torch.zeros(())}}, "shape []", "two rows or more"),
    ({"example_inputs": {"x": torch.zeros(1, 8)}}, "shape [1, 8]", "two rows or more"),
    ({"example_inputs": {"x": X, "z": torch.zeros(3)}}, "'z' has 3 rows, another 2"),
    ({"example_inputs": {"x": X.to(torch.complex64)}}, "complex64, which Triton cannot"),
    ({"dynamic_axes": {"z": {1: ("n", 1, 9)}}}, "dynamic_axes names 'z', which is no input"),
    ({"dynamic_axes": {"x": {0: ("n", 1, 9)}}}, "axis 0 of 'x' is not one of the axes"),
    ({"dynamic_axes": {"x": {2: ("n", 1, 9)}}}, "axis 2 of 'x' is not one of the axes"),
    ({"dynamic_axes": {"x": {1: ("n", 9, 12)}}}, "goes from 9 to 12", "has 8"),
    ({"dynamic_axes": {"x": {1: ("n", 8, 8)}}}, "goes from 8 to 8"),
    ({"dynamic_axes": {"x": {1: ("n", 0, 9)}}}, "goes from 0 to 9"),
    ({"dynamic_axes": {"x": {1: ("batch", 1, 9)}}}, "called 'batch'; choose another name"),
    ({"dynamic_axes": {"x": {1: ("a b", 1, 9)}}}, "called 'a b'; choose another name"),
    ({"dynamic_axes": {"x": {1: ("n", 4, 16, 3)}}}, "goes by 3 from 4 to 16", "multiples"),
    ({"dynamic_axes": {"x": {1: ("n", 4, 16, 0)}}}, "goes by 0 from 4 to 16", "multiples"),
    ({"example_inputs": {"x": X.to_sparse()}}, "'x' is sparse, which Triton cannot carry"),
    (
        {
            "example_inputs": {"x": X, "z": X},
            "dynamic_axes": {"x": {1: ("n", 1, 9)}, "z": {1: ("n", 1, 16)}},
        },
        "'n' is one length but goes from 1 to 16",
        "from 1 to 9",
    ),
    ({"labels": {"z": ["a"]}}, "labels names 'z', which is no output"),
    ({"labels": {"y": ["a", ""]}}, "labels of 'y' hold an empty name or a line break"),
    ({"labels": {"y": ["a\nb"]}}, "labels of 'y' hold an empty name or a line break"),
    ({"tolerances": {"z": (0, 0)}}, "tolerances names 'z', which is no output"),
    ({"tolerances": {"y": (float("nan"), 0)}}, "tolerances of 'y' are (nan, 0)"),
    ({"tolerances": {"y": (0, float("inf"))}}, "tolerances of 'y' are (0, inf)"),
    ({"tolerances": {"y": (-1, 0)}}, "tolerances of 'y' are (-1, 0)"),
]


@pytest.mark.parametrize("changed_and_said", CONTRADICTIONS, ids=lambda row: row[1])
def test_a_description_that_contradicts_itself_is_refused(
    changed_and_said: tuple[dict[str, Any], *tuple[str, ...]],
) -> None:
    changed, *said = changed_and_said
    given = {
        "name": "m",
        "module": models.Linear(),
        "example_inputs": {"x": X},
        "output_names": ["y"],
    }
    with pytest.raises(TrimaranError) as refused:
        ModelSpec(**{**given, **changed})
    assert "\n" not in str(refused.value)
    for part in said:
        assert part in str(refused.value)


class Answers(nn.Module):
    """Answers whatever `answer` makes of the input."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: Tensor) -> Any:
        return self.answer(x)


def interface(answer: Any, *outputs: str, **changed: Any) -> list[str]:
    """The outputs that are found, as text."""
    spec = ModelSpec(
        "m", Answers(answer), **{"example_inputs": {"x": X}, **changed}, output_names=outputs
    )
    return [str(output) for output in run_original(spec, 4).interface.outputs]


@pytest.mark.parametrize(
    ("answer", "outputs"),
    [
        (lambda x: x, ["y FP32 [8]"]),
        (lambda x: (x.double(), x.sum(1)), ["a FP64 [8]", "b FP32 []"]),
        (lambda x: [x > 0, x[:, None]], ["a BOOL [8]", "b FP32 [1, 8]"]),
        (lambda x: {"b": x.int(), "a": x.half()}, ["a FP16 [8]", "b INT32 [8]"]),
    ],
)
def test_outputs_are_found_by_running_the_module(answer: Any, outputs: list[str]) -> None:
    assert interface(answer, *(item.split()[0] for item in outputs)) == outputs


def test_an_output_follows_the_axes_that_vary() -> None:
    axes = {"x": {1: ("n", 1, 16)}}
    found = interface(lambda x: (x, x[:, :1], x[:, :, None]), "a", "b", "c", dynamic_axes=axes)
    assert found == ["a FP32 [-1]", "b FP32 [1]", "c FP32 [-1, 1]"]


@pytest.mark.parametrize(
    ("answer", "outputs", "said"),
    [
        (lambda x: x.sum(), ["y"], "output 'y' has shape [] for a batch of 2"),
        (lambda x: (x, x.sum()), ["y", "z"], "'z' has shape [] for a batch of 2; its first axis"),
        (lambda x: (x, 1.5), ["y", "z"], "answers 1 tensors, output_names has 2; name each tensor"),
        (lambda x: x[:1], ["y"], "output 'y' has shape [1, 8] for a batch of 2"),
        (lambda x: x.to_sparse(), ["y"], "'y' is sparse, which Triton cannot"),
        (lambda x: torch.nested.as_nested_tensor(list(x)), ["y"], "'y' is a nested tensor"),
        (lambda x: x.double() if len(x) > 3 else x, ["y"], "float32 [2, 8] for one batch and"),
        (lambda x: x.T, ["y"], "output 'y' has shape [8, 2] for a batch of 2"),
        (lambda x: x.to(torch.complex64), ["y"], "'y' is torch.complex64, which Triton cannot"),
        (lambda x: x.bfloat16(), ["y"], "'y' is torch.bfloat16, which Triton cannot"),
        (lambda x: (x, x), ["y"], "answers 2 tensors, output_names has 1"),
        (lambda x: x, ["y", "z"], "answers 1 tensors, output_names has 2"),
        (lambda x: {"z": x}, ["y"], "model m: the module answers 'z', and not 'y'"),
        (lambda x: x.reshape(2, 4, 2), ["y"], "fails in PyTorch on its own inputs"),
        (lambda x: None, ["y"], "answers NoneType; answer a tensor"),
        (lambda x: 1 // 0, ["y"], "ZeroDivisionError"),
    ],
)
def test_a_module_that_cannot_be_served_is_refused(
    answer: Any, outputs: list[str], said: str
) -> None:
    with pytest.raises(TrimaranError) as refused:
        interface(answer, *outputs)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("count", [7, 9])
def test_labels_must_be_as_many_as_values(count: int) -> None:
    labels = [str(index) for index in range(count)]
    with pytest.raises(TrimaranError, match=rf"dims \[8\] but {count} labels"):
        interface(lambda x: x, "y", labels={"y": labels})


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (lambda: torch.jit.script(models.Linear()), "is a torch.jit.ScriptModule"),
        (lambda: models.Linear, "module is type, not a torch.nn.Module"),
    ],
)
def test_what_is_no_module_of_python_is_refused(module: Any, said: str) -> None:
    with pytest.raises(TrimaranError, match=said):
        ModelSpec("m", module(), {"x": X}, ["y"])


def test_a_compiled_module_is_what_it_was_compiled_from() -> None:
    module = models.Linear()
    assert ModelSpec("m", torch.compile(module), {"x": X}, ["y"]).module is module


def test_examples_are_plain_tensors() -> None:
    given = {
        "x": nn.Parameter(torch.randn(2, 8)),
        "y": torch.randn(2, 8, dtype=torch.complex64).conj().imag,
    }
    spec = ModelSpec("m", Answers(lambda x: x), given, ["z"])
    for name, tensor in spec.example_inputs.items():
        assert type(tensor) is Tensor
        assert not tensor.requires_grad
        assert not tensor.is_neg()
        assert torch.equal(tensor, given[name])
    assert given["x"].requires_grad


def test_a_module_is_put_into_eval_mode() -> None:
    module = nn.Dropout(0.5).train()
    ModelSpec("m", module, {"x": X}, ["y"])
    assert not module.training


def test_axes_are_read_by_name() -> None:
    assert models.tokens().axes == {
        "tokens": {1: DynamicAxis("sequence", 1, 64)},
        "mask": {1: DynamicAxis("sequence", 1, 64)},
    }


def test_a_positional_module_answers_in_the_order_of_the_names() -> None:
    module = PositionalModule(Answers(lambda x: {"b": x + 1, "a": x}), ["a", "b"])
    one, other = module(X)
    assert (one == X).all()
    assert (other == X + 1).all()
