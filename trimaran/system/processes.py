"""Child processes that end with this one, and what `/proc` says about a process.

    with Child(["sleep", "60"]) as child:
        child.has_ended()  # False
    child.status  # -9

At the end of the block the child is gone, and so is everything in its process group.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

__all__ = [
    "ALLOCATOR",
    "PIPE",
    "STDOUT",
    "Child",
    "age_s",
    "children",
    "cpu_s",
    "end_with_parent",
    "interrupt_once",
    "is_stopped",
    "is_zombie",
    "memory_file",
    "own_cpu_s",
    "resident_bytes",
    "sigterm_as_interrupt",
    "start_time",
    "still_runs",
    "thread_cpu_s",
    "until_interrupted_again",
]

PIPE = subprocess.PIPE
STDOUT = subprocess.STDOUT

_MB = 2**20

ALLOCATOR: Mapping[str, str] = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * _MB),
    "MALLOC_TRIM_THRESHOLD_": str(256 * _MB),
    "MALLOC_TOP_PAD_": str(16 * _MB),
}
"""Environment variables of glibc for a process that handles tensors; the user's own win.

By default glibc maps every array above 128 KB separately and returns it to the kernel, so that each
image pays for page faults: a fifth of the CPU time of image preprocessing. With these settings
freed memory stays with the process, up to a bound, and is used again."""

_PR_SET_PDEATHSIG = 1
_INIT = 1
_POLL_S = 0.01

_LAUNCHER = f"""\
import ctypes, os, signal, sys
parent, report, *command = sys.argv[1:]
os.set_inheritable(int(report), False)
ctypes.CDLL(None).prctl({_PR_SET_PDEATHSIG}, signal.SIGTERM, 0, 0, 0)
if os.getppid() != int(parent):
    os.kill(os.getpid(), signal.SIGTERM)
for number in (signal.SIGPIPE, signal.SIGXFSZ):
    signal.signal(number, signal.SIG_DFL)
try:
    os.execvp(command[0], command)
except OSError as error:
    os.write(int(report), str(error.errno).encode())
