"""`trimaran add` of a package that AOTInductor compiled."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import trimaran
from exporters.artifacts.aoti_package import described_inputs
from tests.programs import COMPILER, require
from trimaran.repository.config import inputs_of, outputs_of
from trimaran.repository.dtypes import by_triton
from trimaran.repository.repository import Repository
from trimaran.system.errors import ArtifactError, ConfigError, TrimaranError


@pytest.fixture
def package(exported: Repository, tmp_path: Path) -> Path:
    require(COMPILER)
    newest = exported.newest("linear_aoti")
    assert newest is not None
    path = tmp_path / "linear.pt2"
    shutil.copyfile(newest.path / "model.pt2", path)
    return path


def test_native_code_is_added_only_for_those_who_trust_it(
    package: Path, empty_repository: Repository
) -> None:
    with pytest.raises(ArtifactError, match=r"native code runs with your rights.*--trust"):
        trimaran.add(package, empty_repository.root)
    assert empty_repository.names() == []
    added = trimaran.add(package, empty_repository.root, trust=True)
    config = added.config
    assert (config.backend, config.platform, config.max_batch_size) == ("pytorch", "torch_aoti", 32)
    assert [str(tensor) for tensor in inputs_of(config)] == ["INPUT__0 FP32 [8]"]
    assert [str(tensor) for tensor in outputs_of(config)] == ["OUTPUT__0 FP32 [4]"]
    assert trimaran.add(package, empty_repository.root, trust=True).publication.unchanged


def test_a_name_that_is_served_as_torchscript_is_refused(
    package: Path, own_repository: Repository
) -> None:
    with pytest.raises(ConfigError, match="platform of TorchScript, and the file would be"):
        trimaran.add(package, own_repository.root, name="linear_torchscript", trust=True)


def test_damaged_code_is_refused_before_it_is_loaded(
    package: Path, empty_repository: Repository
) -> None:
    content = package.read_bytes()
    start = content.index(b"\x7fELF")
    damaged = content[: start + 4096] + bytes(4096) + content[start + 8192 :]
    package.write_bytes(damaged)
    with pytest.raises(TrimaranError, match=r"linear\.pt2: its entry .* is damaged"):
        trimaran.add(package, empty_repository.root, trust=True)


def test_types_and_axes_come_from_the_checks_in_the_source() -> None:
    source = (
        "int32_t a_expected_dtype = aoti_torch_dtype_int64();\n"
        "if (3 != a_size[1]) {\nif (1 != a_stride[2]) {\n"
        "int32_t b_expected_dtype = aoti_torch_dtype_float32();\nif (1 != b_stride[0]) {\n"
    )
    assert described_inputs(source) == [
        (by_triton("INT64"), (None, 3, None)),
        (by_triton("FP32"), (None,)),
    ]
    assert described_inputs("int32_t a_expected_dtype = aoti_torch_dtype_complex64();") == []
