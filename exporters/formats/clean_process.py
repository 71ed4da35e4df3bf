"""Artifacts run as a server runs them: in a process with torch and without the exporter's code.

TorchScript and packages of AOTInductor are run so.

A custom operator that the exporting process registered is missing there, so an artifact that needs
it cannot be loaded, as in Triton. One process serves every artifact, and ends with its parent.
Arrays go both ways in NumPy's format, without pickles.

`python -P -m exporters.formats.clean_process` is the child's side.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import struct
import sys
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO, Any

import numpy as np

from exporters.parity import Arrays, ArtifactRuntimeError, Run, UnservableError
from trimaran.system.processes import PIPE, Child

__all__ = ["call_specification", "load_package", "load_torchscript", "start"]

_NAME = "exporters.formats.clean_process"
_ROOT = Path(__file__).resolve().parents[2]
_LENGTH = struct.Struct("<Q")


def start() -> None:
    """Start the process, which takes a few seconds to import torch, without waiting for it."""
    _CURRENT.started()


def load_torchscript(path: Path, inputs: Sequence[str], outputs: Sequence[str]) -> Run:
    """The artifact, called by position with `inputs` and answering `outputs`, both in order.

    Raises `ArtifactRuntimeError` where it cannot be loaded; so does the function for a failed call.
    """
    return _load({"load": str(path.resolve())}, inputs, outputs)


def load_package(
    path: Path,
    inputs: Sequence[str],
    outputs: Sequence[str],
    device: str,
    *,
    checked: bool = True,
) -> Run:
    """The same for a package of AOTInductor, compiled for `device`.

    `checked` asks its code to check the inputs, which it would otherwise read past their end. A
    package may be compiled so that this check refuses a single row.
    """
    request = {"load": str(path.resolve()), "device": device, "checked": checked}
    return _load(request, inputs, outputs)


def call_specification(path: Path, device: str) -> tuple[str, str]:
    """How a package nests its arguments and its results, as JSON. Raises as `load_package`."""
    answer = _CURRENT.started().ask({"describe": str(path.resolve()), "device": device})
    return str(answer["arguments"]), str(answer["results"])


def _load(request: Mapping[str, object], inputs: Sequence[str], outputs: Sequence[str]) -> Run:
    process = _CURRENT.started()
    number = next(_NUMBERS)
    process.ask({**request, "as": number})

    def run(arrays: Arrays) -> Arrays:
        answers = process.ask(
            {"run": number}, {str(place): arrays[name] for place, name in enumerate(inputs)}
        )
        if len(answers) != len(outputs):
            raise ArtifactRuntimeError(f"answers {len(answers)} tensors, and not {len(outputs)}")
        return {name: answers[str(place)] for place, name in enumerate(outputs)}

    weakref.finalize(run, process.forget, number)
    return run


_NUMBERS = count()


class _Process:
    """The parent's side of one child. Requests are answered one after the other."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._lock = threading.Lock()
        paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
        self._child = Child(
            [sys.executable, "-P", "-m", _NAME],
            stdin=PIPE,
            stdout=PIPE,
            environment={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                # Full FP32 on a GPU too, as the original answers.
                "NVIDIA_TF32_OVERRIDE": "0",
            },
            ends_with_parent=False,  # its standard input ends then
        )

    def is_usable(self) -> bool:
        """Whether it still runs and belongs to this process, and not to the parent of a fork."""
        return self.owner == os.getpid() and not self._child.has_ended()

    def ask(self, request: Mapping[str, object], arrays: Arrays | None = None) -> dict[str, Any]:
        """What the child answers. Raises `ArtifactRuntimeError`."""
        with self._lock:
            try:
                _write(self._child.stdin, request, arrays or {})
                said, answers = _read(self._child.stdout)
            except BaseException as error:
                self.end()  # half an answer may be left in the pipe
                if not isinstance(error, OSError | EOFError):
                    raise
                status = self._child.status
                raise ArtifactRuntimeError(f"its process ended with status {status}") from error
        if "error" in said:
            raise (UnservableError if said["unservable"] else ArtifactRuntimeError)(said["error"])
        return answers

    def forget(self, number: int) -> None:
        """Unload an artifact."""
        if self.is_usable() and not sys.is_finalizing():
            try:
                self.ask({"forget": number})
            except ArtifactRuntimeError:
                return

    def end(self) -> None:
        """Kill it and wait until it is gone; in a fork, leave it to the parent."""
        if self.owner != os.getpid():
            return
        self._child.kill()


