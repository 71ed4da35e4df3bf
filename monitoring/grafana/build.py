"""Grafana's dashboards from the catalogue: `python -m monitoring.grafana.build` writes them.

Each query of a section becomes a panel, so a dashboard has no queries of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, Row
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.timeseries import Panel
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef

from monitoring.queries import CATALOGUE
from monitoring.query import Query
from trimaran.system.files import write_text

__all__ = ["DASHBOARDS", "dashboards"]

DASHBOARDS = Path(__file__).parent / "dashboards"

_SECTIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "requests": ("Triton: requests and latency", ("Requests", "Latency", "Batching")),
    "machine": ("Triton: models and machine", ("Models", "Machine", "Objectives")),
    "inputs": ("Triton: inputs and drift", ("Inputs",)),
    "accuracy": ("Triton: live accuracy", ("Live accuracy",)),
    "gateway": ("Triton: the gateway", ("Gateway",)),
}
_RECORDED = (
    Query(
        "population_stability",
        "population stability index",
        "model_version_feature:population_stability:increase1h"
        " - model_version_feature:population_stability_chance:increase1h",
        "1",
        "How far a feature of the last hour is from its reference, or without one from the day "
        "before, less the part that chance explains.",
        ("model", "version", "feature"),
        "Inputs",
    ),
    Query(
        "jensen_shannon",
        "Jensen-Shannon distance",
        "model_version_feature:jensen_shannon:increase1h",
        "1",
        "The same as a distance from 0 to 1.",
        ("model", "version", "feature"),
        "Inputs",
    ),
    *(
        Query(
            series,
            title,
            series,
            unit,
            f"{meaning} For outcomes of the last day.",
            section="Live accuracy",
        )
        for series, title, unit, meaning in (
            ("model_accuracy", "accuracy", "ratio", "The share of right decisions."),
            ("model_precision", "precision", "ratio", "The share of right decided positives."),
            ("model_recall", "recall", "ratio", "The share of positives that were found."),
            ("model_f1", "F1", "ratio", "The harmonic mean of precision and recall."),
            ("model_macro_f1", "macro F1", "ratio", "The mean F1 of the classes."),
            ("model_mae", "mean absolute error", "1", "Of numbers, in their own unit."),
            (
                "model_calibration_error",
                "calibration error",
                "ratio",
                "How far probabilities are from the true shares, over ten bins.",
            ),
            ("model_brier", "Brier score", "1", "The mean squared error of the probability."),
        )
    ),
)
"""Recorded series, which need no window."""

_UNITS = {
    "requests/s": "reqps",
    "s": "s",
    "ratio": "percentunit",
    "bytes": "bytes",
    "rows": "short",
    "rows/s": "short",
    "requests": "short",
    "cores": "short",
    "1": "short",
}
_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_WIDTH, _HEIGHT = 12, 8


def dashboards() -> Mapping[str, str]:
    """Each dashboard's JSON by the name of its file."""
    return {
        f"{name}.json": json.dumps(
            _dashboard(name, title, sections).build(), cls=JSONEncoder, indent=1, sort_keys=True
        )
        + "\n"
        for name, (title, sections) in _SECTIONS.items()
    }


def _dashboard(name: str, title: str, sections: tuple[str, ...]) -> Dashboard:
    board = (
        Dashboard(title)
        .uid(f"trimaran-{name}")
        .tags(["triton", "trimaran"])
        .refresh("10s")
        .time("now-1h", "now")
        .with_variable(DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    for section in sections:
        board = board.with_row(Row(section))
        for query in (*CATALOGUE.values(), *_RECORDED):
            if query.section == section and query.reported:
                board = board.with_panel(_panel(query))
    return board


def _panel(query: Query) -> Panel:
    target = (
        Dataquery()
        .expr(query.over("$__rate_interval"))
        .legend_format(" ".join(f"{{{{{label}}}}}" for label in query.labels) or query.title)
        .datasource(_SOURCE)
        .range()
        .ref_id("A")
    )
    return (
        Panel()
        .title(query.title)
        .description(query.meaning)
        .datasource(_SOURCE)
        .unit(_UNITS[query.unit])
        .min(0)
        .span(_WIDTH)
        .height(_HEIGHT)
        .with_target(target)
    )


def _main() -> None:
    for name, text in dashboards().items():
        write_text(DASHBOARDS / name, text)
        print(DASHBOARDS / name)


if __name__ == "__main__":
    _main()