"""
"""A process that becomes the program. `Popen` can run code in the child as well (`preexec_fn`), but
then it copies this process, and a copy can crash if threads use gRPC or torch meanwhile."""


class Child:
    """A program in a session of its own, so that a terminal's Ctrl-C reaches this process only.

    It gets SIGTERM when this process dies, however that happens; more precisely, when the thread
    dies that started it. Without `ends_with_parent` it must notice that itself, for example by the
    end of its standard input. `environment` replaces this process' environment.

    An interrupt at any moment leaves a child that can still be ended. Raises `OSError` if the
    program cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] | None = None,
        stderr: int | IO[bytes] | None = None,
        directory: Path | None = None,
        environment: Mapping[str, str] | None = None,
        ends_with_parent: bool = True,
    ) -> None:
        with ExitStack() as stack:
            report = stack.enter_context(_Report()) if ends_with_parent else None
            self._process = subprocess.Popen(
                [*report.launcher(), *command] if report else command,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                cwd=directory,
                env=environment,
                start_new_session=True,
                pass_fds=[report.sender] if report else (),
            )
            self.pid = self._process.pid
            self.stdin = self._process.stdin
            self.stdout = self._process.stdout
            try:
                problem = report.read() if report else 0
            except BaseException:
                self.kill()
                raise
        if problem:
            self.kill()
            raise OSError(problem, os.strerror(problem), str(command[0]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def status(self) -> int:
        """Its exit status, negative for a signal; waits for its end."""
        if self._process.returncode is None:
            found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            if found is not None:
                exited = found.si_code == os.CLD_EXITED
                return found.si_status if exited else -found.si_status
        return self._process.wait()

    def has_ended(self) -> bool:
        """Whether the program has ended."""
        return self.wait(0.0)

    def wait(self, longest_s: float | None = None) -> bool:
        """Wait until the program has ended, at most `longest_s`; whether it has."""
        if longest_s is None:
            return self._look(os.WEXITED | os.WNOWAIT)
        deadline = time.monotonic() + longest_s
        while not self._look(os.WEXITED | os.WNOWAIT | os.WNOHANG):
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def _look(self, options: int) -> bool:
        # `Popen.wait` takes a lock, which an interrupt can leave taken forever. It would also free
        # the number of the process group before `kill` uses it.
        if self._process.returncode is not None:
            return True
        try:
            return bool(os.waitid(os.P_PID, self.pid, options))
        except ChildProcessError:
            return True

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the program alone, if it still runs."""
        if not self.has_ended():
            os.kill(self.pid, number)

    def end(self, within_s: float) -> None:
        """Send the program SIGTERM, wait for its end, then kill what is left of its group."""
        self.send(signal.SIGTERM)
        self.wait(within_s)
        self.kill()

    def kill(self) -> None:
        """Kill the program and everything in its process group, and close its pipes."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self.wait()
            self._process.wait()
        for pipe in (self.stdin, self.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


class _Report:
    """A pipe on which a launcher reports why it could not become the program."""

    def __enter__(self) -> Self:
        self._receiver, self.sender = os.pipe()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._receiver)
        if self.sender >= 0:
            os.close(self.sender)

    def launcher(self) -> list[str]:
        return [
            *(sys.executable, "-I", "-S", "-c", _LAUNCHER),
            *(str(os.getpid()), str(self.sender)),
        ]

    def read(self) -> int:
        """The number of the operating system's error, or 0 once the program runs."""
        os.close(self.sender)
        self.sender = -1
        return int(os.read(self._receiver, 16) or 0)


def end_with_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """Have the kernel send `number` to this process when its parent dies, however that happens."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() == _INIT:  # it died before
        os.kill(os.getpid(), number)


@contextmanager
def sigterm_as_interrupt(*, repeatedly: bool = False) -> Iterator[None]:
    """Turn SIGTERM into `KeyboardInterrupt` during the block, so that what it started is ended.

    Only the first one counts, so that the end is not disturbed; with `repeatedly`, each one does.
    """
    handler = _interrupt_and_ignore(*([] if repeatedly else [signal.SIGTERM]))
    before = signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def interrupt_once() -> None:
    """From now on, turn the first SIGINT or SIGTERM into `KeyboardInterrupt` and ignore others.

    The end is then not disturbed.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        signal.signal(number, _interrupt_and_ignore(*numbers))


@contextmanager
def until_interrupted_again() -> Iterator[None]:
    """End the block at another SIGINT or SIGTERM; after it they are ignored, as before it."""
    with suppress(KeyboardInterrupt):
        interrupt_once()
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)


def _interrupt_and_ignore(*numbers: signal.Signals) -> Callable[..., None]:
    """A handler that raises `KeyboardInterrupt` and has `numbers` ignored from then on."""

    def interrupt(*_: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    return interrupt


def children(pid: int) -> set[int]:
    """The direct children of a process, including dead ones that nobody waited for."""
    found: set[int] = set()
    # A server has hundreds of threads and is asked about every second, so by the cheapest calls.
    tasks = f"/proc/{pid}/task"
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in os.listdir(tasks):  # noqa: PTH208
            with (
                suppress(FileNotFoundError, ProcessLookupError),  # of a thread that just ended
                open(f"{tasks}/{task}/children", "rb", buffering=0) as file,  # noqa: PTH123
            ):
                found.update(map(int, file.read().split()))
    return found


def is_zombie(pid: int) -> bool:
    """Whether a process is dead and its parent has not waited for it."""
    return _stat(pid)[:1] == ["Z"]


def is_stopped(pid: int) -> bool:
    """Whether a signal has stopped a process; a debugger that did is another state."""
    return _stat(pid)[:1] == ["T"]


def start_time(pid: int) -> str:
    """When a process began, in clock ticks since boot; empty if there is none.

    Together with the process id it identifies a process uniquely.
    """
    fields = _stat(pid)
    return fields[19] if len(fields) > 19 and fields[0] != "Z" else ""


def still_runs(pid: int, started: str) -> bool:
    """Whether a process that said when it began runs; that of a killed one does not."""
    return bool(started) and start_time(pid) == started


def cpu_s(pid: int) -> float:
    """CPU seconds that a process and everything below it have used, in all their threads.

    Children that have ended count too, once they were waited for.
    """
    fields = _stat(pid)
    own = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") if fields else 0.0
    return own + sum(map(cpu_s, children(pid)))


def own_cpu_s(pid: int) -> float:
    """CPU seconds that a process itself has used, in all its threads."""
    return _cpu_s_of(_stat(pid))


def thread_cpu_s(pid: int, thread: int) -> float:
    """CPU seconds that one thread of a process has used; 0 once it has ended."""
    return _cpu_s_of(_stat(pid, f"task/{thread}/"))


def _cpu_s_of(fields: list[str]) -> float:
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def resident_bytes(pid: int) -> int:
    """The memory that a process has in RAM, including shared pages."""
    fields = _stat(pid)
    return int(fields[21]) * os.sysconf("SC_PAGE_SIZE") if fields else 0


def memory_file(pid: int, name: str) -> Path | None:
    """The memory file (`memfd_create`) of this name that a process holds open, if there is one."""
    with suppress(OSError):  # it ended, or belongs to another user
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # it was closed meanwhile
                if link.readlink().name.startswith(f"memfd:{name} "):
                    return link
    return None


def age_s() -> float:
    """Seconds since this process was started, including the start of the interpreter."""
    ticks = int(start_time(os.getpid()))
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def _stat(pid: int, below: str = "") -> list[str]:
    """The fields of `/proc/<pid>/stat` after the command's name; the state is the first."""
    try:
        text = Path(f"/proc/{pid}/{below}stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()
