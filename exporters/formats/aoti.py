"""AOTInductor: the program of `torch.export`, compiled to native code in one package, `model.pt2`.

A package fits the torch, the device and the processor that it was made with, so it is made where it
is served. Two compilations of one program differ in paths and in the names of files, so the digest
is taken over what goes in: the graph with its weights, the compiler and the machine. The same
digest finds a package that was compiled before; the last ones are kept in trimaran's cache.

Triton takes the names of inputs and outputs from their places in a package's call: `INPUT__0`,
`OUTPUT__0` (`src/pt2/model_instance_state.cc` of triton-inference-server/pytorch_backend).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

from exporters.any_length import RECURRENT, of_any_length
from exporters.formats.causes import explain
from exporters.formats.clean_process import load_package, start
from exporters.formats.exporter import Exporter, ExportError
from exporters.formats.index_checks import with_checked_indices
from exporters.formats.program import captured_program, export_program
from exporters.parity import Arrays, Run
from exporters.spec import Interface, ModelSpec
from exporters.torch_state import (
    changed,
    quiet,
    silent_torch,
    without,
)
from trimaran.repository import target
from trimaran.repository.config import DEVICE_KINDS, ModelConfig
from trimaran.repository.model_files.aoti_package import (
    COMPILER,
    INSTRUCTIONS,
    TORCH,
    made_with,
    open_package,
    read_package,
    this_machine,
)
from trimaran.system.compiler import Compiler, find_compiler
from trimaran.system.downloads import cache_directory
from trimaran.system.errors import TrimaranError
from trimaran.system.files import one_word

__all__ = [
    "DEVICES",
    "KEPT_PACKAGES",
    "AotiExporter",
    "calling",
    "compile_reason",
    "forget_oldest",
    "program_digest",
]

DEVICES = ("auto", "cpu", "cuda")
"""What a package is compiled for; `auto` takes a GPU if there is one, as Triton does."""

KEPT_PACKAGES = 32
"""How many compiled packages the cache holds."""

_OPTIONS: Mapping[str, Any] = {
    # Code for all of this machine's cores, that uses as many as its server allows.
    "cpp.dynamic_threads": True,
    # A check of inputs, where it is asked for, would refuse a batch of one row.
    "aot_inductor.check_lowerbound": False,
}
_COMPLAINT = re.compile(r"error|ld: cannot|undefined reference", re.IGNORECASE)
_COMPILER_REMEDY = (
    "install one, as by 'apt-get install g++', or name one in the environment variable CXX, or "
    "use --format onnx"
)


class AotiExporter(Exporter):
    """`model.pt2` for Triton's `pytorch` backend, with the platform `torch_aoti`."""

    format = "aoti"
    backend = "pytorch"
    platform = "torch_aoti"
    file_name = "model.pt2"
    libraries = ("torch",)
    stage = "capturing and compiling"

    def __init__(self, device: str = "auto") -> None:
        found = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = found if device == "auto" else device
        self._content = ""

    def require(self) -> None:
        """Raise `ExportError` where there is no C++ compiler, or not the device."""
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ExportError(
                "the format aoti cannot be compiled for cuda, since torch finds no GPU here; "
                "export on the machine that will serve it, or use --device cpu"
            )
        _compiler()

    def captures(self, spec: ModelSpec, path: Path) -> Iterator[str]:
        """One way: `torch.export`, whose graph is compiled."""
        start()
        try:
            with quiet(), silent_torch():
                program = _captured(spec, self.device)
        except Exception as error:
            raise ExportError(
                f"model {spec.name} cannot be captured by torch.export: "
                f"{explain(error, spec.module)}"
            ) from error
        compiler = _compiler()
        facts = self._facts(compiler)
        self._content = program_digest(program, facts)
        kept = _kept("packages") / f"{self._content}.pt2"
        if kept.is_file():
            kept.touch()
        else:
            try:
                _compile(program, facts, compiler, kept)
            except Exception as error:
                raise ExportError(
                    f"model {spec.name} cannot be compiled by AOTInductor: "
                    f"{compile_reason(error, spec)}; use --format onnx"
                ) from error
        shutil.copyfile(kept, path)
        yield "torch.export"

    def load(self, path: Path, interface: Interface) -> Run:
        """The package in a separate process, called by position as Triton does."""
        inputs, outputs = ([s.name for s in side] for side in (interface.inputs, interface.outputs))
        return load_package(path, inputs, outputs, self.device)

    def load_here(self, path: Path, interface: Interface) -> Run:
        """The same in this process."""
        loader = open_package(path, self.device)
        inputs = [spec.name for spec in interface.inputs]
        outputs = [spec.name for spec in interface.outputs]

        def run(arrays: Arrays) -> Arrays:
            with torch.inference_mode():
                given = [torch.tensor(arrays[name], device=self.device) for name in inputs]
                results = loader.boxed_run(given)
            return {n: t.cpu().numpy() for n, t in zip(outputs, results, strict=True)}

        return run

    def served(self, interface: Interface) -> Interface:
        """The names by position, which are all that a package keeps."""
        return Interface(
            tuple(replace(s, name=f"INPUT__{i}") for i, s in enumerate(interface.inputs)),
            tuple(replace(s, name=f"OUTPUT__{i}") for i, s in enumerate(interface.outputs)),
        )

    def config(self, name: str, interface: Interface, max_batch_size: int) -> ModelConfig:
        """With the device that the package is compiled for, since it runs on no other."""
        config = super().config(name, interface, max_batch_size)
        for group in config.instance_group:
            group.kind = DEVICE_KINDS[self.device]
        return config

    def target(self, path: Path) -> Mapping[str, str | int]:
        """The torch, the device, the compiler and the processor that the package was made with."""
        return {"container": target.CONTAINER, **made_with(read_package(path, str(path)))}

    def digest(self, path: Path) -> str:
        """Of the program, the compiler and the machine; see the module's docstring."""
        return self._content or super().digest(path)

    def _facts(self, compiler: Compiler) -> dict[str, str]:
        """What the package depends on besides the program."""
        machine = this_machine(with_gpu=self.device == "cuda")
        return {
            TORCH: torch.__version__,
            COMPILER: compiler.version,
            INSTRUCTIONS: " ".join(sorted(machine.instructions)),
            "device": f"{self.device} {machine.capability}".strip(),
            "options": repr((_OPTIONS, "any batch", "checked indices")),
        }


