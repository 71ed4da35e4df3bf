"""`python -m loadtests.churn`: the churn ensembles beside FastAPI with the same model files.

Every target answers the same customers from the same transform and ONNX file; that is checked
before anything is measured. Rounds measure all targets in turn, each second round backwards.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as triton_grpc
import urllib3
from tritonclient.grpc import service_pb2

from ensembles.pipeline import PythonModel, tensor
from loadtests.closed_loop import Ceiling, grpc_ceiling, http_ceiling, require_generators
from loadtests.in_process import in_process_s
from loadtests.ratio import paired_ratio
from serving.discovery import find_runtime
from serving.ports import free_ports
from serving.processes import cpu_s
from serving.server import private_server
from training.tabular.data.sources import load
from trimaran.config import ModelConfig
from trimaran.console import console
from trimaran.errors import TrimaranError
from trimaran.repository import Repository, Version

__all__ = ["main"]

_CONNECTIONS = 16
_SERVICE = "/inference.GRPCInferenceService/"
_METHOD = f"{_SERVICE}ModelInfer"
_ROWS_PER_CALL = 32
_BASE = "FastAPI, JSON"


@dataclass(frozen=True)
class Target:
    """One way to be served, and how to send it load for some seconds in a given round."""

    name: str
    pid: int
    load: Callable[[int, float], Ceiling]
    rows: int = 1
    """Records per request."""


@dataclass(frozen=True)
class Figure:
    """One target in one round."""

    rate: float
    """Records per second."""
    p99_s: float
    cpu_s: float
    """CPU seconds of the server and its children for each record."""


def main() -> None:
    """Measure, print and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=3, help="of each target in a round")
    parser.add_argument("--out", type=Path, help="write the figures as a Markdown page")
    arguments = parser.parse_args()
    try:
        require_generators()
        _measure(
            Repository.open(arguments.repository),
            arguments.rounds,
            arguments.seconds,
            arguments.out,
        )
    except TrimaranError as error:
        sys.exit(f"error: {error}")


def _measure(repository: Repository, rounds: int, seconds: float, out: Path | None) -> None:
    records = _records()
    scorer = repository.newest("churn_scorer")
    if scorer is None:
        raise TrimaranError(
            f"{repository.root} holds no churn_scorer; make a release of churn_record as the "
            "README says"
        )
    with (
        private_server(find_runtime(), repository, ["churn", "churn_record"]) as server,
        _fastapi(scorer) as (fastapi_url, fastapi_pid),
    ):
        triton_url = f"http://{server.ports.host}:{server.ports.http}/v2/models"
        grpc_address = f"{server.ports.host}:{server.ports.grpc}"
        texts = [json.dumps(record) for record in records]
        wrapped = [json.dumps({"RECORD": text}) for text in texts]
        _check_equal(records, fastapi_url, f"{triton_url}/churn_record/generate", triton_url)

        def http(url: str, bodies: Sequence[str]) -> Callable[[int, float], Ceiling]:
            return lambda _, seconds: http_ceiling(
                url, bodies, connections=_CONNECTIONS, seconds=seconds
            )

        def grpc(message: Callable[[int], bytes]) -> Callable[[int, float], Ceiling]:
            return lambda turn, seconds: grpc_ceiling(
                grpc_address, _METHOD, message(turn), connections=_CONNECTIONS, seconds=seconds
            )

        pid = server.process.pid
        targets = [
            Target(_BASE, fastapi_pid, http(fastapi_url, texts)),
            Target("churn_record, JSON", pid, http(f"{triton_url}/churn_record/generate", wrapped)),
            Target("churn_record, gRPC", pid, grpc(lambda turn: _record_message(texts[turn:][:1]))),
            Target(
                f"churn_record, gRPC, {_ROWS_PER_CALL} rows a call",
                pid,
                grpc(lambda turn: _record_message(texts[turn:][:_ROWS_PER_CALL])),
                rows=_ROWS_PER_CALL,
            ),
            Target("churn, JSON, named fields", pid, http(f"{triton_url}/churn/generate", texts)),
            Target("floor: a Python model that does nothing, gRPC", pid, grpc(lambda _: _NOTHING)),
            Target(
                "floor: Triton's gRPC without a model",
                pid,
                lambda _, seconds: grpc_ceiling(
                    grpc_address,
                    f"{_SERVICE}ServerLive",
                    b"",
                    connections=_CONNECTIONS,
                    seconds=seconds,
                ),
            ),
        ]
        server.control.load_given(*_nothing())
        answered = _answered(server.control.statistics("churn_record"))
        try:
            figures, sent = _rounds(targets, rounds, seconds)
        except TrimaranError as error:
            if server.is_running():
                raise
            raise TrimaranError(f"tritonserver ended: {server.last_error()}") from error
        answered = _answered(server.control.statistics("churn_record")) - answered
        if answered < sent:
            raise TrimaranError(f"churn_record answered {answered} of {sent} records: void")
    page = _page(targets, figures, in_process_s(scorer, texts), rounds, seconds)
    print(page)
    if out:
        out.write_text(page, encoding="utf-8")


