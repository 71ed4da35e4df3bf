"""TorchScript by tracing, or by scripting where a trace does not compute the same."""

from __future__ import annotations

import hashlib
import pickletools
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import torch

from exporters.exporter import Exporter, ExportError, one_sentence, quiet
from exporters.parity import Arrays, Run
from exporters.spec import Interface, ModelSpec, PositionalModule
from trimaran import target

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
        """First a trace; then the module's own source, scripted."""
        reasons = []
        for way, capture in (("trace", _trace), ("script", _script)):
            try:
                with quiet():
                    _save(capture(spec), path)
            except Exception as error:
                reasons.append(f"{way}: {one_sentence(error)}")
                continue
            yield way
        if len(reasons) == 2:
            raise ExportError(f"model {spec.name} cannot be exported to TorchScript: {reasons[0]}")

    def load(self, path: Path, interface: Interface) -> Run:
        """TorchScript on the CPU, called by position as Triton does."""
        with quiet():
            module = torch.jit.load(path, map_location="cpu")
        inputs = [spec.name for spec in interface.inputs]
        outputs = [spec.name for spec in interface.outputs]

        def run(arrays: Arrays) -> Arrays:
            with quiet():
                result = module(*(torch.tensor(arrays[name]) for name in inputs))
            if isinstance(result, torch.Tensor):
                result = (result,)
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
        version = int(reader.get_record("version").decode())
        if version > target.TORCHSCRIPT_FILE_VERSION:
            raise ExportError(
                f"the TorchScript file has format {version}; container {target.CONTAINER} reads "
                f"{target.TORCHSCRIPT_FILE_VERSION} at most"
            )
        return {"container": target.CONTAINER, "file_version": version}

    def digest(self, path: Path) -> str:
        """A digest of the graph, the attributes, and the bytes of every tensor.

        Torch names classes after the module they came from, and numbers classes and values by what
        else the process did before, so that two equal modules give different bytes; without class
        names, and with values counted afresh, they do not.
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
    module = PositionalModule(spec.module, spec.output_names)
    return torch.jit.trace(module, tuple(spec.example_inputs.values()), check_trace=False)


def _script(spec: ModelSpec) -> torch.jit.ScriptModule:
    return torch.jit.script(spec.module)


_DEBUG_RECORDS = re.compile(r".*\.debug_pkl|traced_inputs.*|version|byteorder|\.data/.*")


def _save(module: torch.jit.ScriptModule, path: Path) -> None:
    """Write the archive without source paths and without the inputs it was traced with.

    The writer adds version, byte order and the serialization id of its own accord, and names the
    archive after the file.
    """
    whole = path.with_suffix(".whole")
    try:
        torch.jit.save(module, str(whole))
        reader = torch._C.PyTorchFileReader(str(whole))
        writer = torch._C.PyTorchFileWriter(str(path))
        for name in reader.get_all_records():
            if not _DEBUG_RECORDS.fullmatch(name):
                record = reader.get_record(name)
                writer.write_record(name, record, len(record))
        writer.write_end_of_file()
    finally:
        whole.unlink(missing_ok=True)


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
