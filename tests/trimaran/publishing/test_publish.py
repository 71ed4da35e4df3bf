"""A version appears in one rename, only if it is new, and never changes what people decided."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.running import PROJECT
from tests.trimaran.versions import model_config, publish_files, tensor
from trimaran.publishing.publish import Publication
from trimaran.repository.config import ModelConfig, parse_config, write_config
from trimaran.repository.repository import Repository
from trimaran.system.errors import ConfigError, TrimaranError

EDITED = """\
# Two instances: one core each.
name: "m"
backend: "onnxruntime"
max_batch_size: 16   # measured
input [ { name: "x", data_type: TYPE_FP32, dims: [4] } ]
output [ { name: "y", data_type: TYPE_FP32, dims: [ 4 ] } ]
instance_group { count: 2 kind: KIND_CPU }
parameters { key: "intra_op_thread_count" value { string_value: "1" } }
"""


def staging_is_empty(repository: Repository) -> bool:
    staging = repository.state / "staging"
    return not staging.is_dir() or not [entry for entry in staging.iterdir() if entry.is_dir()]


def test_the_first_version_comes_with_its_whole_model_directory(
    empty_repository: Repository,
) -> None:
    published = publish_files(empty_repository, model_config("m"), {"model.onnx": b"one"})
    assert str(published) == "m version 1"
    directory = empty_repository.model("m")
    assert sorted(entry.name for entry in directory.iterdir()) == ["1", "config.pbtxt"]
    assert sorted(e.name for e in (directory / "1").iterdir()) == ["manifest.json", "model.onnx"]
    assert empty_repository.config("m") == model_config("m")
    assert {directory.stat().st_mode & 0o777, (directory / "1").stat().st_mode & 0o777} == {0o755}
    assert staging_is_empty(empty_repository)


def test_equal_content_is_unchanged(empty_repository: Repository) -> None:
    for unchanged in (False, True, True):
        published = publish_files(empty_repository, model_config("m"), {"model.onnx": b"one"})
        assert (published.version, published.unchanged) == (1, unchanged)
    assert str(published) == "m version 1 (unchanged)"
    assert len(empty_repository.versions("m")) == 1
    assert staging_is_empty(empty_repository)


def test_other_content_is_the_next_version(empty_repository: Repository) -> None:
    contents = [b"one", b"two", b"one", b"one"]
    published = [
        publish_files(empty_repository, model_config("m"), {"model.onnx": content})
        for content in contents
    ]
    assert [(p.version, p.unchanged) for p in published] == [
        (1, False), (2, False), (3, False), (3, True),
    ]  # fmt: skip
    assert (empty_repository.model("m") / "1" / "model.onnx").read_bytes() == b"one"
    assert (empty_repository.model("m") / "2" / "model.onnx").read_bytes() == b"two"


def test_equal_content_heals_a_version_that_was_damaged(empty_repository: Repository) -> None:
    publish_files(empty_repository, model_config("m"), {"model.onnx": b"one"})
    for damaged in (b"on", b"One"):
        newest = empty_repository.newest("m")
        assert newest is not None
        (newest.path / "model.onnx").write_bytes(damaged)
        published = publish_files(empty_repository, model_config("m"), {"model.onnx": b"one"})
        assert (published.version, published.unchanged) == (newest.number + 1, False)
        assert (newest.path / "model.onnx").read_bytes() == damaged


def test_a_number_that_was_used_is_not_used_again(empty_repository: Repository) -> None:
    publish_files(empty_repository, model_config("m"), {"model.onnx": b"one"})
    (empty_repository.model("m") / "7").mkdir()
    published = publish_files(empty_repository, model_config("m"), {"model.onnx": b"two"})
    assert published.version == 8


def test_an_edited_configuration_survives_byte_for_byte(empty_repository: Repository) -> None:
    publish_files(empty_repository, model_config("m"), {"model.onnx": b"one"})
    path = empty_repository.config_path("m")
    path.write_text(EDITED)
    before = path.stat().st_mtime_ns
    for content in (b"two", b"two", b"three"):
        publish_files(empty_repository, model_config("m"), {"model.onnx": content})
    assert path.read_text() == EDITED
    assert path.stat().st_mtime_ns == before
    assert len(empty_repository.versions("m")) == 3


@pytest.mark.parametrize("content", [b"one", b"two"], ids=["unchanged", "new"])
def test_a_configuration_that_was_removed_is_written_again(
    empty_repository: Repository, content: bytes
) -> None:
    publish_files(empty_repository, model_config("m"), {"model.onnx": b"one"})
    empty_repository.config_path("m").unlink()
    publish_files(empty_repository, model_config("m"), {"model.onnx": content})
    assert empty_repository.config("m") == model_config("m")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (model_config("m", (tensor("x", "FP32", 5),)), ["'x'", "FP32 [4]", "FP32 [5]"]),
        (model_config("m", (tensor("x", "FP16"),)), ["'x'", "FP32 [4]", "FP16 [4]"]),
        (model_config("m", outputs=(tensor("z"),)), ["'y'", "only in config.pbtxt"]),
        (model_config("m", max_batch_size=0), ["max_batch_size: config.pbtxt has 8"]),
    ],
)
def test_another_interface_is_refused_with_both_values(
    empty_repository: Repository, config: ModelConfig, said: list[str]
) -> None:
    publish_files(empty_repository, model_config("m"), {"model.onnx": b"one"})
    with pytest.raises(ConfigError, match="under a new model name") as refused:
        publish_files(empty_repository, config, {"model.onnx": b"two"})
    for part in (*said, str(empty_repository.config_path("m"))):
        assert part in str(refused.value)
    assert len(empty_repository.versions("m")) == 1
    assert staging_is_empty(empty_repository)


@pytest.mark.parametrize("text", ["nonsense", EDITED.replace("dims: [4]", "dims: [ ]")])
def test_a_standing_configuration_that_is_broken_is_refused(
    empty_repository: Repository, text: str
) -> None:
    publish_files(empty_repository, model_config("m"), {"model.onnx": b"one"})
    empty_repository.config_path("m").write_text(text)
    with pytest.raises(ConfigError, match=r"m/config\.pbtxt: "):
        publish_files(empty_repository, model_config("m"), {"model.onnx": b"two"})
    assert empty_repository.config_path("m").read_text() == text


def test_a_configuration_without_tensors_is_tritons_to_complete(
    empty_repository: Repository,
) -> None:
    write_config(empty_repository.config_path("m"), parse_config("max_batch_size: 8", "here"))
    assert publish_files(empty_repository, model_config("m"), {"a": b"one"}).version == 1
    assert empty_repository.config_path("m").read_text() == "max_batch_size: 8\n"


def test_publishers_at_the_same_time_all_get_a_version_of_their_own(
    empty_repository: Repository,
) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.trimaran.versions",
             str(empty_repository.root), "m", label, "8"],
            cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for label in ("a", "b", "c")
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    numbers = []
    for process in processes:
        printed, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        numbers += [int(line) for line in printed.split()]
    assert sorted(numbers) == list(range(1, 25))
    versions = empty_repository.versions("m")
    assert [version.number for version in versions] == sorted(numbers)
    contents = set()
    for version in versions:
        assert version.problem is None
        assert version.manifest is not None
        assert version.manifest.damage(version.path, hashes=True) is None
        contents.add(version.manifest.content)
    assert len(contents) == 24
    names = {entry.name for entry in empty_repository.model("m").iterdir()}
    assert names == {"config.pbtxt", *map(str, numbers)}
    assert staging_is_empty(empty_repository)


def test_the_same_content_published_at_the_same_time_is_one_version(
    empty_repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits for the others just before its rename, where only one can be."""
    together = threading.Barrier(3)
    fsync = os.fsync

    def flush(descriptor: int) -> None:
        with suppress(threading.BrokenBarrierError):
            together.wait(0.5)
        fsync(descriptor)

    def one(_: int) -> Publication:
        return publish_files(empty_repository, model_config("m"), {"model.onnx": b"one"})

    monkeypatch.setattr(os, "fsync", flush)
    with ThreadPoolExecutor(3) as pool:
        published = list(pool.map(one, range(3)))
    assert [each.version for each in published] == [1, 1, 1]
    assert sorted(each.unchanged for each in published) == [False, True, True]


