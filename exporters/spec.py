"""What a trained model is: the one description that every exporter takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from exporters.calling import PositionalModule, misplaced_input
from trimaran import dtypes
from trimaran.errors import TrimaranError
from trimaran.names import check_model_name
from trimaran.tensors import TensorSpec

__all__ = [
    "BATCH_AXIS",
    "DynamicAxis",
    "Interface",
    "ModelSpec",
    "PositionalModule",
    "interface_of",
]

BATCH_AXIS = "batch"
"""The name of every tensor's first axis."""

_SMALL = 64
"""A length that every module can be tried at without a thought."""

Axis = tuple[str, int, int] | tuple[str, int, int, int]


@dataclass(frozen=True)
class DynamicAxis:
    """An axis beside the batch whose length varies between `least` and `most`, by `step`.

    Every length is a multiple of `step`, for modules that halve an axis or cut it into patches.
    """

    name: str
    least: int
    most: int
    step: int = 1

    def near(self, length: int) -> int:
        """Another length than `length`: the most where that is small, or else a neighbour."""
        if length < self.most <= _SMALL:
            return self.most
        return length + self.step if length < self.most else length - self.step


@dataclass
class ModelSpec:
    """A trained model and what is needed to export, verify and serve it.

    `module` is any `nn.Module`; it is put into eval mode. `example_inputs` names the inputs, in
    the order in which a server takes them; the first axis of each is the batch, with two rows or
    more. Where every name is a parameter of `forward`, inputs are passed to it by keyword, and by
    position otherwise. `output_names` are read from the answer as `exporters.calling.read_outputs`
    says: by name from mappings and dataclasses, by order from tuples.

    `dynamic_axes` says which other axes vary: `{"tokens": {1: ("sequence", 1, 512)}}` is name,
    least and most length of axis 1; a fourth number is what lengths are multiples of.
    `samples(batch_size, seed)` gives real inputs for the parity gate; without it inputs are made
    from the examples. One with a parameter `lengths` is also asked for dynamic axes at their
    least and most: `lengths={"sequence": 512}`. `labels` names the classes along an output's
    last axis. `tolerances` replaces an output's default `(rtol, atol)`.

    Raises `TrimaranError` for a description that contradicts itself.
    """

    name: str
    module: nn.Module
    example_inputs: Mapping[str, Tensor]
    output_names: Sequence[str]
    dynamic_axes: Mapping[str, Mapping[int, Axis]] = field(default_factory=dict)
    samples: Callable[..., Mapping[str, Tensor]] | None = None
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    tolerances: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_model_name(self.name)
        self.module.eval()
        problem = self._contradiction()
        if problem:
            raise TrimaranError(f"model {self.name}: {problem}")

    @property
    def axes(self) -> dict[str, dict[int, DynamicAxis]]:
        """`dynamic_axes` by input, as `DynamicAxis`."""
        return {
            name: {axis: DynamicAxis(*item) for axis, item in axes.items()}
            for name, axes in self.dynamic_axes.items()
        }

    def positional(self) -> PositionalModule:
        """The module, in eval mode, called with tensors in the order of `example_inputs`."""
        return PositionalModule(self.module.eval(), self.output_names, tuple(self.example_inputs))

    def _contradiction(self) -> str | None:
        if not self.example_inputs:
            return "example_inputs is empty; give one tensor per input"
        if not self.output_names or isinstance(self.output_names, str):
            return f"output_names is {self.output_names!r}; give a list with each output's name"
        tensors = [*self.example_inputs, *self.output_names]
        for name in tensors:
            if not name.isidentifier():
                return f"tensor name {name!r} is not an identifier; use letters, digits and '_'"
            if tensors.count(name) > 1:
                return f"tensor name {name!r} is used twice; give each its own"
        return (
            self._input_contradiction()
            or self._axis_contradiction()
            or self._output_contradiction()
        )

    def _input_contradiction(self) -> str | None:
        batch: int | None = None
        for name, tensor in self.example_inputs.items():
            if not isinstance(tensor, Tensor):
                return f"example input {name!r} is {type(tensor).__name__}, not a torch.Tensor"
            if tensor.ndim == 0 or tensor.shape[0] < 2:
                return (
                    f"example input {name!r} has shape {list(tensor.shape)}; its first axis is "
                    "the batch and needs two rows or more"
                )
            if batch not in (None, tensor.shape[0]):
                return f"example input {name!r} has {tensor.shape[0]} rows, another {batch}"
            batch = tensor.shape[0]
            if tensor.layout != torch.strided:
                return f"example input {name!r} is sparse, which Triton cannot carry; make it dense"
            if str(tensor.dtype).removeprefix("torch.") not in _SERVED:
                return f"example input {name!r} is {tensor.dtype}, which Triton cannot carry"
        misplaced = misplaced_input(self.module, tuple(self.example_inputs))
        if misplaced:
            return (
                f"input {misplaced[0]!r} would be passed by position to forward's parameter "
                f"{misplaced[1]!r}; name every input as its parameter, or give them in that order"
            )
        return None

    def _axis_contradiction(self) -> str | None:
        axes_by_label: dict[str, tuple[int, int, int]] = {}
        for name, axes in self.dynamic_axes.items():
            if name not in self.example_inputs:
                return f"dynamic_axes names {name!r}, which is no input"
            for axis, (label, least, most, *steps) in axes.items():
                shape = list(self.example_inputs[name].shape)
                if not 0 < axis < len(shape):
                    return f"dynamic axis {axis} of {name!r} is not one of the axes of {shape}"
                if not 1 <= least <= shape[axis] <= most or least == most:
                    return (
                        f"dynamic axis {label!r} of {name!r} goes from {least} to {most}, and its "
                        f"example has {shape[axis]}; the example must lie between"
                    )
                for step in steps:
                    if step < 1 or any(n % step for n in (least, most, shape[axis])):
                        return (
                            f"dynamic axis {label!r} of {name!r} goes by {step} from {least} to "
                            f"{most}, and its example has {shape[axis]}; all must be multiples"
                        )
                if label == BATCH_AXIS or not label.isidentifier():
                    return (
                        f"dynamic axis {axis} of {name!r} is called {label!r}; take another word, "
                        f"of letters, digits and '_' ({BATCH_AXIS!r} is the first axis)"
                    )
                same = axes_by_label.setdefault(label, (least, most, shape[axis]))
                if same != (least, most, shape[axis]):
                    return (
                        f"dynamic axis {label!r} is one length but goes from {least} to {most} "
                        f"with example {shape[axis]} in {name!r}, and from {same[0]} to {same[1]} "
                        f"with example {same[2]} elsewhere; make them equal, or name two axes"
                    )
        return None

    def _output_contradiction(self) -> str | None:
        for kind, names in (("labels", self.labels), ("tolerances", self.tolerances)):
            for name in names:
                if name not in self.output_names:
                    return f"{kind} names {name!r}, which is no output"
        for name, (rtol, atol) in self.tolerances.items():
            if not (0 <= rtol < math.inf and 0 <= atol < math.inf):
                return f"tolerances of {name!r} are {(rtol, atol)}; give finite (rtol, atol) from 0"
        for name, labels in self.labels.items():
            if any("\n" in label or not label.strip() for label in labels):
                return f"labels of {name!r} hold an empty name or a line break"
        return None


