"""Makes `.venv` for the Makefile's targets: checks the machine first, then calls venv and pip.

    python3 install.py run        what `make demo` and `make serve` need

It runs before anything is installed, so it imports the standard library and modules of trimaran
that need no more. Finished steps are not repeated; unfinished ones are.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from trimaran.system.downloads import cache_directory
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.files import exclusive_lock
from trimaran.system.machine import require_supported_machine

PROJECT = Path(__file__).resolve().parent
ENVIRONMENT = PROJECT / ".venv"

EXTRAS = {
    "run": ("export", "serve", "gateway"),
    "train": ("export", "serve", "gateway", "train", "tables", "text"),
    "monitor": ("export", "serve", "gateway", "monitoring"),
    "bench": ("export", "serve", "gateway", "train", "tables", "text", "loadtests"),
    "test": (
        *("export", "serve", "train", "tables", "text", "monitoring"),
        *("loadtests", "gateway", "tracking", "proofs"),
        *("test", "lint"),
    ),
}
EXTRAS["lint"] = EXTRAS["test"]
"""What each target installs; `lint` installs the same as `test`, and needs no Triton."""

_MB = 2**20
_ROOM_MB = {"run": 2500, "train": 3000, "monitor": 2500, "bench": 3500, "test": 4500, "lint": 3500}
"""What has to be free for the environment and for what the target makes, with torch for the CPU."""
_TEMPORARY_MB = 500
_FULL_MB = 200
_MADE_OF = ("pyproject.toml", "constraints.txt")


def main(arguments: list[str]) -> int:
    """Install what a target needs; the exit status."""
    target, *options = arguments or [""]
    if target not in EXTRAS:
        return fail(f"{target!r} is no target; choose from {', '.join(EXTRAS)}", 2)
    try:
        require_named_interpreter(named="--named" in options)
        if target != "lint":
            require_server(target)
        require_room(PROJECT, 0)
        with exclusive_lock(PROJECT / ".trimaran" / "install.lock"):
            install(target)
    except TrimaranError as error:
        return fail(error, error.exit_status)
    except OSError as error:
        return fail(f"{error}; change that, and run the same command again", 1)
    except KeyboardInterrupt:
        return fail("interrupted; the same command continues from what is finished", 130)
    return 0


def fail(error: object, status: int) -> int:
    """Print one sentence; the exit status."""
    print(f"error: {error}", file=sys.stderr)
    return status


def require_named_interpreter(*, named: bool) -> None:
    """Raise `UsageError` where `PYTHON=…` was given and `.venv` belongs to another interpreter."""
    if not named or not made():
        return
    theirs = settings_of(ENVIRONMENT).get("executable", "")
    if theirs and Path(theirs).resolve() != Path(sys.executable).resolve():
        raise UsageError(
            f"PYTHON names {sys.executable}, but .venv was made with {theirs}; remove the folder "
            ".venv, and run the same command again, or leave PYTHON out"
        )


def settings_of(environment: Path) -> dict[str, str]:
    """What a virtual environment's `pyvenv.cfg` says."""
    lines = (environment / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}


def require_server(target: str) -> None:
    """Raise `TrimaranError` where neither the embedded Triton nor another one can run."""
    if not (os.environ.get("TRIMARAN_TRITONSERVER") or shutil.which("tritonserver")):
        require_supported_machine()
    require_room(cache_directory(), _TEMPORARY_MB if done(target) else 1000)


def install(target: str) -> None:
    """Make the environment where there is none that works, and install the target's extras."""
    if done(target):
        return
    require_room(PROJECT, _ROOM_MB[target] if not made() else _TEMPORARY_MB)
    require_room(ENVIRONMENT, _TEMPORARY_MB)
    require_room(Path(tempfile.gettempdir()), _TEMPORARY_MB)
    if not made():
        make_environment()
    call_pip("--editable", f".[{','.join(EXTRAS[target])}]")
    stamp_of(target).write_text(digest_of(target), encoding="utf-8")


def made() -> bool:
    """Whether `.venv` was finished, in this folder, and its interpreter is still there."""
    finished = ENVIRONMENT / ".made"
    if not finished.is_file() or not (ENVIRONMENT / "bin" / "python").exists():
        return False
    return finished.read_text(encoding="utf-8") == place_of(ENVIRONMENT)


