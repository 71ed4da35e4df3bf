"""A peer is really served, answers as the job does, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests.generator.engine import closed_loop
from loadtests.payloads import draw_photographs
from proofs.jobs.customers import draw_customers
from proofs.jobs.job import open_job
from proofs.jobs.published import photograph_files, record_files
from proofs.peers.catalogue import PEERS
from proofs.peers.check import check_equal, difference
from proofs.peers.service import PeerService, serve_peer
from tests.running import PROJECT, Served, wait_for
from trimaran.system.errors import TrimaranError
from trimaran.system.processes import children, cpu_s, start_time

HERE = Path(sys.executable)


def test_records_by_fastapi_are_equal_and_leave_nothing_behind(churn_served: Served) -> None:
    files = record_files(churn_served.repository)
    records = [json.dumps(record).encode() for record in draw_customers(20, seed=2)]
    with serve_peer(PEERS["fastapi"], files, records[0], python=HERE) as service:
        check_equal(service, open_job(files), records)
        assert len(service.processes()) >= 4  # the keeper, uvicorn, two workers
        before = cpu_s(service.pid)
        outcome = closed_loop(service.traffic(records), connections=4, seconds=0.3)
        assert outcome.good.all()
        assert outcome.good.size > 0
        assert cpu_s(service.pid) > before
        with service.resting():
            below = service.processes() - {service.pid}
            wait_for(lambda: {state(pid) for pid in below} == {"T"}, 5, "their stop")
            assert state(service.pid) != "T"
        check_equal(service, open_job(files), records)
        refuse(service, b'{"tenur": 1}', "422")
        refuse(service, b'{"total_day_minutes": "many"}', "422")
        began = {pid: start_time(pid) for pid in service.processes()}
    assert not [pid for pid, ticks in began.items() if ticks and start_time(pid) == ticks]


def test_photographs_by_fastapi_are_equal(served: Served) -> None:
    files = photograph_files(served.repository)
    photographs = draw_photographs(3, seed=2)
    peer = PEERS["fastapi"]
    with serve_peer(peer, files, photographs[0], python=HERE) as service:
        check_equal(service, open_job(files), photographs)
        refuse(service, b"no photograph", "400")


def state(pid: int) -> str:
    """As in `/proc`: T for a process that is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def refuse(service: PeerService, data: bytes, status: str) -> None:
    with pytest.raises(TrimaranError, match=f"FastAPI answered {status}"):
        service.ask(data)


def test_a_peer_that_does_not_start_says_why(churn_served: Served) -> None:
    files = record_files(churn_served.repository)
    with (
        pytest.raises(TrimaranError, match=r"LitServe did not start: .*No module named 'litserve'"),
        serve_peer(PEERS["litserve"], files, b"{}", python=HERE),
    ):
        pass


def test_the_keeper_ends_what_hides_from_it(tmp_path: Path) -> None:
    """A grandchild in a session of its own, whose parent is gone and who ignores SIGTERM."""
    hidden = (
        "import os, signal, sys, time\n"
        "if os.fork(): os._exit(0)\n"
        "os.setsid()\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "open(sys.argv[1], 'w').write(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    command = "import subprocess, sys, time; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"
    note = tmp_path / "pid"
    inner = [sys.executable, "-c", f"{command}; time.sleep(600)", hidden, str(note)]
    keeper = subprocess.Popen([sys.executable, "-m", "proofs.peers.keeper", *inner], cwd=PROJECT)
    pid = int(wait_for(lambda: note.exists() and note.read_text(), 30, "the hidden process"))
    ticks = start_time(pid)
    wait_for(lambda: pid in children(keeper.pid), 30, "its adoption")
    keeper.send_signal(signal.SIGTERM)
    keeper.wait(60)
    assert ticks
    assert start_time(pid) != ticks


def test_the_keeper_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    inner = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)"
    outer = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-m', 'proofs.peers.keeper', sys.executable, '-c',"
        " *sys.argv[1:]])\n"
        "time.sleep(600)\n"
    )
    starter = subprocess.Popen([sys.executable, "-c", outer, inner, str(note)], cwd=PROJECT)
    pid = int(wait_for(lambda: note.exists() and note.read_text(), 30, "the inner process"))
    ticks = start_time(pid)
    os.kill(starter.pid, signal.SIGKILL)
    starter.wait()
    wait_for(lambda: start_time(pid) != ticks, 30, "its end")


@pytest.mark.parametrize(
    ("job", "found", "words"),
    [
        ("record", {"churn_probability": 0.5 + 9e-7, "churn_prediction": True}, ""),
        ("record", {"churn_probability": 0.5 + 2e-6, "churn_prediction": True}, "apart"),
        ("record", {"churn_probability": float("nan"), "churn_prediction": True}, "apart"),
        ("record", {"churn_probability": 0.5, "churn_prediction": False}, "prediction False"),
        ("photograph", {"label": ["cat", "dog"], "probability": [0.6, 0.3]}, ""),
        ("photograph", {"label": ["dog", "cat"], "probability": [0.6, 0.3]}, "expected"),
        ("photograph", {"label": ["cat", "dog"], "probability": [0.6, 0.31]}, "apart"),
    ],
)
def test_answers_that_differ_are_reported(job: str, found: dict[str, object], words: str) -> None:
    wanted = {
        "record": {"churn_probability": 0.5, "churn_prediction": True},
        "photograph": {"label": ["cat", "dog"], "probability": [0.6, 0.3]},
    }[job]
    said = difference(job, found, wanted)
    assert words in said
    assert bool(said) == bool(words)
