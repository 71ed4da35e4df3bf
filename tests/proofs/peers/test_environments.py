"""What a peer's environment is made from, and when it is complete; nothing is installed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from proofs.peers.catalogue import PEERS, Start, peer_named
from proofs.peers.environments import (
    digest,
    environment_of,
    make,
    marker_text,
    pinned_version,
    python_of,
    requirements_of,
)
from proofs.peers.setting import Setting
from trimaran.system.errors import TrimaranError, UsageError


def test_a_digest_is_of_packages_and_interpreter() -> None:
    text = "b==2\n# why\na==1\n"
    assert digest(text, "3.11.7") == digest("a==1\nb==2", "3.11.7")
    assert digest(text, "3.11.7") != digest(text, "3.12.1")
    assert digest(text, "3.11.7") != digest("a==1\nb==3", "3.11.7")


@pytest.mark.parametrize("name", PEERS)
def test_every_package_of_a_peer_is_pinned(name: str) -> None:
    lines = requirements_of(PEERS[name]).read_text().splitlines()
    packages = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.!+-]+", line) for line in packages)
    assert {"numpy", "onnxruntime", "orjson", "pillow"} <= {
        line.partition("==")[0].lower() for line in packages
    }
    assert re.match(r"\d", pinned_version(PEERS[name]))


def test_the_job_runs_on_the_same_libraries_in_every_peer() -> None:
    shared = [
        {
            line
            for line in requirements_of(peer).read_text().splitlines()
            if line.startswith(("numpy==", "onnxruntime==", "orjson==", "pillow=="))
        }
        for peer in PEERS.values()
    ]
    assert all(found == shared[0] for found in shared)


def test_an_environment_counts_when_its_marker_says_what_it_was_made_from(tmp_path: Path) -> None:
    peer = PEERS["litserve"]
    environment = environment_of(peer, tmp_path)
    assert environment == tmp_path / ".trimaran" / "peers" / "litserve"
    remedy = "make it with 'python -m proofs.peers.environments --peer litserve'"
    with pytest.raises(TrimaranError, match=remedy):
        python_of(peer, tmp_path)
    environment.mkdir(parents=True)
    (environment / "complete").write_text("another\n")
    with pytest.raises(TrimaranError, match=remedy):
        python_of(peer, tmp_path)
    (environment / "complete").write_text(marker_text(peer))
    assert python_of(peer, tmp_path) == environment / "bin" / "python"
    assert make(peer, tmp_path) == environment
    assert sorted(entry.name for entry in environment.iterdir()) == ["complete"]


def test_an_unknown_peer_is_refused_with_the_known_names() -> None:
    with pytest.raises(UsageError, match="no peer 'torchserve'; choose from fastapi, litserve"):
        peer_named("torchserve")


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("job", ["photograph", "record"])
def test_every_peer_listens_on_loopback_at_the_port_given(
    name: str, job: str, tmp_path: Path
) -> None:
    peer = PEERS[name]
    start = Start(Path("python"), (7001, 7002, 7003), tmp_path, job, peer.settings[job])
    written = " ".join(peer.command(start))
    written += " ".join(path.read_text() for path in tmp_path.glob("*.json"))
    assert "7001" in written
    if name not in ("litserve", "ray"):  # whose own files say so
        assert "127.0.0.1" in written


def test_a_setting_survives_the_environment_and_is_shown_in_words() -> None:
    setting = Setting(workers=1, threads=2, batch=8, wait_ms=1.5, servers=1, fast=True)
    assert Setting.from_json(setting.to_json()) == setting
    assert str(setting) == (
        "1 worker, 2 threads, batches to 8 within 1.5 ms, 1 HTTP process, high-rate switch"
    )