class _Current:
    """The process that is in use, started when it is first needed and after it died."""

    def __init__(self) -> None:
        self._process: _Process | None = None
        atexit.register(self._end)

    def started(self) -> _Process:
        if self._process is None or not self._process.is_usable():
            self._end()
            self._process = _Process()
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.end()
            self._process = None


_CURRENT = _Current()


def _write(pipe: IO[bytes] | None, said: Mapping[str, object], arrays: Arrays) -> None:
    if pipe is None:
        raise EOFError
    content = io.BytesIO()
    np.savez(content, **dict(arrays))  # type: ignore[arg-type]
    for part in (json.dumps(said).encode(), content.getbuffer()):
        pipe.write(_LENGTH.pack(len(part)))
        pipe.write(part)
    pipe.flush()


def _read(pipe: IO[bytes] | None) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    said = json.loads(_part(pipe))
    with np.load(io.BytesIO(_part(pipe)), allow_pickle=False) as archive:
        return said, {name: archive[name] for name in archive.files}


def _part(pipe: IO[bytes] | None) -> bytes:
    (length,) = _LENGTH.unpack(_exactly(pipe, _LENGTH.size))
    return _exactly(pipe, length)


def _exactly(pipe: IO[bytes] | None, length: int) -> bytes:
    content = pipe.read(length) if pipe else b""
    if len(content) < length:
        raise EOFError
    return content


def _serve() -> None:
    """The child's side: load, run and forget artifacts until standard input ends."""
    # What a model prints must not mix with the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    import torch

    modules: dict[int, Any] = {}
    while True:
        try:
            said, arrays = _read(sys.stdin.buffer)
            result, error = _attempt(torch, modules, said, arrays)
            _write(answers, error, result)
        except (EOFError, BrokenPipeError):
            return


def _attempt(
    torch: Any, modules: dict[int, Any], said: Mapping[str, Any], arrays: Arrays
) -> tuple[Arrays, dict[str, Any]]:
    try:
        return _done(torch, modules, said, arrays), {}
    except Exception as error:
        words = str(error) or type(error).__name__
        return {}, {"error": words, "unservable": isinstance(error, UnservableError)}


def _done(
    torch: Any, modules: dict[int, Any], said: Mapping[str, Any], arrays: Arrays
) -> dict[str, np.ndarray]:
    from exporters.calling import unpassable_argument  # it imports torch, as `_serve` does late
    from trimaran.repository.model_files.aoti_package import open_package

    if "forget" in said:
        modules.pop(said["forget"], None)
        return {}
    if "describe" in said:
        given, answered = open_package(Path(said["describe"]), said["device"]).get_call_spec()
        return {"arguments": np.array(given), "results": np.array(answered)}
    if "device" in said:
        modules[said["as"]] = _package(said)
        return {}
    if "load" in said:
        with torch.inference_mode():
            modules[said["as"]] = torch.jit.load(said["load"], map_location="cpu")
        strange = unpassable_argument(modules[said["as"]].forward.schema)
        if strange is not None:
            raise TypeError(
                f"argument {strange.name!r} of forward is {strange.type}, and Triton passes tensors"
            )
        return {}
    inputs = [torch.from_numpy(arrays[str(place)]) for place in range(len(arrays))]
    with torch.inference_mode():
        result = modules[said["run"]](*inputs)
    results = result if isinstance(result, tuple) else (result,)
    return {str(place): _array(torch, value) for place, value in enumerate(results)}


def _array(torch: Any, value: Any) -> np.ndarray:
    if not isinstance(value, torch.Tensor):
        raise UnservableError(
            f"forward returns a {type(value).__name__}, and Triton takes tensors; leave it out"
        )
    if value.dtype == torch.bfloat16 or value.is_complex() or value.is_sparse:
        raise UnservableError(
            f"forward returns {value.dtype}{' as sparse' if value.is_sparse else ''}, which NumPy "
            "and Triton cannot carry; convert it in forward"
        )
    return value.cpu().numpy()


def _package(said: Mapping[str, Any]) -> Any:
    """A package as a function of tensors by position, on its device."""
    from trimaran.repository.model_files.aoti_package import open_package

    loader = open_package(Path(said["load"]), said["device"])

    def run(*inputs: Any) -> tuple[Any, ...]:
        given = [tensor.to(said["device"]) for tensor in inputs]
        # The code reads at its first call whether there is this variable.
        os.environ.pop("AOTI_RUNTIME_CHECK_INPUTS", None)
        if said["checked"]:
            os.environ["AOTI_RUNTIME_CHECK_INPUTS"] = "1"
        with _silent_errors():  # the code prints what it also raises
            return tuple(loader.boxed_run(given))

    return run


@contextmanager
def _silent_errors() -> Iterator[None]:
    """Without what native code writes to standard error."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")
    _serve()
