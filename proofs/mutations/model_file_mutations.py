"""Mutations of model files: an ONNX graph, its external weights, and a TorchScript archive."""

from __future__ import annotations

import io
import zipfile
from random import Random

import onnx
from onnx import TensorProto, helper

from proofs.mutations.repositories import Draft

__all__ = ["mutate_archive", "mutate_graph", "mutate_interface", "mutate_weights"]

_TYPES = (TensorProto.FLOAT, TensorProto.INT64, TensorProto.DOUBLE, TensorProto.FLOAT16)


def mutate_graph(rng: Random, draft: Draft) -> str:
    """Another operator, edge, version or shape inside a graph."""
    folder = draft.folders[next(iter(draft.folders))]
    model = onnx.load_model_from_string(folder.files["1/model.onnx"])
    graph = model.graph
    node = rng.choice(graph.node)
    match rng.randrange(11):
        case 0:
            node.op_type = rng.choice(["MatMull", "Relu6", "Sub", "Mul", "Tanh", ""])
            what = f"{node.name}.op_type: {node.op_type!r}"
        case 1:
            node.domain = rng.choice(["", "ai.onnx", "com.microsoft", "my.own", "ai.onnx.ml"])
            what = f"{node.name}.domain: {node.domain!r}"
        case 2:
            node.input[0] = rng.choice(["nothing", "x", "sum", "y", ""])
            what = f"{node.name}.input[0]: {node.input[0]!r}"
        case 3:
            node.output[0] = rng.choice(["nothing", "x", "sum", "y"])
            what = f"{node.name}.output[0]: {node.output[0]!r}"
        case 4:
            opset = rng.choice(model.opset_import)
            opset.version = rng.choice([0, 1, 13, 21, 22, 30, 99, 9999])
            what = f"opset of {opset.domain!r}: {opset.version}"
        case 5:
            model.ir_version = rng.choice([0, 3, 4, 8, 11, 13, 20, 99])
            what = f"ir_version: {model.ir_version}"
        case 6:
            tensor = rng.choice(graph.initializer)
            tensor.dims[0] = rng.choice([1, 2, 3, 5, 8])
            what = f"{tensor.name}.dims: {list(tensor.dims)}"
        case 7:
            tensor = rng.choice(graph.initializer)
            tensor.data_type = rng.choice(_TYPES)
            what = f"{tensor.name}.data_type: {tensor.data_type}"
        case 8:
            kind, width = rng.choice(_TYPES), rng.choice([4, 5])
            graph.value_info[0].CopyFrom(helper.make_tensor_value_info("sum", kind, ["b", width]))
            what = f"value_info of sum: {kind} [b, {width}]"
        case 9:
            attribute = rng.choice([("alpha", 1.0), ("allowzero", 1), ("axis", 0)])
            node.attribute.append(helper.make_attribute(*attribute))
            what = f"{node.name}.{attribute[0]}: {attribute[1]}"
        case _:
            graph.node.remove(node)
            what = f"without {node.name}"
    folder.files["1/model.onnx"] = model.SerializeToString()
    return what


def mutate_interface(rng: Random, draft: Draft) -> str:
    """Another type or shape of what a graph takes and gives."""
    folder = draft.folders[next(iter(draft.folders))]
    model = onnx.load_model_from_string(folder.files["1/model.onnx"])
    graph = model.graph
    kind = rng.choice(["input", "output"])
    item = getattr(graph, kind)[0]
    tensor = item.type.tensor_type
    match rng.randrange(7):
        case 0:
            tensor.elem_type = rng.choice([*_TYPES, TensorProto.BFLOAT16, 0, 99])
            what = f"elem_type {tensor.elem_type}"
        case 1:
            tensor.shape.dim[1].dim_value = rng.choice([1, 3, 5])
            what = f"width {tensor.shape.dim[1].dim_value}"
        case 2:
            tensor.shape.dim[0].dim_value = rng.choice([1, 2])
            what = f"batch {tensor.shape.dim[0].dim_value}"
        case 3:
            tensor.ClearField("shape")
            what = "without a shape"
        case 4:
            tensor.shape.dim.add(dim_value=1)
            what = "with one more axis"
        case 5:
            name = item.name
            del graph.node[-1]
            graph.node.append(helper.make_node("SequenceConstruct", ["bent"], ["y"]))
            graph.output[0].CopyFrom(
                helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)
            )
            kind, what = "output", f"{name} a sequence"
        case _:
            item.name = rng.choice(["z", "bent", "sum"])
            what = f"named {item.name}"
    folder.files["1/model.onnx"] = model.SerializeToString()
    return f"{kind} {what}"


