"""`trimaran export` is killed at any moment, and the repository stays whole."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import pytest
import torch

from exporters.torch_state import quiet
from tests.exporters.forks import Forks, forks
from trimaran.repository.repository import Repository, Version

FACTORY = "tests.models:linear_seeded"
MOMENTS = ("before", "while", "after")
NAMES = 7
"""Models that the exports share, so that first and later versions are interrupted."""


def load(version: Version) -> None:
    """Load a version in the runtime of its format. Raises what that raises."""
    path = version.path / "model.onnx"
    if path.is_file():
        onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    else:
        with quiet():
            torch.jit.load(version.path / "model.pt")


def versions(repository: Repository) -> list[Version]:
    return [version for name in repository.names() for version in repository.versions(name)]


def check_whole(repository: Repository, loaded: set[Path]) -> None:
    """Check that nothing in the repository is half-published; each version is loaded once."""
    assert {entry.name for entry in repository.root.iterdir()} == set(repository.names())
    for name in repository.names():
        assert repository.config(name).input
        assert repository.newest(name) is not None
        for entry in repository.model(name).iterdir():
            assert entry.name == "config.pbtxt" or entry.name.isdigit()
    for version in versions(repository):
        assert version.problem is None
        assert version.manifest is not None
        assert version.manifest.damage(version.path, hashes=True) is None
        if version.path not in loaded:
            load(version)
            loaded.add(version.path)


def spin(condition: Callable[[], object]) -> None:
    """Wait for a moment of a few milliseconds, too short for `wait_for`."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.0002)


class Exports:
    """Exports of ever new weights, each in a separate process."""

    def __init__(self, repository: Repository, interpreter: Forks) -> None:
        self.repository = repository
        self.interpreter = interpreter
        self.seed = 0

    def start(self, format: str) -> int:
        self.seed += 1
        return self.interpreter.start(
            "export", FACTORY, "--format", format, "--name", f"linear_{self.seed % NAMES}",
            "--repository", self.repository.root, TRIMARAN_TEST_SEED=str(self.seed),
        )  # fmt: skip

    def finish(self, format: str) -> float:
        """One export that nobody kills; the seconds that it took."""
        before = len(versions(self.repository))
        began = time.monotonic()
        self.start(format)
        assert self.interpreter.end() == "exit 0"
        took_s = time.monotonic() - began
        assert len(versions(self.repository)) == before + 1
        assert self.left_in_staging() == []
        return took_s

    def kill(self, format: str, when: Moment) -> str:
        """One export, killed at a moment if it is still there; what it had come to by then."""
        self.published, self.abandoned = set(self.numbers()), set(self.left_in_staging())
        process = self.start(format)
        when(self)
        os.kill(process, signal.SIGKILL)
        if self.interpreter.end() != "signal 9":
            return "finished"
        if self.has_published():
            return "killed after publishing"
        return f"killed {'while' if self.is_publishing() else 'before'} publishing"

    def numbers(self) -> list[Path]:
        """Version directories, whole or not."""
        return list(self.repository.root.glob("*/[1-9]*"))

    def has_published(self) -> bool:
        """Whether there is a version that was not there before the last `kill`."""
        return not self.published.issuperset(self.numbers())

    def is_publishing(self) -> bool:
        """Whether a version lies in the staging directory, verified and with its manifest."""
        fresh = set(self.left_in_staging()) - self.abandoned
        places = "content/version/manifest.json", "content/version.model/1/manifest.json"
        return any((scratch / place).is_file() for scratch in fresh for place in places)

    def left_in_staging(self) -> list[Path]:
        staging = self.repository.state / "staging"
        return [entry for entry in staging.iterdir() if entry.is_dir()]


Moment = Callable[[Exports], None]


def any_moment(chance: random.Random, took_s: float) -> Moment:
    """Some time of an export that takes `took_s`, the first half of it more often."""
    return lambda exports: time.sleep(chance.uniform(0, chance.choice([took_s / 2, took_s])))


def while_publishing(exports: Exports) -> None:
    spin(lambda: exports.is_publishing() or exports.has_published())


def soon_after_publishing_began(chance: random.Random) -> Moment:
    def wait(exports: Exports) -> None:
        while_publishing(exports)
        time.sleep(chance.uniform(0, 0.004))

    return wait


def once_published(exports: Exports) -> None:
    spin(exports.has_published)


KILLS = {"torchscript": 20, "onnx": 4}
"""How often an export in a format is killed."""


@pytest.mark.long
def test_killed_exports_leave_only_whole_versions(empty_repository: Repository) -> None:
    chance = random.Random(20_240_229)
    outcomes: Counter[str] = Counter()
    loaded: set[Path] = set()
    with forks() as interpreter:
        exports = Exports(empty_repository, interpreter)
        for format, kills in KILLS.items():
            if not kills:
                continue
            took_s = exports.finish(format)
            at_random = any_moment(chance, took_s)
            moments = itertools.cycle(
                (while_publishing, at_random, once_published, soon_after_publishing_began(chance))
            )
            killed = 0
            while killed < kills or not all(outcomes[f"killed {m} publishing"] for m in MOMENTS):
                outcome = exports.kill(format, next(moments))
                outcomes[outcome] += 1
                killed += outcome != "finished"
                assert outcomes.total() < 100, f"no export is killed at some moment: {outcomes}"
                check_whole(empty_repository, loaded)
                if killed % 10 == 9:
                    exports.finish(format)
            exports.finish(format)
        check_whole(empty_repository, loaded)
    assert sum(outcomes.values()) - outcomes["finished"] >= sum(KILLS.values())
