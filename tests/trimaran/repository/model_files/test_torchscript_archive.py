"""TorchScript's archives as torch writes them, and archives that are something else."""

from __future__ import annotations

import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from trimaran.repository import target
from trimaran.repository.model_files.torchscript_archive import find_bomb, require_torchscript
from trimaran.system.errors import ArtifactError

OLD = Path(__file__).with_name("torch_1_13.pt")
"""A frozen `softmax(linear(x))`, four values to three, written by torch 1.13.1."""


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 8, 2, batch_first=True)
        self.head = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(x)[0][:, -1])


def written(path: Path, how: str) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module: Any = Reader().eval()
        module = (
            torch.jit.trace(module, torch.randn(2, 3, 4))
            if how == "traced"
            else torch.jit.script(module)
        )
        if how == "frozen":
            module = torch.jit.freeze(module)
        if how == "optimised":
            module = torch.jit.optimize_for_inference(module)
        extra = {"labels.txt": "cat\n" * 1000} if how == "extra files" else {}
        torch.jit.save(module, str(path), _extra_files=extra)
    return path


def entries_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path: Path, entries: Mapping[str, bytes], kind: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def test_the_version_of_newer_operators_lies_elsewhere(tmp_path: Path) -> None:
    """GELU has had a flag since file version 9, and with it torch writes `.data/version`."""
    path = tmp_path / "m.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.jit.script(nn.Sequential(nn.Linear(2, 2), nn.GELU()).eval())
        torch.jit.save(module, str(path))
    assert "m/.data/version" in entries_of(path)
    assert "m/version" not in entries_of(path)
    assert 5 < require_torchscript(path, "m.pt") <= target.TORCHSCRIPT_FILE_VERSION


@pytest.mark.parametrize("how", ["scripted", "traced", "frozen", "optimised", "extra files"])
def test_archives_as_torch_writes_them_are_taken(tmp_path: Path, how: str) -> None:
    path = written(tmp_path / "m.pt", how)
    with zipfile.ZipFile(path) as archive:
        assert any(entry.compress_type == zipfile.ZIP_DEFLATED for entry in archive.infolist())
    assert require_torchscript(path, "m.pt") <= target.TORCHSCRIPT_FILE_VERSION


def test_older_archives_are_taken(tmp_path: Path) -> None:
    """One by torch 1.13 itself, and two that are only made after the layout of older ones.

    The first has an older file version; the second `model.json` in place of pickles, as torch's
    `jit/serialization/import.cpp` still looks for it. Their content is not that of such torches.
    """
    assert require_torchscript(OLD, "m.pt") == 3
    entries = {name: content for name, content in entries_of(OLD).items() if ".data" not in name}
    version_2 = packed(tmp_path / "2.pt", {**entries, "torch_1_13/version": b"2\n"})
    assert require_torchscript(version_2, "m.pt") == 2
    legacy = {"m/version": b"1\n", "m/model.json": b"{}", "m/tensors/0": b"", "m/code/m.py": b""}
    assert require_torchscript(packed(tmp_path / "1.pt", legacy), "m.pt") == 1


def test_an_archive_that_was_packed_again_is_taken(tmp_path: Path) -> None:
    entries = entries_of(written(tmp_path / "m.pt", "scripted"))
    again = packed(tmp_path / "again.pt", entries, zipfile.ZIP_DEFLATED)
    assert require_torchscript(again, "m.pt") > 0


