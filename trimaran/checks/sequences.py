"""Rules for sequence batching: strategies, controls, and states with their first values."""

from __future__ import annotations

from collections import Counter

from trimaran.checks.finding import Problems, error
from trimaran.checks.scheduling import preferred_sizes
from trimaran.repository.config import ModelConfig
from trimaran.repository.protocol import protocol

__all__ = ["check_sequences"]

_Control = protocol.ModelSequenceBatching.Control
_CORRELATION_TYPES = frozenset(
    {
        protocol.TYPE_UINT64,
        protocol.TYPE_INT64,
        protocol.TYPE_UINT32,
        protocol.TYPE_INT32,
        protocol.TYPE_STRING,
    }
)


def check_sequences(config: ModelConfig, files: frozenset[str] | None = None) -> Problems:
    """Sequence batching; `files` are those of the model's directory, if they are known."""
    if not config.HasField("sequence_batching"):
        return
    batching = config.sequence_batching
    if batching.HasField("oldest"):
        yield from preferred_sizes(
            config, "sequence_batching.oldest", batching.oldest.preferred_batch_size
        )
    utilization = batching.direct.minimum_slot_utilization
    if not 0.0 <= utilization <= 1.0:
        yield error(
            "sequence_batching.direct.minimum_slot_utilization",
            f"minimum_slot_utilization is {utilization:g}",
            "use a share from 0 to 1",
        )
    yield from _controls(batching)
    for state in batching.state:
        if state.initial_state:
            yield from _initial_state(state, files)


def _controls(batching: protocol.ModelSequenceBatching) -> Problems:
    field = "sequence_batching.control_input"
    names = Counter(item.name for item in batching.control_input)
    kinds = Counter(control.kind for item in batching.control_input for control in item.control)
    for name, count in names.items():
        if not name:
            yield error(field, "a control input has no name", "give it one")
        elif count > 1:
            yield error(field, f"control input {name!r} is declared twice", "remove one")
    for kind, count in kinds.items():
        if count > 1:
            yield error(
                field, f"{_Control.Kind.Name(kind)} is declared {count} times", "keep one of them"
            )
    for item in batching.control_input:
        for control in item.control:
            yield from _control(f"{field}.{item.name}", control)


def _control(field: str, control: protocol.ModelSequenceBatching.Control) -> Problems:
    kind = _Control.Kind.Name(control.kind)
    values = [
        pair
        for pair in (control.int32_false_true, control.fp32_false_true, control.bool_false_true)
        if len(pair)
    ]
    if control.kind == _Control.CONTROL_SEQUENCE_CORRID:
        if values:
            yield error(field, f"{kind} has values for false and true", "remove them")
        if control.data_type not in _CORRELATION_TYPES:
            yield error(
                field,
                f"{kind} has the type {protocol.DataType.Name(control.data_type)}",
                "use TYPE_UINT64, TYPE_INT64, TYPE_UINT32, TYPE_INT32 or TYPE_STRING",
            )
        return
    if len(values) != 1 or len(values[0]) != 2:
        yield error(
            field,
            f"{kind} needs exactly one pair of values for false and true",
            "write for example int32_false_true: [0, 1]",
        )
    if control.data_type != protocol.TYPE_INVALID:
        yield error(field, f"{kind} has a data_type", "remove it: the values have a type")


def _initial_state(
    state: protocol.ModelSequenceBatching.State, files: frozenset[str] | None
) -> Problems:
    field = f"sequence_batching.state.{state.input_name}.initial_state"
    for initial in state.initial_state:
        if not initial.name:
            yield error(
                field, f"the first value of state {state.input_name!r} has no name", "add one"
            )
        if (
            initial.data_type != state.data_type
            or len(initial.dims) != len(state.dims)
            or any(
                -1 not in (a, b) and a != b for a, b in zip(initial.dims, state.dims, strict=False)
            )
        ):
            yield error(
                field,
                f"the first value of state {state.input_name!r} has another type or shape",
                "make data_type and dims those of the state",
            )
        given = initial.WhichOneof("state_data")
        if given is None:
            yield error(
                field,
                f"the first value of state {state.input_name!r} is not given",
                "add zero_data: true or a data_file",
            )
        path = f"initial_state/{initial.data_file}"
        if given == "data_file" and files is not None and path not in files:
            yield error(
                field,
                f"{path} is missing",
                "add the file to the model's directory",
            )