_SERVED = {
    "float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool",
}  # fmt: skip


@dataclass(frozen=True)
class Interface:
    """The inputs and outputs of a model, without the batch axis."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


def interface_of(
    spec: ModelSpec, run: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]
) -> Interface:
    """The interface that `run`, the module itself, shows on the examples.

    An output's axis is -1 where its length follows a dynamic axis of an input. Raises
    `TrimaranError` where an output does not keep the batch as its first axis.
    """
    outputs = run(spec.example_inputs)
    stretched = run(stretched_inputs(spec)) if spec.dynamic_axes else outputs
    rows = next(iter(spec.example_inputs.values())).shape[0]
    axes = spec.axes
    inputs = tuple(
        TensorSpec(name, dtypes.by_torch(tensor.dtype), _dims(tensor, axes.get(name, {})))
        for name, tensor in spec.example_inputs.items()
    )
    found = []
    for name in spec.output_names:
        one, other = outputs[name], stretched[name]
        if one.ndim == 0 or one.shape[0] != rows:
            raise TrimaranError(
                f"model {spec.name}: output {name!r} has shape {list(one.shape)} for a batch of "
                f"{rows}; its first axis must be the batch"
            )
        if one.layout != torch.strided:
            raise TrimaranError(
                f"model {spec.name}: output {name!r} is sparse, which Triton cannot carry; call "
                "to_dense in forward"
            )
        if str(one.dtype).removeprefix("torch.") not in _SERVED:
            raise TrimaranError(
                f"model {spec.name}: output {name!r} is {one.dtype}, which Triton cannot carry; "
                "convert it in forward"
            )
        moving = {axis: None for axis in range(1, one.ndim) if one.shape[axis] != other.shape[axis]}
        found.append(TensorSpec(name, dtypes.by_torch(one.dtype), _dims(one, moving)))
    _check_label_counts(spec, found)
    return Interface(inputs, tuple(found))


def stretched_inputs(spec: ModelSpec) -> dict[str, Tensor]:
    """The examples with every dynamic axis at another length than it has, where it has one."""
    lengths = {
        item.name: item.near(spec.example_inputs[name].shape[axis])
        for name, axes in spec.axes.items()
        for axis, item in axes.items()
    }
    return resized_inputs(spec, lengths)


def resized_inputs(spec: ModelSpec, lengths: Mapping[str, int]) -> dict[str, Tensor]:
    """The examples with each named dynamic axis cut or repeated to a length."""
    resized = dict(spec.example_inputs)
    for name, axes in spec.axes.items():
        for axis, item in axes.items():
            if item.name in lengths:
                index = torch.arange(lengths[item.name]) % resized[name].shape[axis]
                resized[name] = resized[name].index_select(axis, index)
    return resized


def _dims(tensor: Tensor, dynamic: Mapping[int, object]) -> tuple[int, ...]:
    return tuple(-1 if axis in dynamic else tensor.shape[axis] for axis in range(1, tensor.ndim))


def _check_label_counts(spec: ModelSpec, outputs: Sequence[TensorSpec]) -> None:
    for output in outputs:
        labels = spec.labels.get(output.name)
        if labels is not None and (not output.dims or output.dims[-1] != len(labels)):
            raise TrimaranError(
                f"model {spec.name}: output {output.name!r} has dims {list(output.dims)} but "
                f"{len(labels)} labels; give one label per value of its last axis"
            )
