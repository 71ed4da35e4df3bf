"""Transform and network in one model: `RECORD`, a flat JSON object as BYTES `[1]`, to answers.

An identifier may be a second input, and is returned unchanged. The transform and the network's
ONNX file are in the version directory, and are the same as in the two-step ensemble. One Python
model costs one pass through shared memory instead of two, and no ensemble.
"""

from __future__ import annotations

import gc
import json
import os
import time
from collections.abc import Sequence
from functools import partial
from itertools import chain

import numpy as np
import triton_python_backend_utils as pb_utils

from trimaran.served.answering import Outputs, answer_each, load, refuse_parameters
from trimaran.served.answers import plain, read_answers
from trimaran.served.boundary import Failed, attempt
from trimaran.served.counters import Counters
from trimaran.served.failures import counted
from trimaran.served.logged_predictions import open_log
from trimaran.served.prediction_line import Answered
from trimaran.served.prediction_log import PredictionLog
from trimaran.served.pulse import beating
from trimaran.served.records import RecordError, Table

__all__ = ["TritonPythonModel"]


@beating
@counted
class TritonPythonModel:
    """One instance of one version."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the transform and load the network on one thread."""
        directory, self.transform, self.reader = load(args)
        self.identifier = self.transform.data.identifier
        self.log = open_log(args, self.reader.names, self.identifier)
        self.counters = Counters(args, directory)
        config = json.loads(args["model_config"])
        parameters = {key: each["string_value"] for key, each in config["parameters"].items()}
        self.answers = read_answers(parameters, directory)
        names = [output["name"] for output in config["output"]]
        self.names = [name for name in names if name != self.identifier]
        # Turns off its telemetry, also in a container whose image does not.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            directory / "model.onnx", options, providers=["CPUExecutionProvider"]
        )
        gc.freeze()

    def execute(
        self, requests: list[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        """Score all rows of all requests at once."""
        self.began_s = time.perf_counter()
        return answer_each(
            requests,
            self.take,
            self.read,
            self.score,
            self.counters.refuse,
            self.identifier,
            partial(self.keep, self.log) if self.log else None,
        )

    def finalize(self) -> None:
        """Report the last counts while Triton still takes reports."""
        self.counters.close()
        if self.log:
            self.log.close()

    def take(self, request: pb_utils.InferenceRequest) -> list[bytes]:
        """A request's JSON texts. Raises `RecordError`."""
        refuse_parameters(self.reader, request)
        texts = pb_utils.get_input_tensor_by_name(request, "RECORD")
        if texts is None:  # Triton counts inputs, and takes an optional one in its place
            raise RecordError("there is no RECORD; send the record in it, as JSON text")
        return texts.as_numpy().ravel().tolist()

    def read(self, requests: Sequence[list[bytes]]) -> Table:
        """One table of the requests' rows. Raises `RecordError`."""
        return self.reader.from_json(chain.from_iterable(requests))

    def score(self, table: Table) -> list[tuple[str, np.ndarray]]:
        """The outputs of a table's rows, by name."""
        codes = self.transform.encode(table.categories)
        features = self.transform.apply(table.numbers, codes, table.texts)
        found = self.session.run(self.answers.network, {"features": features})
        numbers = self.transform.counted(table.numbers, table.texts)
        self.counters.add(numbers, codes, self.answers.counted(found))
        return list(zip(self.names, self.answers.values(found), strict=True))

    def keep(
        self,
        log: PredictionLog,
        request: pb_utils.InferenceRequest,
        texts: list[bytes],
        outputs: Outputs,
    ) -> None:
        """Queue a request's rows and their outputs for the log, or count them as dropped."""
        request_id = attempt(pb_utils.InferenceRequest.request_id, request)
        if isinstance(request_id, Failed):  # it is not UTF-8
            log.drop(len(texts))
            return
        given = self.identifier and pb_utils.get_input_tensor_by_name(request, self.identifier)
        log.add(
            Answered(
                time.time(),
                request_id,
                given.as_numpy().ravel().tolist() if given else None,
                {name: plain(values) for name, values in outputs},
                texts,
                time.perf_counter() - self.began_s,
            )
        )
