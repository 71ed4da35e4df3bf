"""`ModelSpec`, the description of a trained model that every exporter takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from exporters.calling import PositionalModule, misplaced_input
from trimaran.repository import dtypes
from trimaran.repository.dtypes import TensorSpec
from trimaran.repository.repository import check_model_name
from trimaran.system.errors import TrimaranError

__all__ = [
    "BATCH_AXIS",
    "DynamicAxis",
    "Interface",
    "ModelSpec",
    "PositionalModule",
    "interface_of",
    "on_its_device",
    "require_served",
    "resized",
    "resized_inputs",
]

BATCH_AXIS = "batch"
"""The name of every tensor's first axis."""

_CPU = torch.device("cpu")

Axis = tuple[str, int, int] | tuple[str, int, int, int]


@dataclass(frozen=True)
class DynamicAxis:
    """An axis other than the batch whose length varies between `least` and `most`, by `step`.

    Every length is a multiple of `step`, for modules that halve an axis or cut it into patches.
    """

    name: str
    least: int
    most: int
    step: int = 1

    @property
    def lengths(self) -> range:
        """Every length that the axis may have."""
        return range(self.least, self.most + 1, self.step)


@dataclass
class ModelSpec:
    """A trained model and what is needed to export, verify and serve it.

    `module` is any `nn.Module`; it is put into eval mode. `example_inputs` names the inputs, in
    the order in which a server takes them; the first axis of each is the batch, with two rows or
    more. Where every name is a parameter of `forward`, inputs are passed to it by keyword, and by
    position otherwise. `output_names` are read from the answer as `exporters.calling.read_outputs`
    says: by name from mappings and dataclasses, by order from tuples.

    A module on a GPU is moved to the CPU, where its artifacts are captured, and for the answers
    that they are compared with back to its `device` (`on_its_device`). Examples are kept as plain
    tensors on the CPU, without a gradient or a pending conjugation or negation.

    `dynamic_axes` says which other axes vary: `{"tokens": {1: ("sequence", 1, 512)}}` is name,
    least and most length of axis 1; a fourth number is what lengths are multiples of.
    `samples(batch_size, seed)` gives real inputs for the parity gate; without it inputs are made
    from the examples (`exporters.drawing`). One with a parameter `lengths` is also asked for other
    lengths of dynamic axes: `lengths={"sequence": 512}`. `labels` names the classes along an
    output's last axis. `tolerances` replaces an output's default tolerance by `(rtol, atol)`, both
    absolute: `|a - e| <= atol + rtol * |e|`. `max_batch_size` is the most rows in a batch of a
    model's first configuration, where the export is not asked for another number.

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
    max_batch_size: int = 32
    device: torch.device = field(init=False, default=_CPU)

    def __post_init__(self) -> None:
        check_model_name(self.name)
        # torch.compile's wrapper cannot be inspected, and computes what the original computes.
        self.module = getattr(self.module, "_orig_mod", self.module)
        problem = _foreign_module(self.module)
        if not problem:
            self.module.eval()
            self.device = _device_of(self.module)
            self.module.to(_CPU)
            self.example_inputs = {
                name: _plain(tensor) for name, tensor in self.example_inputs.items()
            }
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
                return f"tensor name {name!r} is used twice; give each another name"
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
                        f"example has {shape[axis]}; the example must be between"
                    )
                for step in steps:
                    if step < 1 or any(n % step for n in (least, most, shape[axis])):
                        return (
                            f"dynamic axis {label!r} of {name!r} goes by {step} from {least} to "
                            f"{most}, and its example has {shape[axis]}; all must be multiples"
                        )
                if label == BATCH_AXIS or not label.isidentifier():
                    return (
                        f"dynamic axis {axis} of {name!r} is called {label!r}; choose another "
                        f"name, of letters, digits and '_' ({BATCH_AXIS!r} is the first axis)"
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


def _foreign_module(module: object) -> str | None:
    if isinstance(module, torch.jit.ScriptModule):
        return (
            "module is a torch.jit.ScriptModule, which is compiled already; give the nn.Module it "
            "was made from, or take its saved file in with 'trimaran add'"
        )
    if not isinstance(module, nn.Module):
        return f"module is {type(module).__name__}, not a torch.nn.Module; give the trained module"
    return None


def _plain(value: Tensor) -> Tensor:
    """The same numbers without a gradient or a pending conjugation or negation."""
    if not isinstance(value, Tensor) or value.layout != torch.strided:
        return value
    return value.detach().cpu().as_subclass(Tensor).resolve_conj().resolve_neg()


def _device_of(module: nn.Module) -> torch.device:
    """The GPU that holds the module's weights, or the CPU."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_cuda:
            return tensor.device
    return _CPU


