"""Mutations of a package of AOTInductor, and of the configuration that it is served with."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from random import Random

from google.protobuf import text_format

from proofs.mutations.repositories import Draft, torchscript
from trimaran.repository.config import ModelConfig

__all__ = ["mutate_configuration", "mutate_package"]

_FILE = "1/model.pt2"
_CODE = "data/aotinductor/model/"
_ELF = b"\x7fELF"

_FACTS: tuple[Mapping[str, str], ...] = (
    {"TRIMARAN_TORCH": "2.5.1"},
    {"AOTI_DEVICE_KEY": "cuda", "AOTI_COMPUTE_CAPABILITY": "10"},
    {"AOTI_DEVICE_KEY": "tpu"},
    {"AOTI_MACHINE": "mips"},
    {"AOTI_CPU_ISA": "SVE256", "TRIMARAN_INSTRUCTIONS": "sve sve2"},
    {"AOTI_CPU_ISA": ""},
)
_ADDED: tuple[Mapping[str, bytes], ...] = (
    {"data/weights/more.so": _ELF},
    {f"{_CODE}more.so": _ELF},
    {f"{_CODE}note": _ELF},
    {"extra/note": _ELF},
    {"extra/note": b"text"},
    {"../../note": b"text"},
)
_INPUTS = ("x", "INPUT__1", "ARGS[0]", "ARGS[1]", "ARGS[0][a]", "KWARGSx", "INPUT__00")
_OUTPUTS = ("y", "OUTPUT__1", "RESULT", "RESULT[0]", "RESULT[1]", "INPUT__0")
_START = (
    'control_input { name: "START__1" '
    "control { kind: CONTROL_SEQUENCE_START fp32_false_true: [ 0, 1 ] } }"
)
_ENDINGS = (".wrapper.so", ".wrapper.cpp", "_metadata.json", "archive_format")


def mutate_package(rng: Random, draft: Draft) -> str:
    """Another file in its place, for another machine, with more or fewer entries, or damaged."""
    (folder,) = draft.folders.values()
    genuine = folder.files[_FILE]
    match rng.randrange(5):
        case 0:
            facts = rng.choice(_FACTS)
            content, what = _changed(genuine, _with_facts(facts)), f"for {dict(facts)}"
        case 1:
            added = rng.choice(_ADDED)
            content, what = _changed(genuine, lambda name, held: held, added), f"with {[*added]}"
        case 2:
            end = rng.choice(_ENDINGS)
            content = _changed(genuine, lambda name, held: None if name.endswith(end) else held)
            what = f"without {end}"
        case 3:
            place = rng.randrange(len(genuine))
            content = genuine[:place] + bytes([genuine[place] ^ 0xFF]) + genuine[place + 1 :]
            what = "with a byte changed"
        case _:
            others = {
                "empty": b"",
                "cut": genuine[: rng.randrange(4, len(genuine))],
                "a page": b"<!DOCTYPE html><html></html>",
                "TorchScript": torchscript(),
                "with text for its library": _changed(
                    genuine, lambda name, held: b"text" if name.endswith(".so") else held
                ),
                "of another call": _changed(
                    genuine, lambda name, held: held.replace(b"builtins.tuple", b"builtins.tuplf")
                ),
            }
            what, content = rng.choice(list(others.items()))
    folder.files[_FILE] = content
    return f"model.pt2 {what}"


def mutate_configuration(rng: Random, draft: Draft) -> str:
    """Another platform, file name, device, or names and numbers of tensors."""
    (folder,) = draft.folders.values()
    config = folder.config or ModelConfig()
    match rng.randrange(6):
        case 0:
            config.platform = rng.choice(["", "pytorch_libtorch", "onnxruntime_onnx"])
            return f"platform {config.platform!r}"
        case 1:
            folder.files["1/model.pt"] = rng.choice([torchscript(), folder.files.pop(_FILE)])
            config.default_model_filename = rng.choice(["", "model.pt"])
            return f"a file model.pt, and default_model_filename {config.default_model_filename!r}"
        case 2:
            config.input[0].name = rng.choice(_INPUTS)
            return f"input {config.input[0].name}"
        case 3:
            config.output[0].name = rng.choice(_OUTPUTS)
            return f"output {config.output[0].name}"
        case 4:
            item = rng.choice([config.input, config.output])[0]
            item.data_type = rng.choice([1, 2, 3, 4, 8, 9, 10, 13, 14])
            return f"{item.name} of type {item.data_type}"
        case _:
            tensor = "data_type: TYPE_FP32 dims: [ 8 ]"
            text = rng.choice(
                [
                    "instance_group { kind: KIND_GPU }",
                    "instance_group { kind: KIND_MODEL }",
                    "instance_group { kind: KIND_CPU count: 2 }",
                    f'input {{ name: "INPUT__1" {tensor} }}',
                    f'input {{ name: "ARGS[0]" {tensor} }}',
                    f'output {{ name: "RESULT[0]" {tensor} }}',
                    "sequence_batching { }",
                    f"sequence_batching {{ {_START} }}",
                    'parameters { key: "INFERENCE_MODE" value { string_value: "maybe" } }',
                ]
            )
            text_format.Merge(text, config)
            return f"+ {text}"


def _with_facts(facts: Mapping[str, str]) -> Callable[[str, bytes], bytes]:
    def change(name: str, held: bytes) -> bytes:
        if not name.endswith("_metadata.json"):
            return held
        return json.dumps({**json.loads(held), **facts}).encode()

    return change


def _changed(
    package: bytes,
    change: Callable[[str, bytes], bytes | None],
    added: Mapping[str, bytes] | None = None,
) -> bytes:
    """The package with each entry as `change` gives it, without it for `None`, and with more."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as old, zipfile.ZipFile(target, "w") as new:
        names = old.namelist()
        for name in names:
            held = change(name, old.read(name))
            if held is not None:
                new.writestr(name, held)
        for name, content in (added or {}).items():
            new.writestr(f"{names[0].partition('/')[0]}/{name}", content)
    return target.getvalue()
