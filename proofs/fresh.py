"""The README's two commands on a bare Debian, as an ordinary user, from nothing.

    sudo make fresh                                          with Debian's own Python 3.11
    sudo make fresh FRESH="--python /path/to/python3.12"     with one that Debian does not have

builds a root file system with Debian's packages (kept in the cache), copies a clean clone in, and
runs what a reader would: no root, no `/sbin` on PATH, no compiler, no `libpython`, 64 MB of shared
memory, a folder with a space in its name, and a first try that is interrupted. Then it makes the
machine bad in ways that readers' machines are, one at a time, and holds each against the sentence
that it should give. The exit status is 0 where all held, 1 where something did not, and 3 where
nothing could be proved here.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from trimaran.system.debian import can_unpack, library_path, unpacked
from trimaran.system.downloads import cache_directory
from trimaran.system.errors import TrimaranError
from trimaran.system.files import exclusive_lock, scratch_directory

PROJECT = Path(__file__).resolve().parent.parent

RELEASE = "bookworm"
PACKAGES = ("python3", "python3-venv", "make", "git", "ca-certificates", "curl")
USER, NUMBER = "reader", 1000
HOME = Path("/home") / USER
CLONE = HOME / "my work" / "trimaran"
PATH = "/usr/local/bin:/usr/bin:/bin"
SHARED_MEMORY_MB = 64
SLICE = (
    "tests/trimaran/serving/test_runtime.py tests/trimaran/serving/test_stubs.py "
    "tests/trimaran/serving/test_small_room.py "
    "tests/monitoring/test_rules.py tests/monitoring/test_dashboard.py tests/loadtests/test_perf.py"
)

MONITORING = "tests/monitoring/test_rules.py"
_DEBIAN = HOME / ".cache/trimaran/debian"

_PASSED_ON = re.compile(r"^(PIP_|SSL_CERT|REQUESTS_CA|https?_proxy|no_proxy)", re.IGNORECASE)
_PIP_FILES = (
    *("/etc/pip.conf", "/etc/xdg/pip", "/etc/ssl/certs/ca-certificates.crt"),
    *("/etc/resolv.conf", "/etc/hosts"),
)
_LOCAL = re.compile(r"(?:file://)?(/[^\s,:'\"]+)")
_STATUS_NOT_PROVED = 3
_PATIENCE_S = 1800.0
_INTERRUPT_WITHIN_S = 900.0

# Entered in a mount namespace of its own, so nothing stays mounted. Arguments: the root, MB of
# shared memory, folders to show read-only joined by newlines, then the command.
_ENTER = """
root=$1 memory=$2 shown=$3; shift 3
mount --make-rprivate /
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"; mount -o remount,bind,ro "$root/sys"
mount -t tmpfs -o mode=755 dev "$root/dev"
mkdir "$root/dev/shm"
for name in null zero full random urandom tty; do
    : > "$root/dev/$name"; mount --bind "/dev/$name" "$root/dev/$name"
done
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/1 "$root/dev/stdout"; ln -s /proc/self/fd/2 "$root/dev/stderr"
mount -t tmpfs -o "mode=1777,size=${memory}m" memory "$root/dev/shm"
echo "$shown" | while read -r folder; do
    [ -z "$folder" ] || { mkdir -p "$root$folder"; mount --bind -o ro "$folder" "$root$folder"; }
