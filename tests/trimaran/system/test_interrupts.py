"""A child of a command that is interrupted at any moment."""

from __future__ import annotations

import random
import signal
import subprocess
from contextlib import suppress

from tests.running import wait_for
from trimaran.system.interrupts import has_ended


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_an_interrupt_at_any_moment_leaves_a_child_that_can_be_waited_for() -> None:
    chance = random.Random(0)
    process = subprocess.Popen(["/bin/sleep", "60"])
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for _ in range(300):
            with suppress(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0005, 0.001))
                while not has_ended(process):
                    pass
    finally:
        signal.signal(signal.SIGALRM, before)
        process.kill()
    assert process.wait(10) == -signal.SIGKILL
    assert has_ended(process)


def test_the_end_of_a_child_is_seen_and_its_status_is_kept() -> None:
    process = subprocess.Popen(["/bin/sh", "-c", "read line; exit 3"], stdin=subprocess.PIPE)
    assert not has_ended(process)
    assert process.stdin is not None
    process.stdin.close()
    wait_for(lambda: has_ended(process), 20, "its end")
    assert has_ended(process)
    assert process.wait() == 3