def test_every_entry_is_held_against_its_checksum(tmp_path: Path) -> None:
    path = written(tmp_path / "m.pt", "scripted")
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda entry: entry.compress_size)
    content = bytearray(path.read_bytes())
    name, padding = struct.unpack_from("<HH", content, largest.header_offset + 26)
    content[largest.header_offset + 30 + name + padding + largest.compress_size // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="is damaged"):
        require_torchscript(path, "m.pt")


SCRIPT = {"m/data.pkl": b"", "m/constants.pkl": b"", "m/version": b"3\n", "m/code/m.py": b""}


def test_no_archive_fills_the_memory(tmp_path: Path) -> None:
    zeros = {**SCRIPT, "m/code/m.py": bytes(2**25)}
    path = packed(tmp_path / "ratio.pt", zeros, zipfile.ZIP_DEFLATED)
    with pytest.raises(ArtifactError, match="bytes, which no model does; save it again"):
        require_torchscript(path, "m.pt")
    path = packed(tmp_path / "bzip2.pt", SCRIPT, zipfile.ZIP_BZIP2)
    with pytest.raises(ArtifactError, match="compressed in a way that torch cannot read"):
        require_torchscript(path, "m.pt")


def entry(packed: int, unpacked: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("m/code/m.py")
    info.compress_type = zipfile.ZIP_DEFLATED
    info.compress_size, info.file_size = packed, unpacked
    return info


@pytest.mark.parametrize(
    ("sizes", "size", "said"),
    [
        ([(10, 10**7)], 100, None),
        ([(10**6, 10**8)], 10**6, None),
        ([(10**6, 10**8 + 1)], 10**6, "unpacks from 1000000 to 100000001 bytes"),
        ([(10**6, 10**8)] * 3, 3 * 10**6, "its entries unpack from 3000000 to 300000000 bytes"),
        ([(10**9, 10**9)] * 2, 2 * 10**9, None),
        ([(90, 90), (90, 90)], 100, "its entries overlap one another"),
    ],
)
def test_the_bounds_of_what_is_unpacked(
    sizes: list[tuple[int, int]], size: int, said: str | None
) -> None:
    found = find_bomb([entry(*pair) for pair in sizes], size)
    assert found is None if said is None else found is not None and said in found


def test_entries_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    """The directory of a small archive that names one entry over and over."""
    path = packed(tmp_path / "m.pt", {**SCRIPT, "m/data/0": bytes(10**5)})
    content = path.read_bytes()
    start = struct.unpack("<I", content[-6:-2])[0]
    directory, end = content[start:-22], content[-22:]
    last = directory[directory.rindex(b"PK\x01\x02") :]
    twice = directory + last.replace(b"m/data/0", b"m/data/1")
    counts = struct.pack("<HHI", len(SCRIPT) + 2, len(SCRIPT) + 2, len(twice))
    path.write_bytes(content[:start] + twice + end[:8] + counts + end[16:])
    with pytest.raises(ArtifactError, match=r"overlap|damaged"):
        require_torchscript(path, "m.pt")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a.npy", "b.npy"], "is NumPy's .npz, which holds arrays, not a model"),
        (["MAR-INF/MANIFEST.json", "m.pt"], "is a model archive of TorchServe"),
        (["metadata.json", "config.json", "model.weights.h5"], "is a Keras model"),
        (["m.mlpackage/Data/com.apple.CoreML/model.mlmodel"], "is a Core ML package"),
        (["release/readme.md", "release/Model.ONNX"], "around 'release/Model.ONNX'; unpack it"),
        (["inner.ZIP"], "is a zip archive around another"),
        (["a.txt"], "is a zip archive but not TorchScript"),
        ([], "is an empty zip archive"),
        (["../m/data.pkl"], "with paths that lead out of it"),
        (["m/data.pkl", "m/version", "m/data/0"], "is a checkpoint of torch.save"),
        (["m/.data/extern_modules", "m/.data/version", "m/m/m.pkl"], "is a package of torch.packa"),
        (["m/.data/version", "m/models/model.json", "m/archive_format"], "of torch.export (.pt2)"),
        (["serialized_exported_program.json", "version"], "is a program of torch.export (.pt2)"),
    ],
)
def test_other_archives_are_named(tmp_path: Path, names: list[str], said: str) -> None:
    path = packed(tmp_path / "m.pt", dict.fromkeys(names, b"1"))
    with pytest.raises(ArtifactError) as refused:
        require_torchscript(path, "m.pt")
    assert said in str(refused.value)
    assert "; " in str(refused.value)


@pytest.mark.parametrize(
    ("version", "said"),
    [(b"99\n", "has TorchScript's file version 99, and container"), (b"new", "which is no number")],
)
def test_versions_that_are_not_read_are_reported(tmp_path: Path, version: bytes, said: str) -> None:
    path = packed(tmp_path / "m.pt", {**SCRIPT, "m/version": version})
    with pytest.raises(ArtifactError, match=said):
        require_torchscript(path, "m.pt")