def program_digest(program: ExportedProgram, facts: Mapping[str, str]) -> str:
    """SHA-256 of a program's graphs, shapes and tensors, and of `facts`."""
    digest = hashlib.sha256()
    graphs = [m for m in program.graph_module.modules() if isinstance(m, fx.GraphModule)]
    example, _ = program.example_inputs or ((), {})
    texts = [
        *(graph.code for graph in graphs),
        str(program.graph_signature),
        repr(sorted((str(k), str(v)) for k, v in program.range_constraints.items())),
        *(f"{tensor.dtype} {tuple(tensor.shape)}" for tensor in example),
        *(f"{key}={value}" for key, value in sorted(facts.items())),
    ]
    digest.update("\n".join(texts).encode())
    for name, value in sorted({**program.state_dict, **program.constants}.items()):
        digest.update(f"\n{name} {_described(value)}\n".encode())
        if isinstance(value, torch.Tensor):
            flat = value.detach().cpu().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def compile_reason(error: BaseException, spec: ModelSpec) -> str:
    """Why a compilation failed: the compiler's or linker's first complaint, or torch's reason."""
    from torch._inductor.exc import CppCompileError

    found: BaseException | None = error
    while found is not None:
        if isinstance(found, CppCompileError):
            lines = found.output.splitlines()
            said = [line.strip() for line in lines if _COMPLAINT.search(line)]
            return f"the compiler says: {(said or lines or ['nothing'])[0][:300]}"
        found = found.__cause__ or found.__context__
    return explain(error, spec.module)


