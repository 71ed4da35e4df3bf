"""What torch captures for one length only, captured for every length.

Recurrent layers stay single operators: torch writes them out step by step otherwise, for as many
steps as the example has. It swaps the kernel for that, and keeps using the one that it called last,
so the kernels that it remembers are cleared on both sides. Functions that take lengths as plain
numbers are replaced by others that give the same values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._C import DispatchKey
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from exporters.torch_state import changed, without

__all__ = ["RECURRENT", "of_any_length"]

_ATEN = torch.ops.aten
RECURRENT = (
    _ATEN.gru.input,
    _ATEN.lstm.input,
    _ATEN.rnn_tanh.input,
    _ATEN.rnn_relu.input,
)
_PACKED = (_ATEN.gru.data, _ATEN.lstm.data, _ATEN.rnn_tanh.data, _ATEN.rnn_relu.data)


@contextmanager
def of_any_length() -> Iterator[None]:
    """Capture modules within the block so that lengths that vary stay lengths."""
    with _recurrent_layers_whole(), _Functions():
        yield


@contextmanager
def _recurrent_layers_whole() -> Iterator[None]:
    # Torch imports these only where they are needed.
    from torch._decomp import meta_table
    from torch._subclasses.fake_impls import op_implementations_checks
    from torch.export.exported_program import _override_composite_implicit_decomp

    # What computes shapes comes first, so that another capture inside of this one keeps it.
    shapes = (RECURRENT.__contains__, _shapes_within)
    _forget()
    op_implementations_checks.insert(0, shapes)
    try:
        with ExitStack() as changes:
            # An operator of this table is not written out for tensors without numbers.
            changes.enter_context(changed(meta_table, dict.fromkeys(RECURRENT, _shapes)))
            for operator in RECURRENT:
                changes.enter_context(without(operator.py_kernels, (DispatchKey.Autograd,)))
            changes.enter_context(
                _override_composite_implicit_decomp(dict.fromkeys(RECURRENT, _not_in_steps))
            )
            yield
    finally:
        op_implementations_checks.remove(shapes)
        _forget()


def _not_in_steps(*_: Any, **__: Any) -> Any:
    return NotImplemented


def _shapes_within(mode: FakeTensorMode, operator: OpOverload, *args: Any, **kwargs: Any) -> Any:
    with mode:
        if operator is not _ATEN.lstm.input:
            return _shapes(*args, **kwargs)
        x, (hidden, cell), *options = args
        return *_shapes(x, hidden, *options), cell.new_empty(cell.shape)


def _shapes(
    x: Tensor,
    hx: Tensor,
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, ...]:
    """Of the outputs of every step, and of the last hidden state."""
    features = hx.shape[2] * (2 if bidirectional else 1)
    rows, steps = x.shape[:2] if batch_first else (x.shape[1], x.shape[0])
    outputs = x.new_empty((steps, rows, features))
    return outputs.transpose(0, 1) if batch_first else outputs, hx.new_empty(hx.shape)


def _forget() -> None:
    for operator in (*RECURRENT, *_PACKED):
        operator._dispatch_cache.clear()


class _Functions(TorchFunctionMode):
    """Calls what `_EQUALS` has in place of a function."""

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return _EQUALS.get(func, func)(*args, **(kwargs or {}))


def _max_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    kernel, step, edge, spread = (
        (first, *given) if isinstance(given, Sequence) else (first, given)
        for given, first in (
            (kernel_size, 1),
            (stride or kernel_size, 1),
            (padding, 0),
            (dilation, 1),
        )
    )
    values, places = _ATEN.max_pool2d_with_indices(
        input.unsqueeze(-2), kernel, step, edge, spread, ceil_mode
    )
    return (values.squeeze(-2), places.squeeze(-2)) if return_indices else values.squeeze(-2)


def _linspace(start: Any, end: Any, steps: Any, **options: Any) -> Tensor:
    options.setdefault("dtype", torch.get_default_dtype())
    if not isinstance(steps, torch.SymInt) or not options["dtype"].is_floating_point:
        return torch.linspace(start, end, steps, **options)
    count: Any = steps
    at = torch.arange(count, **options)
    step = (end - start) / torch.sym_max(steps - 1, 1)
    return torch.where(at < count / 2, start + step * at, end - step * (count - 1 - at))


def _affine_grid(theta: Tensor, size: Sequence[Any], align_corners: bool | None = None) -> Tensor:
    rows, _, *lengths = size
    options = {"dtype": theta.dtype, "device": theta.device}
    lines = [
        _linspace(-1, 1, length, **options)
        * (torch.sym_min(length - 1, 1) if align_corners else (length - 1) / length)
        for length in lengths
    ]
    places = torch.meshgrid(*lines, indexing="ij")
    base = torch.stack([*reversed(places), torch.ones_like(places[0])], -1)
    grid = base.reshape(1, -1, len(lengths) + 1) @ theta.transpose(1, 2)
    return grid.reshape(rows, *lengths, len(lengths))


def _take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    if dim is None:
        return input.flatten().gather(0, indices.flatten())
    shape = list(torch.broadcast_shapes(input.shape, indices.shape))
    at = dim % input.dim()
    source = input.expand(*shape[:at], input.shape[at], *shape[at + 1 :])
    return source.gather(at, indices.expand(*shape[:at], indices.shape[at], *shape[at + 1 :]))


_EQUALS: Mapping[Any, Callable[..., Any]] = {
    torch.max_pool1d: _max_pool1d,
    functional.max_pool1d: _max_pool1d,
    torch.take_along_dim: _take_along_dim,
    Tensor.take_along_dim: _take_along_dim,
    torch.linspace: _linspace,
    torch.affine_grid_generator: _affine_grid,
    functional.affine_grid: _affine_grid,
}
"""Functions whose lengths torch takes as plain numbers, and what gives the same values."""
