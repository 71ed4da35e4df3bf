"""A child of a command that is interrupted or killed at any moment."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.running import PROJECT, wait_for
from trimaran.system.processes import PIPE, Child, sigterm_as_interrupt, start_time


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_an_interrupt_at_any_moment_leaves_a_child_that_can_be_waited_for() -> None:
    chance = random.Random(0)
    process = Child(["/bin/sleep", "60"])
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for _ in range(300):
            with suppress(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0005, 0.001))
                while not process.has_ended():
                    pass
    finally:
        signal.signal(signal.SIGALRM, before)
        process.kill()
    assert process.status == -signal.SIGKILL
    assert process.has_ended()


def test_the_end_of_a_child_is_seen_and_its_status_is_kept() -> None:
    with Child(["/bin/sh", "-c", "read line; exit 3"], stdin=PIPE) as process:
        assert not process.has_ended()
        assert process.stdin is not None
        process.stdin.close()
        wait_for(process.has_ended, 20, "its end")
        assert process.has_ended()
        assert process.status == 3
    assert process.status == 3


def test_a_child_that_does_as_asked_is_not_killed(tmp_path: Path) -> None:
    words = "trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.01; done"
    process = Child(["/bin/sh", "-c", words], stdout=PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    output = os.dup(process.stdout.fileno())
    process.end(within_s=20)
    assert process.status == 5
    assert os.read(output, 100) == b"bye\n"
    os.close(output)


@pytest.mark.parametrize("reaction", ["trap '' TERM", "trap 'exit 0' TERM"])
def test_nothing_of_its_group_outlives_a_child(reaction: str) -> None:
    """Neither a child that ignores SIGTERM, nor what it started and left behind."""
    words = f"sleep 60 & echo $!; {reaction}; echo ready; while :; do sleep 0.01; done"
    process = Child(["/bin/sh", "-c", words], stdout=PIPE)
    assert process.stdout is not None
    below = int(process.stdout.readline())
    assert process.stdout.readline() == b"ready\n"
    started = start_time(below)
    assert started
    process.end(within_s=0.3)
    assert process.status == (0 if "exit" in reaction else -signal.SIGKILL)
    wait_for(lambda: start_time(below) != started, 20, "the end of what it started")


PARENT = """
import os, signal, sys
from trimaran.system import processes
if sys.argv[1] == "early":
    processes._LAUNCHER = (
        "import os, signal, sys\\n"
        "os.kill(os.getppid(), signal.SIGKILL)\\n"
        "while os.getppid() == int(sys.argv[1]): pass\\n"
    ) + processes._LAUNCHER
child = processes.Child(["/bin/sleep", "60"], stdout=1)
print("started", flush=True)
child.wait()
"""


@pytest.mark.parametrize("moment", ["early", "late"])
def test_a_child_ends_when_its_parent_is_killed(moment: str) -> None:
    """Also where the parent is gone before the child could ask the kernel for it."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, moment], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    if moment == "late":
        assert process.stdout.readline() == "started\n"
        process.kill()
    assert process.wait(20) == -signal.SIGKILL
    # The child holds the other end of the pipe, so this ends with it.
    assert wait_for(lambda: select.select([process.stdout], [], [], 0)[0], 20, "its end")
    assert process.stdout.read() == ""
    process.stdout.close()


@pytest.mark.parametrize("ends_with_parent", [True, False])
def test_what_cannot_be_started_says_why(tmp_path: Path, ends_with_parent: bool) -> None:
    script = tmp_path / "script"
    script.write_text("no program")
    with pytest.raises(PermissionError, match=str(script)):
        Child([script], ends_with_parent=ends_with_parent)
    script.chmod(0o755)
    with pytest.raises(OSError, match="Exec format error"):
        Child([script], ends_with_parent=ends_with_parent)
    with pytest.raises(FileNotFoundError, match="nothing-of-this-name"):
        Child(["nothing-of-this-name"], ends_with_parent=ends_with_parent)


@pytest.mark.parametrize("ends_with_parent", [True, False])
def test_a_child_is_started_as_any_program_is(tmp_path: Path, ends_with_parent: bool) -> None:
    """In its directory and environment, in a session of its own, with no signal ignored."""
    words = "pwd; echo $WORD; kill -s PIPE $$; echo not ended"
    with Child(
        ["sh", "-c", words],
        stdout=PIPE,
        directory=tmp_path,
        environment={"PATH": os.defpath, "WORD": "caf\udcff \u00e9"},
        ends_with_parent=ends_with_parent,
    ) as child:
        assert child.stdout is not None
        printed = child.stdout.read()
        assert child.status == -signal.SIGPIPE
    assert printed == os.fsencode(f"{tmp_path}\ncaf\udcff \u00e9\n")


def test_only_the_first_sigterm_is_an_interrupt() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with sigterm_as_interrupt():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
    with sigterm_as_interrupt(repeatedly=True):
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before
