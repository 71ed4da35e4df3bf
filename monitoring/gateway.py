"""What went through the gateway in a window of time, from the catalogue's queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monitoring.prometheus_api import Sample

__all__ = ["GatewayFigures", "ModelFigures", "gateway_of"]

_LATENCIES = ("gateway_mean", "gateway_p50", "gateway_p99")


@dataclass(frozen=True)
class ModelFigures:
    """The requests to one model, in requests/s, and how long answered ones took."""

    model: str
    answers: Mapping[str, float]
    """By the class of HTTP's status, such as `2xx`, or gRPC's status, such as `grpc 7`."""
    refusals: Mapping[str, float]
    """Those that the gateway answered by itself, by reason: see docs/monitoring.md."""
    latency_s: Mapping[str, float]
    """By the query's name, `gateway_mean`, `gateway_p50` and `gateway_p99`."""

    @property
    def rate(self) -> float:
        """All its requests."""
        return sum(self.answers.values())


@dataclass(frozen=True)
class GatewayFigures:
    """The models that were asked, and whether each server is ready."""

    models: Sequence[ModelFigures]
    servers: Mapping[str, bool]

    @property
    def rate(self) -> float:
        """All requests a second."""
        return sum(each.rate for each in self.models)

    @property
    def refusals(self) -> Mapping[str, float]:
        """Requests a second that the gateway answered by itself, by reason."""
        found: dict[str, float] = {}
        for each in self.models:
            for reason, rate in each.refusals.items():
                found[reason] = found.get(reason, 0.0) + rate
        return found


def gateway_of(answers: Mapping[str, Sequence[Sample]]) -> GatewayFigures | None:
    """The figures in the samples by query name, or None where no gateway was scraped."""
    rates = _nested(answers.get("gateway_requests", ()), "answer")
    refusals = _nested(answers.get("gateway_refusals", ()), "reason")
    latencies: dict[str, dict[str, float]] = {}
    for name in _LATENCIES:
        for sample in answers.get(name, ()):
            latencies.setdefault(sample.labels.get("model", ""), {})[name] = sample.value
    servers = {
        sample.labels.get("server", ""): sample.value > 0
        for sample in answers.get("gateway_server_ready", ())
    }
    models = [
        ModelFigures(model, found, refusals.get(model, {}), latencies.get(model, {}))
        for model, found in sorted(rates.items(), key=lambda item: (not item[0], item[0]))
    ]
    return GatewayFigures(models, servers) if models or servers else None


def _nested(samples: Sequence[Sample], label: str) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for sample in samples:
        if sample.value > 0:
            value = sample.labels.get(label, "") or "no answer"
            found.setdefault(sample.labels.get("model", ""), {})[value] = sample.value
    return found
