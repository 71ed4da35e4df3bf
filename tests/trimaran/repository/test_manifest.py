"""What a version holds, and where it came from."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trimaran.repository.manifest import (
    FileEntry,
    Manifest,
    content_digest,
    describe_files,
    git_commit,
    library_versions,
    now,
)
from trimaran.system.errors import TrimaranError


@pytest.fixture
def version(tmp_path: Path) -> Path:
    """A version directory with two files and no manifest."""
    (tmp_path / "1" / "data").mkdir(parents=True)
    (tmp_path / "1" / "model.onnx").write_bytes(b"weights")
    (tmp_path / "1" / "data" / "labels.txt").write_text("cat\ndög\n", encoding="utf-8")
    return tmp_path / "1"


def manifest_of(directory: Path) -> Manifest:
    files = describe_files(directory)
    return Manifest(
        format="onnx",
        content=content_digest(files, {}),
        files=files,
        source={"factory": "a:b", "git_commit": ""},
        libraries=library_versions("numpy"),
        target={"opset": 18},
        parity=[{"output": "y", "passed": True}],
        created_at=now(),
    )


def test_what_is_written_is_read_back(version: Path) -> None:
    manifest = manifest_of(version)
    manifest.write(version)
    assert Manifest.read(version) == manifest
    assert describe_files(version) == manifest.files


def test_every_file_is_described_by_its_digest_and_size(version: Path) -> None:
    entry = FileEntry(hashlib.sha256(b"weights").hexdigest(), 7)
    files = describe_files(version)
    assert list(files) == ["data/labels.txt", "model.onnx"]
    assert files["model.onnx"] == entry
    assert manifest_of(version).size == 7 + len("cat\ndög\n".encode())


def test_only_a_manifest_of_the_version_itself_is_left_out(version: Path) -> None:
    (version / "manifest.json").write_text("{}")
    (version / "data" / "manifest.json").write_text("{}")
    assert list(describe_files(version)) == ["data/labels.txt", "data/manifest.json", "model.onnx"]


def test_content_is_identified_by_names_and_digests(version: Path) -> None:
    files = describe_files(version)
    digest = content_digest(files, {})
    assert content_digest(dict(reversed(files.items())), {}) == digest
    assert content_digest({**files, "more": FileEntry("0", 0)}, {}) != digest
    assert content_digest(files, {"model.onnx": "another"}) != digest
    renamed = {name.replace("model", "network"): entry for name, entry in files.items()}
    assert content_digest(renamed, {}) != digest
    resized = {**files, "model.onnx": FileEntry("whatever", 1)}
    assert content_digest(resized, {"model.onnx": "another"}) == content_digest(
        files, {"model.onnx": "another"}
    )


def test_damage_is_reported_by_file(version: Path) -> None:
    manifest = manifest_of(version)
    assert manifest.damage(version, hashes=True) is None
    (version / "model.onnx").write_bytes(b"WEIGHTS")
    assert manifest.damage(version) is None
    assert manifest.damage(version, hashes=True) == "model.onnx was altered after it was published"
    for content in (b"wei", b"weights and more"):
        (version / "model.onnx").write_bytes(content)
        found = manifest.damage(version)
        assert found == f"model.onnx has {len(content)} bytes, not the published 7"
    (version / "model.onnx").unlink()
    assert manifest.damage(version) == "model.onnx is missing"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not a manifest"),
        ("{", "is not a manifest"),
        ("[]", "is not a manifest"),
        ("null", "is not a manifest"),
        ("{}", "is not a manifest"),
        ('{"schema": 1}', "is not a manifest"),
        ('{"schema": 1, "files": []}', "is not a manifest"),
        ('{"schema": 1, "files": {"a": 3}}', "is not a manifest"),
        ('{"schema": 2}', "written by a newer trimaran"),
        ("\xff\xfe", "is not a manifest"),
    ],
)
def test_what_is_not_a_manifest_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(TrimaranError) as refused:
        Manifest.read(tmp_path)
    assert str(tmp_path / "manifest.json") in str(refused.value)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_directory_without_a_manifest_says_so(tmp_path: Path) -> None:
    with pytest.raises(TrimaranError, match=r"has no manifest\.json"):
        Manifest.read(tmp_path)


def git(directory: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    command = ["git", "-C", str(directory), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_commit_says_when_there_are_local_changes(tmp_path: Path) -> None:
    assert git_commit(tmp_path) == ""
    git(tmp_path, "init", "--quiet")
    assert git_commit(tmp_path) == ""
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "--quiet", "--message=one")
    git(tmp_path, "tag", "v1")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert git_commit(tmp_path) == head
    (tmp_path / "file").write_text("two")
    assert git_commit(tmp_path) == f"{head}-dirty"
    assert git_commit(tmp_path / "missing") == ""


def test_the_time_is_utc_to_the_second() -> None:
    moment = datetime.fromisoformat(now())
    assert moment.utcoffset() == UTC.utcoffset(None)
    assert moment.microsecond == 0
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 5


def test_the_manifest_is_plain_json(version: Path) -> None:
    manifest_of(version).write(version)
    record = json.loads((version / "manifest.json").read_text())
    assert record["schema"] == 1
    assert record["files"]["model.onnx"]["size"] == 7
    assert record["libraries"]["numpy"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"source": []}, "object has no attribute"),
        ({"source": {"factory": 7}}, "7 is not text"),
        ({"parity": [1]}, "object has no attribute"),
        ({"parity": [{"largest_error": "0"}]}, "'0' is not a number"),
        ({"created_at": 5}, "5 is not text"),
        ({"files": {"a": {"sha256": "x", "size": "3"}}}, "'3' is not a number"),
    ],
)
def test_a_manifest_that_a_hand_has_changed_is_refused(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    Manifest("onnx", "c", {}, {}, {}).write(tmp_path)
    record = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**record, **change}))
    with pytest.raises(TrimaranError, match=f"is not a manifest: .*{reason}"):
        Manifest.read(tmp_path)


def test_a_manifest_that_is_no_file_or_too_deep_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text("[" * 100_000)
    with pytest.raises(TrimaranError, match="nested too deeply"):
        Manifest.read(tmp_path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(TrimaranError, match="is not a file"):
        Manifest.read(tmp_path)
