"""A configuration as a Python model completes it, and where the two contradict each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trimaran.checks.finding import Problems, error
from trimaran.checks.python_source import Addition, Completion
from trimaran.repository.config import ModelConfig
from trimaran.repository.dtypes import describe_shape
from trimaran.repository.protocol import protocol

__all__ = ["check_completion", "complete_from_source"]

_PROPERTIES = {
    "input": ("name", "data_type", "dims", "optional"),
    "output": ("name", "data_type", "dims"),
}
_REQUIRED = ("name", "data_type", "dims")


def complete_from_source(config: ModelConfig, completion: Completion) -> ModelConfig:
    """The configuration with what the source adds to it, as far as the source shows."""
    whole = ModelConfig()
    whole.CopyFrom(config)
    for kind, field in (("input", whole.input), ("output", whole.output)):
        declared = {item.name: item for item in field}
        for name, value in completion.tensors(kind).items():
            if not _is_tensor(value):
                continue
            item = declared[name] if name in declared else field.add(name=name)
            if item.data_type == protocol.TYPE_INVALID:
                item.data_type = protocol.DataType.Value(value["data_type"])
            if not item.dims:
                item.dims.extend(value["dims"])
            if kind == "input" and value.get("optional"):
                item.optional = True
    for addition in completion.additions:
        if addition.what == "set_max_batch_size" and isinstance(addition.value, int):
            whole.max_batch_size = max(whole.max_batch_size, addition.value)
        policy = addition.value if addition.what == "set_model_transaction_policy" else None
        if isinstance(policy, dict) and policy.get("decoupled") is True:
            whole.model_transaction_policy.decoupled = True
    return whole


def check_completion(config: ModelConfig, completion: Completion, where: str) -> Problems:
    """What Triton's `ModelConfig` refuses in calls that are made each time; `where` is the file."""
    if not completion.returns:
        yield error(
            "",
            f"{where}: auto_complete_config returns nothing",
            "return the configuration that it was given",
            where,
        )
    for addition in completion.additions:
        if not addition.always:
            continue
        if addition.what in _PROPERTIES:
            for said, remedy in _tensor(config, addition):
                yield error("", f"{where}: auto_complete_config {said}", remedy, where)
        else:
            for said, remedy in _setting(config, addition):
                yield error("", f"{where}: auto_complete_config {said}", remedy, where)


def _tensor(config: ModelConfig, addition: Addition) -> list[tuple[str, str]]:
    kind, value = addition.what, addition.value
    if not isinstance(value, dict):
        return [(f"adds {value!r} as an {kind}", "give it a dictionary")]
    name = value.get("name")
    missing = [key for key in _REQUIRED if key not in value]
    extra = [key for key in value if key not in _PROPERTIES[kind]]
    if missing:
        return [(f"adds {kind} {name!r} without {missing[0]}", f"add {missing[0]}")]
    if extra:
        return [(f"adds {kind} {name!r} with {extra[0]!r}", "write that into config.pbtxt")]
    given = {item.name: item for item in getattr(config, kind)}.get(str(name))
    if given is None or not _is_tensor(value):
        return []
    problems = []
    dtype = protocol.DataType.Name(given.data_type)
    if given.data_type != protocol.TYPE_INVALID and dtype != value["data_type"]:
        problems.append(
            (f"makes {kind} {name!r} {value['data_type']} but config.pbtxt has {dtype}",)
        )
    elif given.dims and list(given.dims) != list(value["dims"]):
        problems.append(
            (
                f"makes {kind} {name!r} {describe_shape(value['dims'])} but config.pbtxt has "
                f"{describe_shape(given.dims)}",
            )
        )
    return [(said, "make them equal") for (said,) in problems]


def _setting(config: ModelConfig, addition: Addition) -> list[tuple[str, str]]:
    what, value = addition.what, addition.value
    if what == "set_max_batch_size" and isinstance(value, int) and value < config.max_batch_size:
        return [
            (
                f"sets max_batch_size to {value} but config.pbtxt has {config.max_batch_size}",
                "lower the one in config.pbtxt",
            )
        ]
    if what == "set_dynamic_batching" and config.HasField("sequence_batching"):
        return [("sets dynamic_batching but config.pbtxt has sequence_batching", "remove one")]
    if what == "set_model_transaction_policy" and isinstance(value, dict):
        extra = [key for key in value if key != "decoupled"]
        if extra:
            return [(f"sets a transaction policy with {extra[0]!r}", "give it decoupled alone")]
        given = config.HasField("model_transaction_policy")
        decoupled = config.model_transaction_policy.decoupled
        if given and "decoupled" in value and bool(value["decoupled"]) != decoupled:
            return [
                (
                    f"sets decoupled to {value['decoupled']} but config.pbtxt has {decoupled}",
                    "make them equal",
                )
            ]
    return []


def _is_tensor(value: Mapping[str, Any]) -> bool:
    dims = value.get("dims")
    return (
        value.get("data_type") in protocol.DataType.keys()  # noqa: SIM118 - no dictionary
        and isinstance(dims, list | tuple)
        and all(isinstance(dim, int) and abs(dim) < 2**63 for dim in dims)
    )