def mutate_weights(rng: Random, draft: Draft) -> str:
    """Weights in another file that are gone, cut, or looked for elsewhere."""
    folder = draft.folders[next(iter(draft.folders))]
    files = folder.files
    model = onnx.load_model_from_string(files["1/model.onnx"])
    tensor = model.graph.initializer[0]
    entries = {item.key: item for item in tensor.external_data}
    match rng.randrange(7):
        case 0:
            del files["1/weights.bin"]
            what = "removed"
        case 1:
            files["1/weights.bin"] = files["1/weights.bin"][: rng.randrange(64)]
            what = f"cut to {len(files['1/weights.bin'])} bytes"
        case 2:
            files["1/weights.bin"] += bytes(7)
            what = "grown"
        case 3:
            entries["location"].value = rng.choice(
                ["../weights.bin", "/weights.bin", "nothing", "", "model.onnx", "./weights.bin"]
            )
            what = f"location {entries['location'].value!r}"
        case 4:
            entries["length"].value = rng.choice(["63", "65", "-1", "0", "many"])
            what = f"length {entries['length'].value}"
        case 5:
            entries["offset"].value = rng.choice(["1", "64", "-4", "many"])
            what = f"offset {entries['offset'].value}"
        case _:
            tensor.dims[:] = rng.choice([(4, 5), (16,), (4, 2), (2, 8)])
            what = f"dims {list(tensor.dims)}"
    files["1/model.onnx"] = model.SerializeToString()
    return f"weights {what}"


def mutate_archive(rng: Random, draft: Draft) -> str:
    """Another file in its place, or tensors that are not declared."""
    folder = draft.folders[next(iter(draft.folders))]
    config, files = folder.config, folder.files
    genuine = files["1/model.pt"]
    others = {
        "empty": b"",
        "a page": b"<!DOCTYPE html><html></html>",
        "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        "a pickle": b"\x80\x02}q\x00.",
        "a checkpoint": _renamed(genuine, without=("code/", "constants.pkl")),
        "a program of torch.export": _renamed(genuine, without=(), add="archive_format"),
        "an ONNX file": b"\x08\x0a",
        "cut": genuine[: rng.randrange(4, len(genuine))],
        "without its version": _renamed(genuine, without=("version",)),
        "with a byte changed": _changed(genuine, rng.randrange(len(genuine) // 2)),
    }
    which = rng.randrange(len(others) + 4)
    if which < len(others):
        name, files["1/model.pt"] = list(others.items())[which]
        return f"model.pt {name}"
    if config is None:
        return ""
    kind = rng.choice(["input", "output"])
    match which - len(others):
        case 0:
            config.ClearField(kind)
            return f"no {kind}"
        case 1:
            config.input[0].optional = True
            return "an optional input"
        case 2:
            getattr(config, kind)[0].data_type = rng.choice([2, 3, 4, 13, 14])
            return f"{kind} of type {getattr(config, kind)[0].data_type}"
        case _:
            getattr(config, kind)[0].name = rng.choice(["x", "y", "INPUT__0", "OUTPUT__0"])
            return f"{kind} named {getattr(config, kind)[0].name}"


def _renamed(archive: bytes, *, without: tuple[str, ...], add: str = "") -> bytes:
    """The archive without the entries of these names below its root, and with one more."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(target, "w") as new:
        root = old.namelist()[0].partition("/")[0]
        for name in old.namelist():
            inside = name.partition("/")[2]
            if not any(inside.startswith(start) for start in without) and not (
                add and inside.startswith("code/")
            ):
                new.writestr(name, old.read(name))
        if add:
            new.writestr(f"{root}/{add}", "pt2")
    return target.getvalue()


def _changed(archive: bytes, place: int) -> bytes:
    return archive[:place] + bytes([archive[place] ^ 0xFF]) + archive[place + 1 :]
