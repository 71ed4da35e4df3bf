"""A child of a command that is interrupted or killed at any moment."""

from __future__ import annotations

import os
import random
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


@pytest.mark.parametrize("early", [False, True])
def test_a_child_ends_when_its_parent_is_killed(early: bool) -> None:
    """Also a parent that is gone before the child could ask for it."""
    parent = (
        "import os, signal, subprocess, sys; from trimaran.system import processes\n"
        f"early = {early}\n"
        "def late(**options):\n"
        "    os.kill(options['of'], signal.SIGKILL)\n"
        "    while os.getppid() == options['of']: pass\n"
        "    os.write(1, b'%d\\n' % os.getpid())\n"
        "    original(**options)\n"
        "original = processes.end_with_parent\n"
        "if early: processes.end_with_parent = late\n"
        "child = processes.Child(['/bin/sleep', '60'])\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", parent], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    started = start_time(child)
    process.kill()
    process.wait()
    process.stdout.close()
    wait_for(lambda: not started or start_time(child) != started, 20, "the child's end")


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
