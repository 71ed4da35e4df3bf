"""Which compiler is taken, and Debian's, which compiles on a machine that has none."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import torch

from tests.programs import COMPILER, require
from trimaran.system import compiler
from trimaran.system.compiler import find_compiler
from trimaran.system.debian import can_unpack
from trimaran.system.errors import TrimaranError

CODE = """\
#include <cmath>
#include <cstdio>
#include <immintrin.h>
#include <vector>
int main() {
    std::vector<double> roots(1000);
    #pragma omp parallel for
    for (int i = 0; i < 1000; i++) roots[i] = std::sqrt(i);
    double sum = 0;
    for (double root : roots) sum += root;
    std::printf("%.3f\\n", sum);
}
"""


def saying(path: Path, version: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{version}'\necho more\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what stands for Debian's compiler, on a machine with apt and no compiler."""
    folder = saying(tmp_path / "unpacked" / "g++", "g++ unpacked").parent
    monkeypatch.setattr(compiler, "can_unpack", lambda: True)
    monkeypatch.setattr(compiler, "_unpacked", lambda: folder)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("CXX", raising=False)
    return folder


def test_the_named_compiler_comes_first_then_the_machines_then_debians(
    unpacked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = find_compiler()
    assert (found.command, found.version, found.folder) == ("g++", "g++ unpacked", unpacked)
    assert found.environment == {"PATH": f"{unpacked}:{tmp_path / 'bin'}"}
    assert found.path == unpacked / "g++"
    own = saying(tmp_path / "bin" / "g++", "g++ of the machine")
    found = find_compiler()
    assert (found.version, found.environment, found.path) == ("g++ of the machine", {}, own)
    named = saying(tmp_path / "clang++", "clang 19")
    monkeypatch.setenv("CXX", str(named))
    found = find_compiler()
    assert (found.command, found.version, found.environment) == (str(named), "clang 19", {})


@pytest.mark.parametrize(("named", "said"), [("/nowhere/c++", "/nowhere/c++"), ("", "g++")])
def test_the_one_that_cannot_be_run_is_named(
    unpacked: Path, monkeypatch: pytest.MonkeyPatch, named: str, said: str
) -> None:
    monkeypatch.setenv("CXX", named)
    monkeypatch.setattr(compiler, "can_unpack", lambda: False)
    with pytest.raises(TrimaranError, match=re.escape(f"'{said}' cannot be run here")):
        find_compiler()


@pytest.mark.long
def test_debians_compiler_needs_nothing_of_the_machine_and_what_it_makes_runs(
    tmp_path: Path,
) -> None:
    if can_unpack():
        called, environment = compiler._unpacked() / "g++", {"PATH": "/nowhere"}
    else:
        called, environment = require(COMPILER).path, dict(os.environ)
    (tmp_path / "sum.cpp").write_text(CODE)
    command = [called, "-O3", "-fopenmp", "-Wall", "-Werror", "sum.cpp", "-o", "sum"]
    subprocess.run(command, cwd=tmp_path, check=True, env=environment)
    # OpenMP comes with torch; nothing else may be lacking here.
    libraries = {"LD_LIBRARY_PATH": str(Path(torch.__file__).parent / "lib")}
    made = subprocess.run(
        [tmp_path / "sum"], capture_output=True, text=True, check=True, env=libraries
    )
    assert made.stdout == "21065.833\n"
