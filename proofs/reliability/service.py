"""A repository of its own, and a `trimaran serve` on it that may be broken.

The repository has the image ensemble, the churn ensemble in three releases, and the model that
scores records in three versions; releases and versions differ in a file that nothing reads.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from subprocess import run
from typing import Any, Self

import urllib3
from prometheus_client.parser import text_string_to_metric_families

from trimaran.publishing.publish import publish
from trimaran.repository.manifest import describe_version
from trimaran.repository.presence import find_server, server_secret
from trimaran.repository.repository import Repository
from trimaran.serving.control import Control
from trimaran.serving.stub_processes import Stub, identify_stub, shared_memory
from trimaran.system.endpoint import Endpoint
from trimaran.system.errors import TrimaranError
from trimaran.system.files import write_text
from trimaran.system.ports import free_ports
from trimaran.system.processes import STDOUT, Child, children, is_zombie, resident_bytes

__all__ = ["TRIMARAN", "Facts", "Service", "made_repository", "until"]

TRIMARAN = (sys.executable, "-m", "trimaran")

_PROJECT = Path(__file__).parents[2]
_VERSIONS = 3
_POLL_S = 0.02
_START_S = 180.0
_END_S = 20.0


def until(condition: Callable[[], Any], longest_s: float) -> bool:
    """Whether `condition` became true in time."""
    deadline = time.monotonic() + longest_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True


def made_repository(work: Path, state: str, say: Callable[[str], None]) -> Repository:
    """The repository below `work`, made with the code of `state` unless it stands there."""
    root, complete = work / "model_repository", work / "made"
    if complete.is_file() and complete.read_text(encoding="utf-8") == state:
        return Repository.open(root)
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(
        _PROJECT / "model_repository",
        root,
        ignore=lambda directory, names: [n for n in names if n.isdigit() or n == "configs"],
    )
    for words in _commands():
        say(f"trimaran {words}")
        _run(words, work, root)
    repository = Repository.open(root)
    for number in range(2, _VERSIONS + 1):
        _another_version(repository, "churn_features", number)
        _another_version(repository, "churn_record", number)
        _run("release churn", work, root)
    write_text(complete, state)
    return repository


def _commands() -> Iterator[str]:
    yield "train churn"
    yield "export runs/churn/latest --format onnx"
    yield "export exporters.efficientnet_lite0:model --format onnx"
    yield "publish ensembles.efficientnet_lite0:onnx_ensemble"
    yield "publish runs/churn/latest"
    yield "release churn"
    yield "release image_classifier"


def _run(words: str, work: Path, root: Path) -> None:
    options = [] if words.startswith("train") else ["--repository", str(root)]
    ended = run([*TRIMARAN, *words.split(), *options], cwd=work, capture_output=True, text=True)
    if ended.returncode:
        raise TrimaranError(f"trimaran {words} failed:\n{(ended.stdout + ended.stderr)[-2000:]}")


def _another_version(repository: Repository, model: str, number: int) -> None:
    """Publish the newest version once more, with another note in it."""
    newest = repository.newest(model)
    if newest is None or newest.manifest is None:
        raise TrimaranError(f"{model} has no version")
    with repository.staging() as scratch:
        staged = scratch / "version"
        shutil.copytree(newest.path, staged, ignore=shutil.ignore_patterns("manifest.json"))
        write_text(staged / "note.txt", f"{number}\n")
        manifest = describe_version(staged, newest.manifest.format, repository.root)
        publish(repository, repository.config(model), staged, manifest)


@dataclass(frozen=True)
class Facts:
    """What a tritonserver holds."""

    threads: int
    zombies: int
    descriptors: int
    regions: int
    """Files of shared memory."""
    resident_mb: int
    stubs: int
    stubs_mb: int
    """The memory of all stubs, in which what they share counts once for each."""

    @classmethod
    def of(cls, pid: int) -> Facts:
        """Those of a living process."""
        directory = Path(f"/proc/{pid}")
        stubs = [child for child in children(pid) if identify_stub(child) is not None]
        return cls(
            threads=sum(1 for _ in (directory / "task").iterdir()),
            zombies=sum(map(is_zombie, children(pid))),
            descriptors=sum(1 for _ in (directory / "fd").iterdir()),
            regions=len(shared_memory(pid)),
            resident_mb=resident_bytes(pid) // 2**20,
            stubs=len(stubs),
            stubs_mb=sum(map(resident_bytes, stubs)) // 2**20,
        )

    def record(self) -> dict[str, int]:
        """As plain numbers."""
        return asdict(self)


class Service:
    """`trimaran serve` during a block, on free ports that it keeps when it is started again."""

    def __init__(self, repository: Repository, *options: str) -> None:
        self.repository = repository
        self.ports = free_ports()
        self.endpoint = Endpoint.of(self.ports)
        self.log = repository.root.parent / "serve.log"
        ports = {name: port for name, port in asdict(self.ports).items() if name != "host"}
        self._command = [
            *(*TRIMARAN, "serve", "--repository", str(repository.root), *options),
            *(f"--{name}-port={port}" for name, port in ports.items()),
        ]
        self._pool = urllib3.PoolManager(retries=False, timeout=10.0)

    def __enter__(self) -> Self:
        self.log.unlink(missing_ok=True)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.end(_END_S)

    def start(self) -> float:
        """Start it, and wait until it is ready; the seconds. Raises `TrimaranError`."""
        began, offset = time.monotonic(), self.log_size
        with self.log.open("ab") as log:
            self.process = Child(self._command, stdout=log, stderr=STDOUT)

        def done() -> bool:
            return "ready in" in self.said(offset) or self.process.has_ended()

        if not until(done, _START_S) or self.process.has_ended():
            self.process.kill()
            raise TrimaranError(f"trimaran serve did not start:\n{self.said(offset)[-2000:]}")
        return time.monotonic() - began

    @property
    def control(self) -> Control:
        """The server's control plane, with its secret of now."""
        return Control(self.endpoint, server_secret(self.repository))

    @property
    def server_pid(self) -> int:
        """The tritonserver that answers; 0 while there is none."""
        found = find_server(self.repository)
        return found.server_pid if found else 0

    @property
    def log_size(self) -> int:
        """The bytes that it has printed."""
        return self.log.stat().st_size if self.log.exists() else 0

    def said(self, offset: int = 0) -> str:
        """What it has printed since its output had `offset` bytes."""
        with self.log.open("rb") as file:
            file.seek(offset)
            return file.read().decode(errors="replace")

    def stubs(self) -> list[Stub]:
        """The living stubs, by process id."""
        found = map(identify_stub, sorted(children(self.server_pid)))
        return [stub for stub in found if stub is not None]

    def facts(self) -> Facts:
        """What tritonserver holds, once there is one. Raises `TrimaranError` where none comes."""
        while not self.process.has_ended():
            with suppress(FileNotFoundError, ProcessLookupError):
                return Facts.of(self.server_pid)
            time.sleep(_POLL_S)
        raise TrimaranError(f"trimaran serve ended:\n{self.said()[-2000:]}")

    def counters(self) -> Mapping[str, float]:
        """The supervisor's counters, summed over models; empty while it does not answer."""
        url = f"http://{self.ports.host}:{self.ports.supervisor}/metrics"
        totals: dict[str, float] = {}
        with suppress(urllib3.exceptions.HTTPError):
            text = self._pool.request("GET", url).data.decode()
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    totals[sample.name] = totals.get(sample.name, 0.0) + sample.value
        return totals