_SERVED = {
    "float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool",
}  # fmt: skip


@dataclass(frozen=True)
class Interface:
    """The inputs and outputs of a model, without the batch axis."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@contextmanager
def on_its_device(spec: ModelSpec) -> Iterator[None]:
    """The module on the device that it was given on, in full FP32.

    Convolutions on a GPU would use TF32 otherwise, which keeps 10 bits of 23.
    """
    if spec.device == _CPU:
        yield
        return
    tf32 = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    spec.module.to(spec.device)
    try:
        yield
    finally:
        spec.module.to(_CPU)
        torch.backends.cudnn.allow_tf32 = tf32


def interface_of(
    spec: ModelSpec,
    answers: Sequence[Mapping[str, Tensor]],
    open_axes: Mapping[str, frozenset[int]],
) -> Interface:
    """The interface that the module shows in its answers.

    An output's axis is -1 where its length differs between two answers, and where it is among
    `open_axes`, which follow a length as `torch` computes them. Raises `TrimaranError` where an
    output has several ranks or types.
    """
    axes = spec.axes
    inputs = tuple(
        TensorSpec(name, dtypes.by_torch(tensor.dtype), _dims(tensor.shape, axes.get(name, {})))
        for name, tensor in spec.example_inputs.items()
    )
    found = []
    for name in spec.output_names:
        first = answers[0][name]
        for answer in answers:
            if answer[name].ndim != first.ndim or answer[name].dtype != first.dtype:
                raise TrimaranError(
                    f"model {spec.name}: output {name!r} is {_described(first)} for one batch and "
                    f"{_described(answer[name])} for another; answer one rank and type always"
                )
        moving = {
            axis
            for axis in range(1, first.ndim)
            if axis in open_axes.get(name, ())
            or any(answer[name].shape[axis] != first.shape[axis] for answer in answers)
        }
        found.append(TensorSpec(name, dtypes.by_torch(first.dtype), _dims(first.shape, moving)))
    _check_label_counts(spec, found)
    return Interface(inputs, tuple(found))


def require_served(spec: ModelSpec, name: str, answer: Tensor, rows: int) -> None:
    """Raise `TrimaranError` for an answer to `rows` rows that Triton could not carry."""
    what = f"model {spec.name}: output {name!r}"
    if answer.is_nested:
        raise TrimaranError(
            f"{what} is a nested tensor, which Triton cannot carry; call to_padded_tensor in "
            "forward"
        )
    if answer.ndim == 0 or answer.shape[0] != rows:
        remedy = "give it one value per row in forward, or leave it out in a module that wraps this"
        if rows == 1:
            remedy = "keep it in a batch of one too, where squeeze() without an axis drops it"
        raise TrimaranError(
            f"{what} has shape {list(answer.shape)} for a batch of {rows}; its first axis must be "
            f"the batch, so {remedy}"
        )
    if answer.layout != torch.strided:
        raise TrimaranError(
            f"{what} is sparse, which Triton cannot carry; call to_dense in forward"
        )
    if str(answer.dtype).removeprefix("torch.") not in _SERVED:
        raise TrimaranError(
            f"{what} is {answer.dtype}, which Triton cannot carry; convert it in forward"
        )


def _described(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def resized_inputs(spec: ModelSpec, lengths: Mapping[str, int]) -> dict[str, Tensor]:
    """The examples with each named dynamic axis cut or repeated to a length."""
    return resized(spec, spec.example_inputs, lengths)


def resized(
    spec: ModelSpec, inputs: Mapping[str, Tensor], lengths: Mapping[str, int]
) -> dict[str, Tensor]:
    """Inputs with each named axis, the batch too, cut or repeated to a length."""
    found = dict(inputs)
    for name, tensor in found.items():
        labels = {0: BATCH_AXIS, **{axis: a.name for axis, a in spec.axes.get(name, {}).items()}}
        for axis, label in labels.items():
            if label in lengths and tensor.shape[axis] != lengths[label]:
                index = torch.arange(lengths[label]) % tensor.shape[axis]
                tensor = tensor.index_select(axis, index)
        found[name] = tensor
    return found


def _dims(shape: Sequence[int], dynamic: Collection[int]) -> tuple[int, ...]:
    return tuple(-1 if axis in dynamic else shape[axis] for axis in range(1, len(shape)))


def _check_label_counts(spec: ModelSpec, outputs: Sequence[TensorSpec]) -> None:
    for output in outputs:
        labels = spec.labels.get(output.name)
        if labels is not None and (not output.dims or output.dims[-1] != len(labels)):
            raise TrimaranError(
                f"model {spec.name}: output {output.name!r} has dims {list(output.dims)} but "
                f"{len(labels)} labels; give one label per value of its last axis"
            )