def place_of(environment: Path) -> str:
    """What an environment is bound to: its own path, and the file that its interpreter is."""
    return f"{environment} {(environment / 'bin' / 'python').resolve()}\n"


def done(target: str) -> bool:
    """Whether a target's extras were installed, for it or another, as the files have them now."""
    wanted = set(EXTRAS[target])
    return made() and any(
        stamp_of(other).is_file()
        and stamp_of(other).read_text(encoding="utf-8") == digest_of(other)
        for other, extras in EXTRAS.items()
        if wanted <= set(extras)
    )


def stamp_of(target: str) -> Path:
    """A file that stands for what was installed."""
    return ENVIRONMENT / f".{target}-ready"


def digest_of(target: str) -> str:
    """Changes with anything that decides what is installed for a target."""
    content = b"\0".join((PROJECT / name).read_bytes() for name in _MADE_OF)
    return hashlib.sha256(content + repr(EXTRAS[target]).encode()).hexdigest()


def make_environment() -> None:
    """Make `.venv`, in place of an incomplete one or one whose interpreter is gone.

    One that is a link is somebody's own, and is not emptied.
    """
    if ENVIRONMENT.is_symlink():
        raise TrimaranError(
            f"{ENVIRONMENT} is a link to {ENVIRONMENT.resolve()}, which trimaran did not make; "
            "remove the link, and run the same command again"
        )
    if find_spec("ensurepip") is None or find_spec("venv") is None:
        raise TrimaranError(
            f"{sys.executable} cannot make virtual environments; on Debian or Ubuntu install "
            f"python3-venv, as root: apt-get install python3.{sys.version_info.minor}-venv"
        )
    print(f"making .venv with {sys.executable}", file=sys.stderr)
    made_by = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if made_by.returncode != 0:
        lines = made_by.stdout.strip().splitlines() or ["venv said nothing"]
        raise TrimaranError(
            f"{sys.executable} could not make {ENVIRONMENT}: {lines[-1]}; {room_words(PROJECT)}"
        )
    call_pip("--upgrade", "pip")
    (ENVIRONMENT / ".made").write_text(place_of(ENVIRONMENT), encoding="utf-8")


def call_pip(*arguments: str) -> None:
    """Install into `.venv` under the constraints. Raises `TrimaranError` with what may help."""
    command = [
        *(str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "install"),
        *("--disable-pip-version-check", "--retries", "3"),
        *shlex.split(os.environ.get("PIP_ARGS", "")),
        *("--constraint", "constraints.txt", *arguments),
    ]
    if subprocess.run(command, cwd=PROJECT, check=False).returncode != 0:
        raise TrimaranError(
            "pip could not install what trimaran needs, and says why above; " + room_words(PROJECT)
        )


def room_words(place: Path) -> str:
    """The likeliest reason for a failure, and what to do."""
    for folder in (place, Path(tempfile.gettempdir())):
        if shutil.disk_usage(folder).free < _FULL_MB * _MB:
            return f"the disk of {folder} is full: free some of it, and run the same command again"
    return (
        "check the network and pip's index, and the room in the folder of temporary files "
        f"({tempfile.gettempdir()}), and run the same command again: what was finished is kept"
    )


def require_room(place: Path, needed_mb: int) -> None:
    """Raise `TrimaranError` where a place has not so much room, or cannot be written."""
    standing = next(path for path in (place, *place.parents) if path.exists())
    if not os.access(standing, os.W_OK):
        raise TrimaranError(
            f"{standing} cannot be written by this user; make this user its owner, or clone the "
            "project to a folder of your own"
        )
    free_mb = shutil.disk_usage(standing).free // _MB
    if free_mb < needed_mb:
        raise TrimaranError(
            f"{standing} has {free_mb} MB free and {needed_mb} MB are needed; free some, or use "
            "another disk: TRIMARAN_CACHE names the cache's place, TMPDIR the temporary files'"
        )


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # pip is ended with it
    sys.exit(main(sys.argv[1:]))
