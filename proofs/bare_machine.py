"""A bare Debian machine: a root file system with few packages, and an ordinary user in it.

The root is built once with debootstrap and kept in the cache. Each run copies it, adds the user and
a clean clone of this project, and starts commands in it through namespaces: no root, no `/sbin` on
PATH, no compiler, no `libpython`, little shared memory, a folder with a space in its name.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from trimaran.system.debian import can_unpack, library_path, unpacked
from trimaran.system.errors import TrimaranError
from trimaran.system.files import scratch_directory

__all__ = ["CLONE", "HOME", "Ended", "Machine", "Started", "bare_machine", "require_possible"]

PROJECT = Path(__file__).resolve().parent.parent

RELEASE = "bookworm"
PACKAGES = ("python3", "python3-venv", "make", "git", "ca-certificates", "curl")
USER, NUMBER = "reader", 1000
HOME = Path("/home") / USER
CLONE = HOME / "my work" / "trimaran"
PATH = "/usr/local/bin:/usr/bin:/bin"
SHARED_MEMORY_MB = 64

_PASSED_ON = re.compile(r"^(PIP_|SSL_CERT|REQUESTS_CA|https?_proxy|no_proxy)", re.IGNORECASE)
_PIP_FILES = (
    *("/etc/pip.conf", "/etc/xdg/pip", "/etc/ssl/certs/ca-certificates.crt"),
    *("/etc/resolv.conf", "/etc/hosts"),
)
_LOCAL = re.compile(r"(?:file://)?(/[^\s,:'\"]+)")
_PATIENCE_S = 2700.0

# Entered in a new mount namespace, so nothing stays mounted. Arguments: the root, MB of
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
        """Wait for the end, and kill the command after `patience_s`."""
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
    """Folders of this machine that are visible in it, read-only."""
    environment: Mapping[str, str] = field(default_factory=dict)
    before: Sequence[str] = ()
    """The words before each command."""

    def path(self, inside: Path) -> Path:
        """The path outside the machine of a path `inside` it."""
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
        """Run a command as `start` does, to its end, for half an hour at most."""
        return self.start(*command, **more).end(_PATIENCE_S)


def require_possible(python: Path | None) -> None:
    """Raise `TrimaranError` where no bare machine can be built here, or none with `python`."""
    if os.getuid() != 0:
        raise TrimaranError("a bare machine is built as root; run it as root")
    if not can_unpack():
        raise TrimaranError("a bare Debian is built with apt, which is not here; run it on Debian")
    if python is not None and not os.access(python, os.X_OK):
        raise TrimaranError(f"there is no interpreter {python}")
    if python is not None and _prefix_of(python) in (Path("/"), Path("/usr")):
        raise TrimaranError(f"{python} is in no folder that could be shown to the machine")


@contextmanager
def bare_machine(home: Path, python: Path | None) -> Iterator[Machine]:
    """A copy of the bare root with the user, the clone, and this machine's settings for pip."""
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
    """The mirror from which apt on this machine has the release, if it does."""
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
        # An index of files links to folders next to it.
        yield path.parent if path.name == "simple" else path


def _prefix_of(python: Path) -> Path:
    asked = [str(python), "-c", "import sys; print(sys.base_prefix)"]
    return Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())