def _described(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{value.dtype} {tuple(value.shape)} {value.stride()}"
    return str(value)


def _captured(spec: ModelSpec, device: str) -> ExportedProgram:
    if device == "cpu":
        return captured_program(spec)
    from torch.export.passes import move_to_device_pass

    return move_to_device_pass(export_program(spec), device)  # it changes the program


def _compile(
    program: ExportedProgram, facts: Mapping[str, str], compiler: Compiler, kept: Path
) -> None:
    """Write the package to `kept`, whole or not at all, and forget the oldest ones."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {
        **_OPTIONS,
        "aot_inductor.metadata": {key: facts[key] for key in (TORCH, COMPILER, INSTRUCTIONS)},
        "cpp.threads": len(os.sched_getaffinity(0)),
    }
    with TemporaryDirectory(dir=kept.parent, prefix=".compiling-") as scratch, calling(compiler):
        _find_instructions()
        caches = {"TORCHINDUCTOR_CACHE_DIR": scratch, "TRITON_CACHE_DIR": str(_kept("triton"))}
        with changed(os.environ, caches), quiet(), silent_torch(), _any_batch(), _any_length():
            made = torch._inductor.aoti_compile_and_package(
                with_checked_indices(program),
                package_path=f"{scratch}/{kept.name}",
                inductor_configs=options,
            )
        Path(made).replace(kept)
    forget_oldest(kept.parent)


def _compiler() -> Compiler:
    try:
        return find_compiler()
    except TrimaranError as error:
        raise ExportError(
            f"the format aoti needs a C++ compiler, and {error}; {_COMPILER_REMEDY}"
        ) from error


@contextmanager
def calling(compiler: Compiler) -> Iterator[None]:
    """Let torch call this compiler within the block.

    torch splits its command lines at spaces, also in the paths of its own and Python's libraries.
    """
    from torch._inductor import config
    from torch.utils import cpp_extension

    paths = [(vars(cpp_extension), "TORCH_LIB_PATH"), (sysconfig.get_config_vars(), "LIBDIR")]
    with ExitStack() as changes:
        changes.enter_context(changed(os.environ, compiler.environment))
        changes.enter_context(config.patch({"cpp.cxx": (compiler.command,)}))
        for names, name in paths:
            path = str(one_word(Path(names[name])))
            changes.enter_context(changed(names, {name: path}))
        yield


@contextmanager
def _any_batch() -> Iterator[None]:
    """Compile for every number of rows.

    For a convolution, torch looks for the library that would compute it, and oneDNN and NNPACK
    depend on whether there are 16 rows; the code would be limited to what the example has. What
    computes it in the server is chosen there, whatever is switched off here.
    """
    with (
        torch.backends.mkldnn.flags(enabled=False),
        torch.backends.nnpack.flags(enabled=False),
    ):
        yield


@contextmanager
def _any_length() -> Iterator[None]:
    """Compile recurrent layers as calls of torch's own operators, for every length."""
    from torch._inductor.decomposition import select_decomp_table
    from torch._inductor.lowering import lowerings, make_fallback

    with of_any_length(), without(select_decomp_table(), RECURRENT):
        for operator in RECURRENT:
            if operator not in lowerings:
                make_fallback(operator, warn=False, override_decomp=True)
        yield


def forget_oldest(directory: Path) -> None:
    """Keep the packages that were used last."""
    packages = sorted(directory.glob("*.pt2"), key=lambda path: path.stat().st_mtime)
    for old in packages[:-KEPT_PACKAGES]:
        old.unlink(missing_ok=True)


def _find_instructions() -> None:
    """Let torch find out what the processor can.

    It compiles and runs a program for each instruction set, which takes longer than a small
    network, and keeps what it found out.
    """
    from torch._inductor.cpu_vec_isa import pick_vec_isa

    cache = {"TORCHINDUCTOR_CACHE_DIR": str(_kept("inductor"))}
    with changed(os.environ, cache), quiet(), silent_torch():
        pick_vec_isa()


def _kept(folder: str) -> Path:
    """A folder of the cache, by a path that torch can put into a command line."""
    home = cache_directory() / "aoti"
    home.mkdir(parents=True, exist_ok=True)
    return one_word(home) / folder