def _rounds(
    targets: Sequence[Target], rounds: int, seconds: float
) -> tuple[dict[str, list[Figure]], int]:
    """Figures by target, a list over rounds; and how many records went to `churn_record`."""
    figures: dict[str, list[Figure]] = {target.name: [] for target in targets}
    sent = 0
    screen = console(stderr=True)
    for turn in range(-1, rounds):
        for target in targets if turn % 2 == 0 else reversed(targets):
            before = cpu_s(target.pid)
            ceiling = target.load(max(turn, 0), seconds if turn >= 0 else 1)
            used_s = cpu_s(target.pid) - before
            records = ceiling.requests * target.rows
            sent += records if target.name.startswith("churn_record") else 0
            if turn < 0:  # the first round only warms up
                continue
            figure = Figure(ceiling.rate * target.rows, ceiling.p99_s, used_s / records)
            figures[target.name].append(figure)
            screen.print(
                f"round {turn + 1}/{rounds}  {target.name}: {figure.rate:,.0f}/s, "
                f"p99 {figure.p99_s * 1e3:.1f} ms, {figure.cpu_s * 1e6:.0f} µs of CPU"
            )
    return figures, sent


def _page(
    targets: Sequence[Target],
    figures: Mapping[str, Sequence[Figure]],
    limit: Mapping[str, float],
    rounds: int,
    seconds: float,
) -> str:
    base = figures[_BASE]
    lines = [
        "| target | records/s | p99 ms | CPU µs per record | rate / FastAPI | p99 / FastAPI | "
        "CPU / FastAPI |",
        "|---|---|---|---|---|---|---|",
    ]
    for target in targets:
        mine = figures[target.name]
        ratios = [
            str(paired_ratio([getattr(f, field) for f in mine], [getattr(f, field) for f in base]))
            for field in ("rate", "p99_s", "cpu_s")
        ]
        median = {
            field: float(np.median([getattr(f, field) for f in mine]))
            for field in ("rate", "p99_s", "cpu_s")
        }
        lines.append(
            f"| {target.name} | {median['rate']:,.0f} | {median['p99_s'] * 1e3:.1f} | "
            f"{median['cpu_s'] * 1e6:.0f} | " + " | ".join(ratios) + " |"
        )
    lines += ["", "| in one process, without a server | µs per record |", "|---|---|"]
    lines += [f"| {name} | {seconds_each * 1e6:.1f} |" for name, seconds_each in limit.items()]
    packages = ("fastapi", "uvicorn", "onnxruntime", "numpy", "pydantic")
    lines += [
        "",
        f"{rounds} rounds of {seconds:g} s a target, {_CONNECTIONS} connections, servers and "
        f"generator on the same {os.cpu_count()} cores; medians, and ratios with 95 % intervals "
        f"over rounds. {', '.join(f'{name} {version(name)}' for name in packages)}, Python "
        f"{platform.python_version()}, {time.strftime('%Y-%m-%d')}.",
    ]
    return "\n".join(lines) + "\n"


def _records() -> list[dict[str, Any]]:
    """Customers as JSON carries them, in a fixed random order."""
    dataset = load("mlc_churn")
    names = [field.name for field in dataset.schema.fields]
    frame = dataset.frame.sample(500, random_state=0)
    return [
        {"customer_id": identifier, **dict(zip(names, row, strict=True))}
        for identifier, row in zip(
            frame[dataset.schema.identifier].tolist(),
            frame[names].astype(object).to_numpy().tolist(),
            strict=True,
        )
    ]


@contextmanager
def _fastapi(scorer: Version) -> Iterator[tuple[str, int]]:
    """The FastAPI service with a worker for each core: the address to post to, and the process."""
    port = free_ports().http
    command = [sys.executable, "-m", "uvicorn", "loadtests.fastapi_service:app"]
    command += ["--workers", str(os.cpu_count()), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    environment = {**os.environ, "TRIMARAN_VERSION": str(scorer.path)}
    process = subprocess.Popen([*command, "--log-level", "warning"], env=environment)
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while not _answers(f"{url}/docs"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise TrimaranError("the FastAPI service did not start")
            time.sleep(0.1)
        yield f"{url}/predict", process.pid
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        return urllib3.request("GET", url, retries=False, timeout=1.0).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def _check_equal(
    records: Sequence[Mapping[str, Any]], fastapi: str, record: str, triton: str
) -> None:
    """Raise `TrimaranError` unless all targets give one answer for each of some customers."""
    for customer in records[:50]:
        answers = [
            urllib3.request("POST", url, json=body, retries=False).json()
            for url, body in (
                (fastapi, customer),
                (record, {"RECORD": json.dumps(customer)}),
                (f"{triton}/churn/generate", customer),
            )
        ]
        probabilities = [answer["churn_probability"] for answer in answers]
        if max(probabilities) - min(probabilities) > 1e-6:
            raise TrimaranError(f"the targets disagree on {customer}: {probabilities}")


def _record_message(texts: Sequence[str], model: str = "churn_record") -> bytes:
    tensor = triton_grpc.InferInput("RECORD", [len(texts), 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[text.encode()] for text in texts], dtype=object))
    request = service_pb2.ModelInferRequest(model_name=model)
    request.inputs.append(tensor._get_tensor())
    request.raw_input_contents.append(tensor._get_content())
    return bytes(request.SerializeToString())


_NOTHING_SOURCE = b"""
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        answer = np.zeros((1, 1), np.float32)
        return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", answer)]) for _ in requests]
"""
_NOTHING = _record_message(["nothing"], "nothing")


def _nothing() -> tuple[ModelConfig, dict[str, bytes]]:
    """A model that takes a text and answers zero: what Triton and a stub cost by themselves."""
    record, answer = tensor("RECORD", "BYTES", 1), tensor("Y", "FP32", 1)
    model = PythonModel("nothing", [record], [answer], sources=[], max_batch_size=1024)
    return model.config(), {"1/model.py": _NOTHING_SOURCE}


def _answered(statistics: Sequence[Mapping[str, Any]]) -> int:
    return sum(int(entry["inference_count"]) for entry in statistics)


if __name__ == "__main__":
    main()
