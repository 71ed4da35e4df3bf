"""Each instance in tritonserver's own process shows its use; one that hangs ends the process."""

from __future__ import annotations

import threading

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from proofs.small_onnx import graph, value
from tests.running import READY, Served, start_serving, wait_for
from tests.trimaran.serving.hosting import Model, tensor
from trimaran.repository.presence import find_server
from trimaran.repository.repository import Repository
from trimaran.serving.native.instances import native_instances
from trimaran.serving.stub_processes import identify_stub
from trimaran.system.processes import children, own_cpu_s

SIDE = 1500
WEIGHTS_BYTES = SIDE * SIDE * 4
LIMIT_S = 3
FOR_EVER = 2**62


def looping() -> onnx.ModelProto:
    """`waited` is `times`, after that many rounds that do nothing."""
    whole, truth = TensorProto.INT64, TensorProto.BOOL
    round_ = helper.make_graph(
        [
            helper.make_node("Identity", ["goes_on"], ["stays"]),
            helper.make_node("Identity", ["before"], ["after"]),
        ],
        "round",
        [value("number", [], whole), value("goes_on", [], truth), value("before", [1], whole)],
        [value("stays", [], truth), value("after", [1], whole)],
    )
    return graph(
        [
            helper.make_node("Constant", [], ["one"], value_int=1),
            helper.make_node("Cast", ["one"], ["yes"], to=truth),
            helper.make_node("Loop", ["times", "yes", "times"], ["waited"], body=round_),
        ],
        [value("times", [1], whole)],
        [value("waited", [1], whole)],
    )


def heavy() -> onnx.ModelProto:
    """`y` is `x` times a large matrix."""
    product = helper.make_node("MatMul", ["x", "weight"], ["y"])
    weight = np.ones((SIDE, SIDE), np.float32)
    return graph(
        [product], [value("x", [None, SIDE])], [value("y", [None, SIDE])], {"weight": weight}
    )


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    repository = Repository.create(tmp_path_factory.mktemp("native") / "model_repository")
    endless = tensor("input", "times", "INT64", [1]) + tensor("output", "waited", "INT64", [1])
    wide = tensor("input", "x", "FP32", [SIDE]) + tensor("output", "y", "FP32", [SIDE])
    for name, count, config, model in (
        ("looping", 1, endless, looping()),
        ("heavy", 2, f"max_batch_size: 4 {wide}", heavy()),
    ):
        text = f'backend: "onnxruntime" instance_group {{ count: {count} kind: KIND_CPU }} {config}'
        Model(name, text, {"model.onnx": model.SerializeToString()}).write(repository)
    return repository


def loop(served: Served, times: int) -> str:
    return served.refusal("looping", {"times": np.array([times])})


def server_pid(repository: Repository) -> int:
    found = find_server(repository)
    assert found is not None
    return found.server_pid


def test_instances_show_their_cpu_and_memory_and_one_that_hangs_ends_the_server(
    repository: Repository,
) -> None:
    served = start_serving(repository, "--hang-timeout", str(LIMIT_S), "--onnx-backend", "native")
    try:
        pid = server_pid(repository)
        assert not any(identify_stub(child) for child in children(pid))
        names = [("heavy_0_0", "heavy", "1"), ("heavy_0_1", "heavy", "1")]
        looped = ("looping_0_0", "looping", "1")
        memory = served.samples("trimaran_resident_bytes")
        assert memory.keys() == {*names, looped, ("", "", "")}
        assert all(WEIGHTS_BYTES < memory[name] < 3 * WEIGHTS_BYTES for name in names)
        assert memory[looped] < WEIGHTS_BYTES / 10
        _require_cpu_where_it_was_used(served, pid, looped)

        served.control.unload("heavy")
        left = {looped, ("", "", "")}
        # Triton ends instances after it has answered the unload.
        wait_for(lambda: served.samples("trimaran_cpu_seconds_total").keys() == left, 30, "the end")
        served.control.load("heavy")

        printed = len(served.lines)
        refusals: list[str] = []
        request = threading.Thread(target=lambda: refusals.append(loop(served, FOR_EVER)))
        request.start()
        wait_for(lambda: served.said(READY, printed), 60, "the restart")
        request.join(30)
        assert refusals[0]
        assert served.said(
            "looping version 1: instance looping_0_0 has worked on the same requests"
        )
        assert server_pid(repository) != pid
        assert not loop(served, 1)
        assert not served.refusal("heavy", {"x": np.ones((1, SIDE), np.float32)})
        hangs = {("looping",): 1, ("heavy",): 0}
        wait_for(lambda: served.samples("trimaran_stub_hangs_total") == hangs, 10, "the count")
    finally:
        served.stop()


def _require_cpu_where_it_was_used(served: Served, pid: int, looped: tuple[str, ...]) -> None:
    before = served.samples("trimaran_cpu_seconds_total")
    times = 100_000
    while (used := served.samples("trimaran_cpu_seconds_total")[looped] - before[looped]) < 0.5:
        assert not loop(served, times)
        times *= 2
    after = served.samples("trimaran_cpu_seconds_total")
    others = sum(after.values()) - sum(before.values()) - used
    assert others < used
    assert sum(after.values()) == pytest.approx(own_cpu_s(pid), abs=0.2)


def test_a_process_without_the_backend_shows_none() -> None:
    assert native_instances(1) == []
