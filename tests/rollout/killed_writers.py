"""Writers of a ledger that are killed in the middle, each of which says which lines it finished.

    python killed_writers.py DIRECTORY TIMES

prints, as JSON, the texts of the lines that were finished, in order.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from trimaran.rollout.ledger import Ledger

LONG = "x" * 20_000
"""Of a line that takes long enough to write for a kill to cut it."""


def write(directory: Path, writer: int, done: int) -> None:
    """Add lines until killed, and say of each, when it is done, which one it is."""
    number = 0
    while True:
        text = f"{writer}-{number}"
        with Ledger(directory).writing() as ledger:
            ledger.add("anna", "noted", "churn/1", {"text": text, "long": LONG})
        os.write(done, f"{text}\n".encode())
        number += 1


def kill_one(directory: Path, writer: int, chance: random.Random) -> list[str]:
    """The lines that a writer finished before it was killed."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        write(directory, writer, writing)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as file:
        first = file.readline()
        time.sleep(chance.uniform(0, 0.01))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        return [first.strip(), *file.read().split()]


if __name__ == "__main__":
    place, times, drawn = Path(sys.argv[1]), int(sys.argv[2]), random.Random(0)
    print(json.dumps([each for turn in range(times) for each in kill_one(place, turn, drawn)]))
