"""`python -m proofs.peers.environments [--peer NAME]`: an environment for each peer.

Frameworks pin one another's dependencies, so each has its own virtual environment, with every
version pinned in `requirements/`. A complete one is left alone, and an
incomplete one is completed.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import venv
from pathlib import Path

from proofs.peers.catalogue import PEERS, Peer, peer_named
from trimaran.system.console import console
from trimaran.system.downloads import call_pip
from trimaran.system.errors import TrimaranError
from trimaran.system.files import exclusive_lock, write_text

__all__ = [
    "digest",
    "environment_of",
    "make",
    "marker_text",
    "pinned_version",
    "python_of",
    "requirements_of",
]

_ROOT = Path(__file__).parents[2]


def requirements_of(peer: Peer) -> Path:
    """The file that names every package of a peer's environment with its version."""
    return Path(__file__).parent / "requirements" / f"{peer.name}.txt"


def environment_of(peer: Peer, root: Path = _ROOT) -> Path:
    """Where a peer's environment lies, whether or not it was made."""
    return root / ".trimaran" / "peers" / peer.name


def digest(requirements: str, python: str) -> str:
    """A digest of what an environment is made from: its packages, and the interpreter.

    Comments and the order of lines do not count.
    """
    lines = sorted(
        filter(None, (line.partition("#")[0].strip() for line in requirements.split("\n")))
    )
    return hashlib.sha256("\n".join([python, *lines]).encode()).hexdigest()


def marker_text(peer: Peer) -> str:
    """The content of the file `complete` in a peer's environment that is up to date."""
    return digest(requirements_of(peer).read_text(encoding="utf-8"), _python()) + "\n"


def pinned_version(peer: Peer) -> str:
    """The framework's version, as pinned."""
    prefix = f"{peer.distribution}=="
    for line in requirements_of(peer).read_text(encoding="utf-8").splitlines():
        if line.startswith(prefix):
            return line.removeprefix(prefix)
    raise TrimaranError(f"{requirements_of(peer)} does not pin {peer.distribution}")


def python_of(peer: Peer, root: Path = _ROOT) -> Path:
    """The interpreter of a peer's complete environment. Raises `TrimaranError` without one."""
    environment = environment_of(peer, root)
    if not _is_complete(peer, environment):
        raise TrimaranError(
            f"{environment} is not the environment that {peer.title} needs; make it with "
            f"'python -m proofs.peers.environments --peer {peer.name}'"
        )
    return environment / "bin" / "python"


def make(peer: Peer, root: Path = _ROOT) -> Path:
    """A peer's environment, made or completed if it has to be; pip shows the progress.

    Raises `TrimaranError` with what pip said.
    """
    environment = environment_of(peer, root)
    with exclusive_lock(environment.parent / f".{peer.name}.lock"):
        if _is_complete(peer, environment):
            return environment
        if not _is_ours(environment):
            shutil.rmtree(environment, ignore_errors=True)
            venv.EnvBuilder(with_pip=False, symlinks=True).create(environment)
        _marker(environment).unlink(missing_ok=True)
        _install(peer, environment)
        write_text(_marker(environment), marker_text(peer))
    return environment


def _install(peer: Peer, environment: Path) -> None:
    python, requirements = str(environment / "bin" / "python"), str(requirements_of(peer))
    try:
        call_pip("install", "--no-deps", "--requirement", requirements, python=python)
    except TrimaranError as error:
        raise TrimaranError(
            f"{peer.title}'s packages could not be installed into {environment}: {error}; check "
            "the network and pip's index, and run the same command again"
        ) from error


def _is_complete(peer: Peer, environment: Path) -> bool:
    try:
        return _marker(environment).read_text(encoding="utf-8") == marker_text(peer)
    except FileNotFoundError:
        return False


def _is_ours(environment: Path) -> bool:
    """Whether a directory is an environment of this interpreter, which can be completed."""
    try:
        text = (environment / "pyvenv.cfg").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return f"version = {_python()}" in text and (environment / "bin" / "python").exists()


def _marker(environment: Path) -> Path:
    return environment / "complete"


def _python() -> str:
    return ".".join(map(str, sys.version_info[:3]))


def main() -> None:
    """Make all environments, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", action="append", metavar="NAME", help=", ".join(PEERS))
    names = parser.parse_args().peer or list(PEERS)
    screen = console(stderr=True)
    try:
        peers = [peer_named(name) for name in names]
        for at, peer in enumerate(peers, 1):
            screen.print(f"{at}/{len(peers)}  {peer.title} {pinned_version(peer)}")
            screen.print(f"     {make(peer)}", soft_wrap=True)
    except TrimaranError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
