"""What is asked of perf_analyzer and read from it, without running it."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest

from loadtests.gates import Gates
from loadtests.perf.load import Load, arguments, input_data
from loadtests.perf.results import Results, evaluate_results, invalid_results, parse_results, reason
from trimaran.system.debian import Lacking, read_lacking, remedy
from trimaran.system.endpoint import Endpoint
from trimaran.system.errors import TrimaranError, UsageError

LDD = """\
\tlinux-vdso.so.1 (0x00007f7636c07000)
\tlibb64.so.0d => not found
\tlibcudart.so.12 => not found
\tlibssl.so.3 => /lib/x86_64-linux-gnu/libssl.so.3 (0x00007f7636b29000)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f7636c09000)
"""
OLD = """\
./perf_analyzer: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by ./p)
./perf_analyzer: /lib/x86_64-linux-gnu/libstdc++.so.6: version `GLIBCXX_3.4.32' not found \
(required by ./perf_analyzer)
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f4481e1e000)
"""
CSV = """\
Request Rate,Inferences/Second,Client Send,Network+Server Send/Recv,Server Queue,\
Server Compute Input,Server Compute Infer,Server Compute Output,Client Recv,p50 latency,\
p90 latency,p95 latency,p99 latency,Avg latency,request/response,response wait
200,185.249,27,3290,4,210,2391,502,5,5865,10400,12559,15636,6432,32,6345
"""
SAID = """\
Request Rate: 200 inference requests per seconds
  Pass [1] throughput: 178.987 infer/sec. Avg latency: 5941 usec (std 2370 usec).
  Pass [2] throughput: 214.234 infer/sec. Avg latency: 7032 usec (std 3411 usec).
  Pass [3] throughput: 1.6e+02 infer/sec. Avg latency: 6171 usec (std 2751 usec).
  Client:
    Request count: 672
    Avg send request rate: 185.72 infer/sec
    [WARNING] Perf Analyzer was not able to keep up with the desired request rate. 9.97% of the \
requests were delayed.
    Throughput: 185.25 infer/sec
  Composing models:
      Successful request count: 672
"""


def test_everything_that_is_missing_is_reported_at_once() -> None:
    found = read_lacking(LDD)
    assert found == Lacking(("libb64.so.0d", "libcudart.so.12"))
    words = remedy(found, "2.36")
    assert "libb64.so.0d, libcudart.so.12" in words
    assert (
        "'apt-get install libb64-0d', and install the package that provides libcudart.so.12"
        in words
    )


def test_a_glibc_that_is_too_old_is_reported() -> None:
    found = read_lacking(OLD)
    assert found.versions == ("GLIBC_2.38", "GLIBCXX_3.4.32")
    assert "glibc 2.36" in remedy(found, "2.36")
    assert "newer distribution" in remedy(found, "2.36")


def test_a_program_that_lacks_nothing_or_is_none() -> None:
    assert not read_lacking("\tlibc.so.6 => /lib/libc.so.6 (0x1)\n")
    assert read_lacking("\tnot a dynamic executable\n").foreign


def test_rows_become_entries_without_the_batch_axis() -> None:
    texts = np.array([[b"\xff\x00abc"], [b""]], dtype=object)
    numbers = np.array([[1.5, -2.0], [0.0, 3.0]], np.float32)
    data = json.loads(input_data([{"T": texts, "X": numbers}], batches=True))["data"]
    assert [entry["X"]["shape"] for entry in data] == [[2], [2]]
    first = base64.b64decode(data[0]["T"]["b64"])
    assert first == b"\x05\0\0\0\xff\x00abc"
    assert base64.b64decode(data[1]["T"]["b64"]) == b"\0\0\0\0"
    assert base64.b64decode(data[0]["X"]["b64"]) == numbers[0].tobytes()
    unbatched = json.loads(input_data([{"X": numbers}], batches=False))["data"]
    assert unbatched[0]["X"]["shape"] == [2, 2]


def test_unlike_rows_are_refused_only_where_they_are_put_together() -> None:
    rows = [{"A": np.zeros((1, 2))}, {"B": np.zeros((1, 2))}]
    assert len(json.loads(input_data(rows, batches=True))["data"]) == 2
    with pytest.raises(UsageError, match="leave --batch out"):
        input_data(rows, batches=True, batch=2)


def test_the_arguments_escape_the_limits_that_are_silent() -> None:
    at, data, csv = Endpoint("127.0.0.1:1", "127.0.0.1:2"), Path("in"), Path("out")
    closed = " ".join(arguments(Load("m", connections=64, seconds=9.0), at, data, csv))
    assert "--concurrency-range 64:64:1" in closed
    assert "-u 127.0.0.1:1 " in closed
    assert "--measurement-interval 2500 " in closed
    load = Load("m", "3", "grpc", rate=50.0, batch=4, shared_memory=True)
    rated = " ".join(arguments(load, at, data, csv))
    assert "--async --request-rate-range 50:50:1 --request-distribution poisson" in rated
    assert "-i grpc -u 127.0.0.1:2 -x 3" in rated
    assert "-b 4" in rated
    assert "--shared-memory system" in rated


def test_a_real_report_is_read() -> None:
    found = parse_results(CSV, SAID)
    assert found.requests == 672
    assert found.latency_ms == {"p50": 5.865, "p90": 10.4, "p95": 12.559, "p99": 15.636}
    assert found.mean_ms == 6.432
    assert (found.sent_rate, found.delayed) == (185.72, pytest.approx(0.0997))
    assert found.windows == [178.987, 214.234, 160.0]


@pytest.mark.parametrize(
    ("table", "said"), [("", SAID), (CSV, ""), (CSV.replace("5865", "soon"), SAID)]
)
def test_an_unreadable_report_is_refused(table: str, said: str) -> None:
    with pytest.raises(TrimaranError, match="report cannot be read"):
        parse_results(table, said)


def test_the_server_s_own_words_are_the_reason() -> None:
    failed = (
        "Failed to maintain requested inference load. Worker thread(s) failed to generate.\n"
        "Thread [0] had error: the image is not a JPEG\n"
    )
    assert reason(failed, "") == "the image is not a JPEG"
    assert reason("error: failed to get model metadata: nope\n", "") == (
        "failed to get model metadata: nope"
    )
    assert reason("", "") == "it printed nothing"


def _results(requests: int, p99_ms: float, sent: float | None = None) -> Results:
    return Results(requests, 100.0, {"p99": p99_ms}, None, sent, 0.2, [])


def test_a_p99_bound_is_compared_and_its_certainty_not_claimed() -> None:
    gates = Gates(p99_ms=10.0, min_rps=200.0, max_error_ratio=0.0)
    p99, rate, errors = evaluate_results(gates, _results(1000, 9.0), 4.0)
    assert p99.holds
    assert "cannot be tested" in p99.words
    assert (rate.holds, errors.holds) == (True, True)
    assert not evaluate_results(gates, _results(1000, 11.0), 4.0)[0].holds
    few = evaluate_results(gates, _results(458, 1.0), 4.0)
    assert not few[0].holds
    assert "at least 459" in few[0].words
    assert not few[1].holds


def test_a_generator_that_fell_behind_makes_a_run_void() -> None:
    load = Load("m", rate=1000.0)
    assert invalid_results(load, _results(1, 1.0), 10.0) == ""
    assert invalid_results(load, _results(1, 1.0, sent=965.0), 10.0) == ""
    assert "lower rate" in invalid_results(load, _results(1, 1.0, sent=950.0), 10.0)
