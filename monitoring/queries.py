"""The catalogue: every PromQL query of the reports, the live view and the dashboards.

A query gives one value for each set of its labels, over a `$window` such as `5m`.
"""

from __future__ import annotations

from collections.abc import Mapping

from monitoring.gateway_queries import GATEWAY_QUERIES
from monitoring.query import MODEL, Query, rate

__all__ = ["CATALOGUE", "query"]

_FAILURES = '{__name__=~"nv_inference_request_failure|trimaran_failed_requests_total"}'
"""Triton's own, and those that it counts among the answered ones: see `trimaran.served.failures`.
Their labels `reason` differ, so no two have the same labels."""


def _per_request(metric: str) -> str:
    """A counter of microseconds, as seconds per answered request."""
    return f"{rate(metric)} / 1e6 / ({_ANSWERED} > 0)"


def _growth(metric: str, by: str) -> str:
    """The exact increase of a counter that a restart does not reset, unlike those of `rate`.

    Every server of a repository shows the same totals, of all of them.
    """
    within = f"{metric}[$window]"
    return f"(max by ({by}) (max_over_time({within})) - min by ({by}) (min_over_time({within})))"


def _last(metric: str, by: str) -> str:
    """A gauge that does not change, also of a server that has ended in the window."""
    return f"max by ({by}) (last_over_time({metric}[$window]))"


def _quantile(share: str) -> str:
    return f'max by (model, version) (nv_inference_request_summary_us{{quantile="{share}"}}) / 1e6'


_POSITIVES = _growth("trimaran_outcome_positives_total", "model, version, bin")
_PROBABILITY = _growth("trimaran_outcome_probability_total", "model, version, bin")
_SQUARED_ERROR = _growth("trimaran_outcome_squared_error_total", "model, version")
_OUTCOMES = (
    f"sum by (model, version) ({_growth('trimaran_outcomes_total', 'model, version, cell')})"
)
_ANSWERED = rate("nv_inference_request_success")
_ENDED = f"{_ANSWERED} + {rate('nv_inference_request_failure')}"