done
# Not exec: the first process of a namespace is deaf to signals that it does not handle.
chroot --userspec=%d:%d --groups= "$root" "$@" || exit $?
exit 0
""" % (NUMBER, NUMBER)  # noqa: UP031 - a shell's braces


@dataclass(frozen=True)
class Ended:
    """How a command ended in the bare machine, and what it printed."""

    status: int
    output: str
    seconds: float


@dataclass(frozen=True)
class Started:
    """A command that runs in the bare machine; what it prints goes into a file."""

    process: subprocess.Popen[bytes]
    output: IO[str]
    began_s: float

    def end(self, patience_s: float) -> Ended:
        """Wait for the end; one that does not come is made."""
        more = ""
        try:
            self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            more = f"\nno end within {patience_s:.0f} s\n"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        with self.output:
            self.output.seek(0)
            printed = self.output.read()
        return Ended(self.process.returncode, printed + more, time.monotonic() - self.began_s)


@dataclass(frozen=True)
class Machine:
    """A bare machine: a root file system, and an ordinary user in it."""

    root: Path
    shown: Sequence[Path] = ()
    """Folders of this machine that are there too, read-only."""
    environment: Mapping[str, str] = field(default_factory=dict)
    before: Sequence[str] = ()
    """What each command is started through."""

    def path(self, inside: Path) -> Path:
        """Where something that lies at `inside` in the machine lies from here."""
        return self.root / inside.relative_to("/")

    def start(
        self,
        *command: str,
        offline: bool = False,
        shared_memory_mb: int = SHARED_MEMORY_MB,
        **more: str,
    ) -> Started:
        """Start a command in the clone, as the user, with environment variables `more`."""
        settings = {**self.environment, "HOME": str(HOME), "USER": USER, "PATH": PATH, **more}
        words = [f"{name}={value}" for name, value in settings.items()]
        shown = "\n".join(map(str, self.shown))
        output = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - Started closes it
        process = subprocess.Popen(
            [
                *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
                *(["--net"] if offline else ()),
                *("sh", "-ec", _ENTER, "sh", str(self.root), str(shared_memory_mb), shown),
                *("/usr/bin/env", "--ignore-environment", f"--chdir={CLONE}", *words),
                *(*self.before, *command),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        return Started(process, output, time.monotonic())

    def run(self, *command: str, **more: Any) -> Ended:
        """Run a command as `start` does, to its end, or to the end of patience."""
        return self.start(*command, **more).end(_PATIENCE_S)


Act = Callable[[Machine], Ended]


@dataclass(frozen=True)
class Trial:
    """One thing to prove: what to do, and what its output and status must be."""

    name: str
    act: Act
    says: str
    """A regular expression that the output must hold."""
    status: int | None = 2
    """What it must end with: by default as `make` does with an error of what it runs."""
    longest_s: float = 15.0


def main() -> int:
    """Prove it, or say what did not hold, or why nothing could be proved."""
    parser = argparse.ArgumentParser(prog="python -m proofs.fresh", description=__doc__)
    parser.add_argument("--python", type=Path, help="an interpreter outside of Debian's packages")
    parser.add_argument("--only", help="only the trials whose name has this text, and the demo")
    options = parser.parse_args()
    try:
        _require_possible(options.python)
        home = cache_directory() / "fresh"
        with exclusive_lock(home / ".lock"), _machine(home, options.python) as machine:
            return _prove(machine, _trials(options.python, options.only or ""), home / "logs")
    except TrimaranError as error:
        print(f"\nNOT PROVED: {error}", file=sys.stderr)
        return _STATUS_NOT_PROVED
    except KeyboardInterrupt:
        print("\nNOT PROVED: interrupted", file=sys.stderr)
        return _STATUS_NOT_PROVED


def _require_possible(python: Path | None) -> None:
    if os.getuid() != 0:
        raise TrimaranError("a bare machine is built as root; run it as root")
    if not can_unpack():
        raise TrimaranError("a bare Debian is built from Debian's packages, and here is no apt")
    if python is not None and not os.access(python, os.X_OK):
        raise TrimaranError(f"there is no interpreter {python}")
    if python is not None and _prefix_of(python) in (Path("/"), Path("/usr")):
        raise TrimaranError(f"{python} has no folder of its own that could be shown to the machine")


@contextmanager
def _machine(home: Path, python: Path | None) -> Iterator[Machine]:
    """A copy of the bare root with the user, the clone, and this machine's way to the indexes."""
    bare = _bare_root(home)
    with scratch_directory(home / "running") as scratch:
        root = scratch / "root"
        subprocess.run(["cp", "--archive", str(bare), str(root)], check=True)
        (root / "root").chmod(0o711)  # where an interpreter may be shown
        _add_user(root)
        _clone(root)
        shown = [path for path in _local_indexes() if path.is_dir()]
        if python is not None:
            shown.append(_prefix_of(python))
        for name in _PIP_FILES:
            _copy(Path(name), root / name[1:])
        passed = {name: value for name, value in os.environ.items() if _PASSED_ON.match(name)}
        yield Machine(root, shown, passed)


