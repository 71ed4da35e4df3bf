"""What a request raises becomes its own answer; only Triton's module is stood in for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest

from trimaran.served.refusal import RefusedError

BOUNDARY = "trimaran.served.boundary"


@dataclass
class TritonError:
    message: str
    code: str
    INVALID_ARG: ClassVar[str] = "400"
    INTERNAL: ClassVar[str] = "500"


@pytest.fixture
def logged() -> list[str]:
    return []


@pytest.fixture
def boundary(monkeypatch: pytest.MonkeyPatch, logged: list[str]) -> Iterator[ModuleType]:
    triton = SimpleNamespace(
        TritonError=TritonError,
        InferenceResponse=lambda outputs, error: error,
        Logger=SimpleNamespace(log_error=logged.append),
    )
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", triton)
    yield importlib.import_module(BOUNDARY)
    del sys.modules[BOUNDARY]


def answer(boundary: ModuleType, error: Exception) -> Any:
    def fail(_: object) -> None:
        raise error

    return boundary.attempt(fail, None).response()


def test_what_the_client_sent_is_the_clients_fault(boundary: ModuleType, logged: list[str]) -> None:
    assert answer(boundary, RefusedError("row 0: no")) == TritonError("row 0: no", "400")
    assert len(answer(boundary, RefusedError("x" * 10_000)).message) == 1_000
    assert answer(boundary, RefusedError("\ud800")).message == "\\ud800"
    assert not logged


@pytest.mark.parametrize("kind", [KeyError, RecursionError, MemoryError, ZeroDivisionError])
def test_anything_else_is_the_servers_and_only_its_log_has_the_cause(
    boundary: ModuleType, logged: list[str], kind: type[Exception]
) -> None:
    found = answer(boundary, kind("/home/server/secret"))
    assert found.code == "500"
    assert kind.__name__ in found.message
    assert "/home" not in found.message
    assert "/home/server/secret" in logged[0]