def test_files_are_on_the_disk_before_the_version_has_its_number(
    empty_repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: set[int] = set()
    first: list[set[int]] = []
    fsync, rename = os.fsync, os.rename

    def flush(descriptor: int) -> None:
        fsync(descriptor)
        flushed.add(os.fstat(descriptor).st_ino)

    def move(source: Path, target: Path) -> None:
        first.append(set(flushed))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "rename", move)
    publish_files(empty_repository, model_config("m"), {"model.onnx": b"one"})
    version = empty_repository.version("m", 1).path
    names = {path.name for path in version.iterdir()}
    assert names == {"model.onnx", "manifest.json"}
    assert first[0] >= {path.stat().st_ino for path in version.iterdir()}


def test_a_model_directory_on_another_file_system_is_reported(tmp_path: Path) -> None:
    elsewhere = Path("/dev/shm")  # noqa: S108 - a second file system, not a place for secrets
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system here")
    mounted = elsewhere / f"trimaran-test-{tmp_path.name}-{tmp_path.stat().st_ino}"
    repository = Repository.create(tmp_path / "model_repository")
    mounted.mkdir()
    try:
        repository.model("m").symlink_to(mounted)
        with pytest.raises(TrimaranError, match="mount its parent directory instead"):
            publish_files(repository, model_config("m"), {"model.onnx": b"one"})
    finally:
        for path in mounted.iterdir():
            path.unlink()
        mounted.rmdir()
