"""One run of perf_analyzer on a served model, as a run like any other tool's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from loadtests.gates import Gates
from loadtests.payloads import Rows
from loadtests.perf.binary import PerfAnalyzer
from loadtests.perf.load import Load, arguments, input_data
from loadtests.perf.process import Ended, run_perf_analyzer, unregister_lost
from loadtests.perf.results import Results, evaluate_results, invalid_results, parse_results, reason
from loadtests.reports.run import Run
from loadtests.subject import Reading, Service, read_statistics, steps_between
from trimaran.repository.config import ModelConfig
from trimaran.serving.denial import DeniedError
from trimaran.system.errors import TrimaranError
from trimaran.system.files import temporary_directory
from trimaran.system.processes import cpu_s

__all__ = ["measure"]

_PATIENCE_S = 60.0
"""For its start, and for answers that are still missing at the end of a run."""


def measure(
    tool: PerfAnalyzer,
    service: Service,
    models: Mapping[str, ModelConfig],
    load: Load,
    rows: Rows,
    gates: Gates = Gates(),  # noqa: B008 - immutable
    progress: Callable[[float], None] = lambda _: None,
) -> tuple[Run, Results]:
    """Run it once, and compare the result with the SLOs.

    `models` are the configurations of the model and its steps, by name. Raises `TrimaranError` with
    perf_analyzer's message where it gives up, as it does at the first request that is refused.
    """
    config = models[load.model]
    if not 1 <= load.batch <= max(config.max_batch_size, 1):
        raise TrimaranError(
            f"{load.model} takes up to {max(config.max_batch_size, 1)} rows per request, and "
            f"--batch "
            f"is {load.batch}"
        )
    text = input_data(rows.rows, batches=config.max_batch_size > 0, batch=load.batch)
    with temporary_directory() as directory:
        data, table, roots = (directory / name for name in ("input.json", "report.csv", "ca.pem"))
        data.write_text(text)
        if service.endpoint.secure:
            roots.write_bytes(service.endpoint.roots())
        before = _statistics(service, models)
        used_before_s = cpu_s(service.pid) if service.pid else 0.0
        try:
            ended = run_perf_analyzer(
                tool,
                arguments(load, service.endpoint, data, table, service.secret, roots),
                directory,
                most_s=2 * load.seconds + _PATIENCE_S,
                progress=progress,
            )
        except BaseException:
            if load.shared_memory:
                unregister_lost(service.endpoint, service.secret)
            raise
        used_s = cpu_s(service.pid) - used_before_s if service.pid else 0.0
        if ended.status != 0 or not table.is_file():
            raise TrimaranError(_failure(service, load, ended))
        results = parse_results(table.read_text(), ended.output)
    after = _statistics(service, models)
    sent = _requests(after, load.model) - _requests(before, load.model)
    rate = results.rows_per_s / load.batch
    seconds = results.requests / rate if rate else load.seconds
    return Run(
        target=f"{load.model}:{load.version}" if load.version else load.model,
        protocol=f"{load.protocol}, shared memory" if load.shared_memory else load.protocol,
        loop="open" if load.rate is not None else "closed",
        load=load.words,
        seconds=seconds,
        requests=results.requests,
        answered=results.requests,
        rate=rate,
        latency_ms=results.latency_ms,
        rows=load.batch,
        late_sends=results.delayed,
        server_cpu_ms=used_s / sent * 1e3 if service.pid and sent > 0 else None,
        generator_cpu_ms=ended.cpu_s / sent * 1e3 if sent > 0 else None,
        steps=steps_between(before, after),
        invalid=invalid_results(load, results, seconds),
        gates=evaluate_results(gates, results, seconds),
    ), results


def _statistics(service: Service, models: Iterable[str]) -> Reading:
    """Triton's; none where a gateway does not give them."""
    try:
        return read_statistics(service.control, models)
    except DeniedError:
        return {}


def _failure(service: Service, load: Load, ended: Ended) -> str:
    words = reason(ended.errors, ended.output)
    if not service.control.is_live():
        where = f"the server at {service.endpoint}"
        return f"{where} went away during the run; perf_analyzer says: {words}"
    if "No valid requests" in words:
        return (
            f"{load.model}: in a window of {load.seconds / 3:.1f} s no request was both sent and "
            f"answered at {load.words}; lower the load, or give a longer --duration"
        )
    if ended.status < 0:
        return f"perf_analyzer was ended by signal {-ended.status}: {words}"
    return f"{load.model}: perf_analyzer gave up (exit status {ended.status}): {words}"


def _requests(reading: Reading, model: str) -> int:
    """How many requests the server has answered or refused for a model."""
    return sum(
        int(entry["inference_stats"][kind].get("count", 0))
        for (name, _), entry in reading.items()
        if name == model
        for kind in ("success", "fail")
    )
