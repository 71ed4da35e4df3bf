"""TorchScript by tracing, or by scripting where a trace computes something else."""

from __future__ import annotations

import hashlib
import operator
import pickletools
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import fx

from exporters.calling import takes_by_name
from exporters.formats.causes import explain
from exporters.formats.clean_process import load_torchscript, start
from exporters.formats.exporter import Exporter, ExportError
from exporters.formats.program import captured_program, script_program
from exporters.formats.value_reads import value_read
from exporters.parity import Arrays, Run
from exporters.spec import Interface, ModelSpec
from exporters.torch_state import quiet
from trimaran.repository import target

__all__ = ["TorchScriptExporter"]


class TorchScriptExporter(Exporter):
    """`model.pt` for Triton's `pytorch` backend.

    That backend takes tensors by position and wants it in their names, so the input `image` is
    served as `image__0` and the output `logits` as `logits__0`.
    """

    format = "torchscript"
    backend = "pytorch"
    file_name = "model.pt"
    libraries = ("torch",)

    def captures(self, spec: ModelSpec, path: Path) -> Iterator[str]:
        """A trace; the graph of `torch.export`, scripted; the module's own source, scripted.

        A trace is left out where `forward` reads a tensor's values, which it would make constants
        of: the parity gate cannot try every value.
        """
        start()
        reasons: dict[str, str] = {}
        with quiet():
            read = value_read(spec)
        if read is not None:
            reasons["trace"] = (
                f"forward reads a tensor's values at {read}, which a trace makes constants of; "
                "write it with torch.where or torch.cond, or so that torch.jit.script can read it"
            )
        for way, capture in _WAYS.items():
            if way in reasons:
                continue
            try:
                with quiet():
                    _save(capture(spec), path)
            except Exception as error:
                reasons[way] = explain(error, spec.module)
                continue
            yield way
        if len(reasons) == len(_WAYS):
            raise ExportError(
                f"model {spec.name} cannot be exported to TorchScript: {reasons['trace']}"
            )

    def load(self, path: Path, interface: Interface) -> Run:
        """TorchScript on the CPU in a separate process, called by position as Triton does."""
        return load_torchscript(
            path, [s.name for s in interface.inputs], [s.name for s in interface.outputs]
        )

    def load_here(self, path: Path, interface: Interface) -> Run:
        """The same in this process."""
        with quiet():
            module = torch.jit.load(path, map_location="cpu")
        inputs = [spec.name for spec in interface.inputs]
        outputs = [spec.name for spec in interface.outputs]

        def run(arrays: Arrays) -> Arrays:
            with quiet():
                result = module(*(torch.tensor(arrays[name]) for name in inputs))
            result = result if isinstance(result, tuple) else (result,)
            return {n: t.numpy() for n, t in zip(outputs, result, strict=True)}

        return run

    def served(self, interface: Interface) -> Interface:
        """Names with their positions."""
        return Interface(
            tuple(replace(s, name=f"{s.name}__{i}") for i, s in enumerate(interface.inputs)),
            tuple(replace(s, name=f"{s.name}__{i}") for i, s in enumerate(interface.outputs)),
        )

    def target(self, path: Path) -> Mapping[str, str | int]:
        """The archive's file format version."""
        reader = torch._C.PyTorchFileReader(str(path))
        version = _file_version(reader)
        if version > target.TORCHSCRIPT_FILE_VERSION:
            raise ExportError(
                f"the TorchScript file has format {version}; container {target.CONTAINER} reads "
                f"{target.TORCHSCRIPT_FILE_VERSION} at most"
            )
        return {"container": target.CONTAINER, "file_version": version}

    def digest(self, path: Path) -> str:
        """A digest of the graph, the attributes, and the bytes of every tensor.

        Torch names classes after their Python module, and numbers classes and values by what
        the process did before, so that two equal modules give different bytes; without class
        names, and with renumbered values, they give equal bytes.
        """
        with quiet():
            graph = torch.jit.load(path, map_location="cpu").inlined_graph
        digest = hashlib.sha256(_canonical_graph(str(graph)).encode())
        reader = torch._C.PyTorchFileReader(str(path))
        for name in sorted(reader.get_all_records()):
            if name.endswith(".pkl"):
                digest.update(_canonical_pickle(reader.get_record(name)).encode())
            elif name.startswith(("data/", "constants/")):
                digest.update(f"{name}\n".encode())
                digest.update(reader.get_record(name))
        return digest.hexdigest()


def _trace(spec: ModelSpec) -> torch.jit.ScriptModule:
    return torch.jit.trace(
        spec.positional(), tuple(spec.example_inputs.values()), check_trace=False
    )


def _graph(spec: ModelSpec) -> torch.jit.ScriptModule:
    return script_program(captured_program(spec))


def _script(spec: ModelSpec) -> torch.jit.ScriptModule:
    """The module's own source, behind a `forward` that takes the inputs and nothing else."""
    scripted: Any = torch.jit.script(spec.module)
    graph, names = fx.Graph(), list(spec.example_inputs)
    inputs = [graph.placeholder(f"input_{name}") for name in names]
    by_name = takes_by_name(spec.module, names)
    answer = graph.call_module(
        "module",
        () if by_name else tuple(inputs),
        dict(zip(names, inputs, strict=True)) if by_name else {},
    )
    if str(scripted.forward.schema.returns[0].type).startswith("Dict"):
        graph.output(
            tuple(graph.call_function(operator.getitem, (answer, n)) for n in spec.output_names)
        )
    else:
        graph.output(answer)
    return torch.jit.script(fx.GraphModule({"module": scripted}, graph))


_WAYS = {"trace": _trace, "graph": _graph, "script": _script}

_DEBUG_RECORDS = re.compile(r".*\.debug_pkl|traced_inputs.*|version|byteorder|\.data/.*")


def _save(module: torch.jit.ScriptModule, path: Path) -> None:
    """Write the archive without source paths and without the inputs it was traced with.

    Leaves no file where it cannot be read back. The writer adds byte order and the serialization id
    by itself, and names the archive after the file.
    """
    whole = path.with_suffix(".whole")
    try:
        torch.jit.save(module, str(whole))
        reader = torch._C.PyTorchFileReader(str(whole))
        writer = torch._C.PyTorchFileWriter(str(path))
        # The meaning of operators depends on it; without it they are read as version 3.
        writer.set_min_version(_file_version(reader))
        for name in reader.get_all_records():
            if not _DEBUG_RECORDS.fullmatch(name):
                record = reader.get_record(name)
                writer.write_record(name, record, len(record))
        writer.write_end_of_file()
        torch.jit.load(path, map_location="cpu")  # some traces can be written and not read
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        whole.unlink(missing_ok=True)


def _file_version(reader: Any) -> int:
    """The file format, which lies at one of two places."""
    name = "version" if reader.has_record("version") else ".data/version"
    return int(reader.get_record(name).decode())


def _canonical_graph(graph: str) -> str:
    text = re.sub(r" # \S+:\d+:\d+$", "", graph, flags=re.MULTILINE)
    text = re.sub(r"__torch__\.[\w.]+", "__torch__", text)
    numbers: dict[str, str] = {}
    return re.sub(r"%[\w.]+", lambda m: numbers.setdefault(m[0], f"%{len(numbers)}"), text)


def _canonical_pickle(record: bytes) -> str:
    """The opcodes of a pickle with their arguments, but for the names of scripted classes."""
    return "\n".join(
        f"{opcode.name} {'__torch__' if str(argument).startswith('__torch__') else argument!r}"
        for opcode, argument, _ in pickletools.genops(record)
    )