_QUERIES = (
    Query(
        "request_rate",
        "requests/s",
        _ENDED,
        "requests/s",
        "Requests per second that ended, answered or refused.",
    ),
    Query(
        "error_ratio",
        "errors",
        f"{rate(_FAILURES)} / ({_ENDED} > 0)",
        "ratio",
        "The share of requests that ended with an error. An ensemble counts its steps' errors too.",
    ),
    Query(
        "errors_by_reason",
        "errors by reason",
        f"{rate(_FAILURES, 'model, version, reason')} > 0",
        "requests/s",
        "Triton's reasons: REJECTED by a full queue or an invalid request, CANCELED by the client, "
        "BACKEND by the model, OTHER; and MODEL, where a Python model answered with an error.",
        (*MODEL, "reason"),
    ),
    Query(
        "mean_latency",
        "mean",
        _per_request("nv_inference_request_duration_us"),
        "s",
        "The mean time of an answered request in the server, without the network.",
        section="Latency",
    ),
    *(
        Query(
            f"p{share[2:].ljust(2, '0')}_latency",
            f"p{share[2:].ljust(2, '0')}",
            _quantile(share),
            "s",
            f"The {share} quantile of Triton's last minute, with 'trimaran serve --quantiles'. "
            "Quantiles of several servers do not add up.",
            section="Latency",
        )
        for share in ("0.5", "0.95", "0.99")
    ),
    Query(
        "queue_share",
        "queue",
        f"{rate('nv_inference_queue_duration_us')} / "
        f"({rate('nv_inference_request_duration_us')} > 0)",
        "ratio",
        "The share of a request's time that it waits for an instance or for its batch.",
        section="Latency",
    ),
    *(
        Query(
            f"compute_{part}",
            part,
            _per_request(f"nv_inference_compute_{part}_duration_us"),
            "s",
            f"The mean time per request for {words}.",
            section="Latency",
        )
        for part, words in (
            ("input", "preparing the inputs"),
            ("infer", "the model itself"),
            ("output", "preparing the outputs"),
        )
    ),
    Query(
        "batch_size",
        "batch",
        f"{rate('nv_inference_count')} / ({rate('nv_inference_exec_count')} > 0)",
        "rows",
        "The mean batch size of an execution. For an ensemble, the rows of a request.",
        section="Batching",
    ),
    Query(
        "pending_requests",
        "pending",
        "sum by (model, version) (max_over_time(nv_inference_pending_request_count[$window]))",
        "requests",
        "The most requests that were waiting for execution at a scrape.",
        section="Batching",
    ),
    Query(
        "cache_hit_ratio",
        "cache hits",
        f"{rate('nv_cache_num_hits_per_model')} / ({rate('nv_cache_num_hits_per_model')} + "
        f"{rate('nv_cache_num_misses_per_model')} > 0)",
        "ratio",
        "The share of lookups that the response cache answered, if a model has one.",
        section="Batching",
    ),
    Query(
        "model_cpu",
        "CPU",
        rate('trimaran_cpu_seconds_total{model!=""}'),
        "cores",
        "Cores that a model's instances use: its stubs, or its threads in tritonserver.",
        section="Machine",
    ),
    Query(
        "model_memory",
        "memory",
        'sum by (model, version) (trimaran_resident_bytes{model!=""})',
        "bytes",
        "Memory of a model's instances: of its stubs, or what ONNX Runtime holds in tritonserver.",
        section="Machine",
    ),
    Query(
        "server_cpu",
        "CPU of the server",
        "sum (rate(trimaran_cpu_seconds_total[$window]))",
        "cores",
        "Cores that tritonserver and all its stubs use.",
        (),
        section="Machine",
    ),
    Query(
        "machine_cpu",
        "CPU of the machine",
        "avg_over_time(nv_cpu_utilization[$window])",
        "ratio",
        "The utilisation of all cores of the machine, as Triton reports it.",
        (),
        section="Machine",
    ),
    Query(
        "gpu",
        "GPU",
        "avg by (gpu_uuid) (avg_over_time(nv_gpu_utilization[$window]))",
        "ratio",
        "The utilisation of a GPU.",
        ("gpu_uuid",),
        section="Machine",
    ),
    Query(
        "gpu_memory",
        "GPU memory",
        "max by (gpu_uuid) (nv_gpu_memory_used_bytes)",
        "bytes",
        "The used memory of a GPU.",
        ("gpu_uuid",),
        section="Machine",
    ),
    Query(
        "load_time",
        "load",
        "max by (model, version) (trimaran_model_load_seconds)",
        "s",
        "How long the last load of a version took.",
        section="Machine",
    ),
    Query(
        "model_ready",
        "ready",
        "max by (model) (trimaran_model_ready)",
        "1",
        "1 while some version of a model is ready, 0 for an expected model without one.",
        ("model",),
        section="Models",
    ),
    Query(
        "stub_deaths",
        "stub deaths",
        "sum by (model) (increase(trimaran_stub_deaths_total[$window]))",
        "1",
        "Stubs that died unexpectedly.",
        ("model",),
        section="Models",
    ),
    Query(
        "stub_hangs",
        "stub hangs",
        "sum by (model) (increase(trimaran_stub_hangs_total[$window]))",
        "1",
        "Stubs that hung, and were killed. They count among the deaths too.",
        ("model",),
        section="Models",
    ),
    Query(
        "heals",
        "heals",
        "sum by (model) (increase(trimaran_model_heals_total[$window]))",
        "1",
        "Reloads after a stub died, after which the model answered again.",
        ("model",),
        section="Models",
    ),
    Query(
        "reloads",
        "reloads",
        "max by (model, version) (changes(trimaran_model_load_seconds[$window]))"
        " or max by (model, version) (resets(nv_inference_request_success[$window]))",
        "1",
        "How often a version was reloaded, alone or with the server.",
        section="Models",
    ),
    Query(
        "scrapes",
        "scrapes that succeeded",
        'avg by (job) (avg_over_time(up{job=~"triton|supervisor|gateway"}[$window]))',
        "ratio",
        "The share of scrapes that were answered.",
        ("job",),
        section="Models",
    ),
    Query(
        "refused_requests",
        "refused",
        "sum by (model, version) (rate(trimaran_refused_requests_total[$window]))",
        "requests/s",
        "Requests that a Python model could not read. They are among its errors.",
        section="Inputs",
    ),
    Query(
        "feature_rows",
        "rows",
        "sum by (model, version, feature, bin) (increase(trimaran_feature_rows_total[$window]))",
        "rows",
        "Served rows, by feature and bin.",
        (*MODEL, "feature", "bin"),
        section="Inputs",
        reported=False,
    ),
    Query(
        "feature_reference",
        "reference",
        _last("trimaran_feature_reference_rows", "model, version, feature, bin"),
        "rows",
        "Rows of the reference in the same bins: of the training part, or of expected images.",
        (*MODEL, "feature", "bin"),
        section="Inputs",
        reported=False,
    ),
    Query(
        "logged_predictions",
        "logged",
        rate("trimaran_logged_predictions_total"),
        "rows/s",
        "Predictions per second that were written to the log.",
        section="Live accuracy",
    ),
    Query(
        "dropped_predictions",
        "dropped",
        rate("trimaran_dropped_predictions_total", "model, version, reason"),
        "rows/s",
        "Predictions per second that were lost: the log was too slow (queue), the disk failed "
        "(disk), or the record cannot be written (record).",
        (*MODEL, "reason"),
        section="Live accuracy",
    ),
    Query(
        "feedback",
        "feedback",
        "sum by (model, status) (rate(trimaran_feedback_total[$window]))",
        "rows/s",
        "Outcomes per second that clients sent, by status.",
        ("model", "status"),
        section="Live accuracy",
    ),
    Query(
        "outcomes",
        "outcomes",
        _growth("trimaran_outcomes_total", "model, version, cell"),
        "rows",
        "Predictions with a known outcome, by decision and whether it was right.",
        (*MODEL, "cell"),
        section="Live accuracy",
        reported=False,
    ),
    Query(
        "reference_outcomes",
        "test part",
        _last("trimaran_reference_outcomes", "model, version, cell"),
        "rows",
        "The same for the test part, when the model was trained.",
        (*MODEL, "cell"),
        section="Live accuracy",
        reported=False,
    ),
    Query(
        "calibration_error",
        "calibration error",
        f"sum by (model, version) (abs({_POSITIVES} - {_PROBABILITY})) / ({_OUTCOMES} > 0)",
        "ratio",
        "The distance of probabilities from true shares, averaged over the rows of ten bins.",
        section="Live accuracy",
        reported=False,
    ),
    Query(
        "brier",
        "Brier score",
        f"{_SQUARED_ERROR} / ({_OUTCOMES} > 0)",
        "1",
        "The mean squared error of the probability.",
        section="Live accuracy",
        reported=False,
    ),
    Query(
        "availability_objective",
        "availability objective",
        "model:slo_availability:ratio",
        "ratio",
        "The share of requests to be answered.",
        ("model",),
        section="Objectives",
    ),
    Query(
        "mean_objective",
        "mean objective",
        "model:slo_request_mean:seconds",
        "s",
        "The objective for the mean time of a request.",
        ("model",),
        section="Objectives",
    ),
    Query(
        "p99_objective",
        "p99 objective",
        "model:slo_request_p99:seconds",
        "s",
        "The objective for the 99th percentile, where Triton reports it.",
        ("model",),
        section="Objectives",
    ),
)

CATALOGUE: Mapping[str, Query] = {each.name: each for each in (*_QUERIES, *GATEWAY_QUERIES)}


def query(name: str, window: str) -> str:
    """The PromQL of a catalogue's query over a window."""
    return CATALOGUE[name].over(window)
