"""`python -m loadtests.churn`: the churn ensembles beside FastAPI with the same model files.

Every target answers the same customers from the same transform and ONNX file; that is checked
before anything is measured. Rounds measure all targets in turn, each second round backwards.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as triton_grpc
import urllib3
from tritonclient.grpc import service_pb2

from loadtests.closed_loop import Ceiling, grpc_ceiling, http_ceiling, require_generators
from loadtests.do_nothing import DO_NOTHING, do_nothing
from loadtests.fastapi_process import fastapi_service
from loadtests.in_process import in_process_s
from loadtests.page import Figure, page
from serving.discovery import find_runtime
from serving.processes import cpu_s
from serving.server import private_server
from training.tabular.data.sources import load
from trimaran.console import console
from trimaran.errors import TrimaranError
from trimaran.files import write_text
from trimaran.repository import Repository

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
    record_model = repository.newest("churn_record")
    if record_model is None:
        raise TrimaranError(
            f"{repository.root} holds no churn_record; publish it as the README says"
        )
    with (
        private_server(find_runtime(), repository, ["churn", "churn_record"]) as server,
        fastapi_service(record_model) as (fastapi_url, fastapi_pid),
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

        nothing = _record_message(["nothing"], DO_NOTHING)
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
            Target("floor: a Python model that does nothing, gRPC", pid, grpc(lambda _: nothing)),
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
        server.control.load_given(*do_nothing())
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
    method = (
        f"{rounds} rounds of {seconds:g} s a target, {_CONNECTIONS} connections, servers and "
        "generator on the same cores"
    )
    text = page(figures, _BASE, in_process_s(record_model, texts), method)
    print(text)
    if out:
        write_text(out, text)


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


def _answered(statistics: Sequence[Mapping[str, Any]]) -> int:
    return sum(int(entry["inference_count"]) for entry in statistics)


if __name__ == "__main__":
    main()