def _bare_root(home: Path) -> Path:
    target = home / f"{RELEASE}-{'-'.join(PACKAGES)}"
    if not target.is_dir():
        print(f"building a bare {RELEASE}", flush=True)
        tool = unpacked("debootstrap")
        environment = {
            **os.environ,
            "DEBOOTSTRAP_DIR": str(tool / "usr/share/debootstrap"),
            "LD_LIBRARY_PATH": library_path(tool),
            "PATH": f"{os.environ['PATH']}:{tool / 'usr/bin'}:/usr/sbin:/sbin",
        }
        with scratch_directory(home / "building") as scratch:
            built = subprocess.run(
                [
                    *(str(tool / "usr/sbin/debootstrap"), "--variant=minbase"),
                    *(f"--include={','.join(PACKAGES)}", RELEASE, str(scratch / "root")),
                    *_mirror(),
                ],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            if built.returncode != 0:
                last = (built.stdout.strip().splitlines() or ["nothing"])[-1]
                raise TrimaranError(f"debootstrap failed: {last}")
            (scratch / "root").rename(target)
    return target


def _mirror() -> list[str]:
    """Where apt on this machine has the release from, where it has it."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME)"],
        capture_output=True,
        text=True,
        check=False,
    )
    found = (line.split() for line in listed.stdout.splitlines())
    return next(([words[0]] for words in found if words[1:] == [RELEASE]), [])


def _add_user(root: Path) -> None:
    for name, line in (
        ("passwd", f"{USER}:x:{NUMBER}:{NUMBER}::{HOME}:/bin/bash"),
        ("group", f"{USER}:x:{NUMBER}:"),
    ):
        with (root / "etc" / name).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def _clone(root: Path) -> None:
    """What is committed, as a reader would clone it."""
    target = root / CLONE.relative_to("/")
    target.parent.mkdir(parents=True)
    subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(target)], check=True)
    home = root / HOME.relative_to("/")
    (home / ".cache").mkdir()
    subprocess.run(["chown", "--recursive", f"{NUMBER}:{NUMBER}", home], check=True)
    changed = subprocess.run(
        ["git", "-C", PROJECT, "status", "--porcelain"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    if changed:
        print("note: changes that are not committed are not proved", flush=True)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    elif source.is_file():
        target.unlink(missing_ok=True)
        shutil.copyfile(source, target)


def _local_indexes() -> Iterator[Path]:
    """Folders on this machine that pip's settings name, as find-links or indexes."""
    settings = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    named = " ".join(value for name, value in os.environ.items() if name.startswith("PIP_"))
    for found in dict.fromkeys(_LOCAL.findall(f"{settings} {named}")):
        path = Path(found)
        # An index of files has links to folders beside it.
        yield path.parent if path.name == "simple" else path


def _prefix_of(python: Path) -> Path:
    asked = [str(python), "-c", "import sys; print(sys.base_prefix)"]
    return Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())


def _trials(python: Path | None, only: str) -> list[Trial]:
    """What is proved, in this order: refusals before anything is installed, the way, and after."""
    words = [f"PYTHON={python}"] if python else []
    demo = _make("demo", *words)
    before = [
        Trial("no such interpreter", _make("demo", "PYTHON=python3.99"), "there is no python3.99"),
        Trial("another processor", _on_i686(demo), "x86-64 Linux, and this is linux on i686"),
        Trial("a home that cannot be written", _make("demo", *words, HOME="/"), "TRIMARAN_CACHE"),
        Trial("another user's cache", _with_roots_cache(demo), "trimaran belongs to root"),
        Trial("a small disk", _make("demo", *words, TMPDIR="/dev/shm"), "MB free and 500 MB"),  # noqa: S108
        Trial("no network", _make("demo", *words, offline=True), "check the network"),
    ]
    if python is None:
        no_venv = _without(Path("/usr/lib/python3.11/ensurepip"), demo)
        before.append(Trial("no python3-venv", no_venv, "apt-get install python3.11-venv"))
    way = [
        Trial(
            "a first try, interrupted",
            _interrupted(words),
            "the same command goes on",
            None,
            1000.0,
        ),
        Trial("make demo", demo, "Egyptian cat", status=0, longest_s=1800.0),
        Trial("make demo, again", demo, "Egyptian cat", status=0, longest_s=60.0),
    ]
    serve = (f"{CLONE}/.venv/bin/trimaran", "serve")
    locale = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    after = [
        Trial("a locale without UTF-8", _make("demo", *words, **locale), "Egyptian cat", 0, 60.0),
        Trial("a stub that Triton closed", _with_closed_stub(demo), "Egyptian cat", 0, 60.0),
        Trial(
            "almost no shared memory",
            _run(*serve, shared_memory_mb=2, offline=True),
            "--shm-size",
            1,
        ),
    ]
    if python is None:
        no_library = _without(_DEBIAN / "debian-12/libpython3.11", _run(*serve, offline=True))
        after.append(Trial("no libpython", no_library, r"needs libpython3\.11\.so\.1\.0", 1))
        readme = _run(f"{CLONE}/.venv/bin/python", "-m", "proofs.readme")
        after.append(Trial("every command of the README", readme, r"\b0 failed", 0, 1800.0))
    else:
        other = _make("demo", "PYTHON=/usr/bin/python3")
        after.append(Trial("another interpreter", other, "but .venv was made with"))
    tests = _make("test", f"TESTS={SLICE}", *words)
    after.append(Trial("a slice of make test", tests, r"\d+ passed", 0, 1800.0))
    listed = r"(?s)promtool: .*chromium: .*perf_analyzer: .*apt-get install prometheus "
    some = _without_apt(_make("test", f"TESTS={MONITORING}", "SKIP_MISSING=1", *words))
    left_out = r"(?s)SKIPPED.*needs promtool, which is not here.*\d passed"
    after += [
        Trial("a distribution without apt", _without_apt(_make("test", *words)), listed, 2, 30.0),
        Trial("the tests that can run there", some, left_out, 0, 60.0),
    ]
    return [*before, *way, *(trial for trial in after if only in trial.name)]


