"""A real server on hand-written models, and what tests ask of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tritonclient.http
from google.protobuf import text_format

from trimaran.repository.config import ModelConfig
from trimaran.repository.repository import Repository
from trimaran.serving.client import Answer, Client
from trimaran.serving.control import Control
from trimaran.serving.native.instances import native_instances
from trimaran.serving.runtime import OnnxBackend, find_runtime
from trimaran.serving.server import Server, private_server
from trimaran.serving.stub_processes import identify_stub
from trimaran.system.errors import TrimaranError
from trimaran.system.processes import children

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Model:
    """A model directory: the text of its `config.pbtxt`, and its version's files by path."""

    name: str
    config: str | None
    files: Mapping[str, bytes] = field(default_factory=dict)

    def write(self, repository: Repository) -> None:
        version = repository.model(self.name) / "1"
        version.mkdir(parents=True)
        if self.config is not None:
            repository.config_path(self.name).write_text(self.config)
        for path, content in self.files.items():
            (version / path).parent.mkdir(parents=True, exist_ok=True)
            (version / path).write_bytes(content)


def tensor(
    kind: str, name: str, data_type: str, dims: Sequence[int], reshape: Sequence[int] | None = None
) -> str:
    """An `input` or `output` of a configuration."""
    shaped = "" if reshape is None else f" reshape {{ shape: {list(reshape)} }}"
    return f'{kind} {{ name: "{name}" data_type: TYPE_{data_type} dims: {list(dims)}{shaped} }}\n'


def parameter(key: str, value: object) -> str:
    """A `parameters` entry of a configuration."""
    return f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n'


@dataclass(frozen=True)
class Hosted:
    """A running server with every model of a test module."""

    server: Server
    onnx_backend: OnnxBackend | None

    @property
    def control(self) -> Control:
        return self.server.control

    def infer(self, model: str, inputs: Arrays) -> Mapping[str, np.ndarray]:
        with Client(self.server.endpoint) as client:
            return client.infer(model, inputs).outputs

    def refusal(self, model: str, inputs: Arrays) -> str:
        """In which words a request is refused."""
        try:
            self.infer(model, inputs)
        except TrimaranError as error:
            return str(error)
        raise AssertionError(f"{model} answered a request that it should refuse")

    def output_names(
        self, model: str, inputs: Arrays, wanted: Sequence[str] | None = None
    ) -> list[str]:
        """The outputs of a response as they come, for a request that names those it wants."""
        items = []
        for name, array in inputs.items():
            kind = tritonclient.http.np_to_triton_dtype(array.dtype)
            items.append(tritonclient.http.InferInput(name, array.shape, kind))
            items[-1].set_data_from_numpy(array)
        asked = wanted and [tritonclient.http.InferRequestedOutput(name) for name in wanted]
        address = f"{self.server.ports.host}:{self.server.ports.http}"
        with tritonclient.http.InferenceServerClient(address) as client:
            response = client.infer(model, items, outputs=asked).get_response()
        return [output["name"] for output in response["outputs"]]

    def infer_together(self, model: str, requests: Sequence[Arrays]) -> list[Answer | str]:
        """Answers, or in which words it was refused, to requests sent at the same moment."""
        start = threading.Barrier(len(requests))

        def send(inputs: Arrays) -> Answer | str:
            with Client(self.server.endpoint) as client:
                start.wait(10)
                try:
                    return client.infer(model, inputs)
                except TrimaranError as error:
                    return str(error)

        with ThreadPoolExecutor(len(requests)) as pool:
            return list(pool.map(send, requests))

    def counts(self, model: str) -> tuple[int, int]:
        """How many rows were answered, and by how many executions."""
        (statistics,) = self.control.statistics(model)
        return int(statistics["inference_count"]), int(statistics["execution_count"])

    def reason(self, model: str) -> str:
        """Why a model could not be loaded."""
        (state,) = [state for state in self.control.index() if state.name == model]
        assert state.state == "UNAVAILABLE", state
        return state.reason

    def load_refusal(self, model: Model) -> str:
        """In which words the loading of one more model is refused, sent over the network."""
        config = text_format.Parse(model.config or "", ModelConfig(name=model.name))
        files = {f"1/{path}": content for path, content in model.files.items()}
        try:
            self.control.load_given(config, files)
        except TrimaranError as error:
            return str(error)
        raise AssertionError(f"{model.name} was loaded, and should be refused")

    def threads(self, model: str) -> int:
        """How many threads a model with one instance has."""
        server = self.server.process.pid
        for instance in native_instances(server):
            if instance.model == model:
                return len(instance.threads)
        for pid in children(server):
            stub = identify_stub(pid)
            if stub is not None and stub.model == model:
                return len(list(Path(f"/proc/{pid}/task").iterdir()))
        raise AssertionError(f"{model} has no instance")


@contextmanager
def hosted(
    root: Path, models: Sequence[Model], onnx_backend: OnnxBackend | None = None
) -> Iterator[Hosted]:
    """A server on a new repository of these models, for the length of the block."""
    repository = Repository.create(root / "models")
    for model in models:
        model.write(repository)
    names = [model.name for model in models]
    runtime = find_runtime(onnx_backend=onnx_backend)
    with private_server(runtime, repository, names) as server:
        yield Hosted(server, runtime.onnx_backend)