def _run(*command: str, **more: Any) -> Act:
    return lambda machine: machine.run(*command, **more)


def _make(*words: str, **more: Any) -> Act:
    return _run("make", *words, **more)


def _on_i686(act: Act) -> Act:
    def changed(machine: Machine) -> Ended:
        return act(replace(machine, before=("linux32",)))

    return changed


def _without(path: Path, act: Act) -> Act:
    """The same while a path of the machine is away."""

    def changed(machine: Machine) -> Ended:
        here = machine.path(path)
        (found,) = here.parent.glob(here.name)
        aside = found.rename(f"{found}.away")
        try:
            return act(machine)
        finally:
            aside.rename(found)

    return changed


def _without_apt(act: Act) -> Act:
    return _without(_DEBIAN, _without(Path("/usr/bin/apt-get"), act))


def _with_roots_cache(act: Act) -> Act:
    def changed(machine: Machine) -> Ended:
        cache = machine.path(HOME / ".cache" / "trimaran")
        cache.mkdir()
        try:
            return act(machine)
        finally:
            cache.rmdir()

    return changed


def _with_closed_stub(act: Act) -> Act:
    """The state in which Triton leaves a stub that did not start, of any version of ours."""

    def changed(machine: Machine) -> Ended:
        found = list(machine.path(HOME / ".cache/trimaran").rglob("triton_python_backend_stub"))
        for stub in found:
            stub.chmod(0o100)
        if not found:
            raise TrimaranError("no stub is in the cache; its place has changed")
        return act(machine)

    return changed


def _interrupted(words: Sequence[str]) -> Act:
    """`make demo`, and Ctrl-C once pip has begun to fill the environment."""

    def act(machine: Machine) -> Ended:
        started = machine.start("make", "demo", *words)
        site = machine.path(CLONE / ".venv" / "lib")
        deadline = time.monotonic() + _INTERRUPT_WITHIN_S
        while not list(site.glob("python3*/site-packages/numpy")):
            if time.monotonic() > deadline or started.process.poll() is not None:
                break
            time.sleep(0.05)
        if started.process.poll() is None:
            os.killpg(started.process.pid, signal.SIGINT)
        return started.end(60.0)

    return act


def _prove(machine: Machine, trials: Sequence[Trial], logs: Path) -> int:
    """Carry out each trial, print a line for each, and the output of those that did not hold."""
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    failed = 0
    for number, trial in enumerate(trials, start=1):
        ended = trial.act(machine)
        log = logs / f"{number:02}.log"
        log.write_text(ended.output, encoding="utf-8")
        problem = _problem(trial, ended)
        print(f"{'FAILED' if problem else 'held':7} {ended.seconds:7.1f} s  {trial.name}")
        if problem:
            failed += 1
            print(f"        {problem}; the last lines of {log}:")
            print("".join(f"        {line}\n" for line in ended.output.splitlines()[-30:]))
        sys.stdout.flush()
    print(f"\n{len(trials) - failed} passed, {failed} failed")
    return 1 if failed else 0


def _problem(trial: Trial, ended: Ended) -> str:
    """Why a trial did not hold, or an empty string."""
    if "Traceback (most recent call last)" in ended.output:
        return "it printed a traceback"
    if trial.status is not None and ended.status != trial.status:
        return f"it ended with status {ended.status} and not {trial.status}"
    if not re.search(trial.says, ended.output):
        return f"it did not say {trial.says!r}"
    if ended.seconds > trial.longest_s:
        return f"it took longer than {trial.longest_s:.0f} s"
    return ""


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
