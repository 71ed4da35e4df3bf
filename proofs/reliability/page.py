"""The page, from the lines of each part."""

from __future__ import annotations

import os
import platform
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from proofs.reliability.kills import STAGES
from proofs.reliability.load import BATCHED

__all__ = ["page"]

Lines = Sequence[Mapping[str, Any]]

_COMMAND = ".venv/bin/python -m proofs.reliability"

_HEAD = (
    "# What is broken on purpose, and what clients notice",
    "",
    "A real `tritonserver`, run by `trimaran serve`, loses processes and gets bad requests, while "
    "twelve clients ask for good answers: two over HTTP and two over gRPC for each of `churn`, "
    "`churn_record` and `image_classifier`. Each sends its model's golden request, 20 ms after the "
    "answer before, and compares the answer with the golden one. A request *failed* if its "
    "connection was refused or cut, if it timed out (20 s; 5 s where servers are killed), or if "
    "the answer was an error or a wrong one. Made by",
    "",
    f"```\n{_COMMAND} --output docs/reliability.md\n```",
    "",
    "An interrupted run goes on where it stopped. A name of a part, such as "
    f"`{_COMMAND} stubs`, runs that part alone.",
    "",
)


def page(parts: Mapping[str, Lines]) -> str:
    """The page as Markdown; `parts` has the lines of each part by its name."""
    sections = {
        "stubs": ("Killed stubs", _stubs),
        "deployments": ("Killed deployments", _deployments),
        "servers": ("Killed servers", _servers),
        "http": ("Bad HTTP requests", _fuzzed),
        "grpc": ("Bad gRPC calls", _fuzzed),
        "soak": ("Minutes of load with deployments", _soak),
        "sanitizers": ("The native backend with sanitizers", _sanitizers),
    }
    lines = [*_HEAD, *_overview(parts, sections)]
    for part, (title, describe) in sections.items():
        found = parts.get(part, ())
        lines += [f"## {title}", "", f"```\n{_COMMAND} {part}\n```", ""]
        lines += describe(found) if found else ["Not run.", ""]
    lines += [_machine(), ""]
    return "\n".join(lines)


def _table(heading: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """A table whose first column is text, and the others numbers."""
    return [
        f"| {' | '.join(heading)} |",
        f"|---|{'---:|' * (len(heading) - 1)}",
        *(f"| {' | '.join(map(_cell, row))} |" for row in rows),
        "",
    ]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else str(value)


def _sum(lines: Lines, name: str) -> int:
    return sum(line.get(name, 0) for line in lines)


def _overview(parts: Mapping[str, Lines], sections: Mapping[str, tuple[str, Any]]) -> list[str]:
    rows = []
    for part, (title, _) in sections.items():
        lines = parts.get(part, ())
        times = sum(line.get("requests", 1) for line in lines)
        minutes = f"{_sum(lines, 'took_s') / 60:.1f}"
        rows.append([title, times, _sum(lines, "good"), _sum(lines, "failed"), minutes])
    return _table(["", "times", "good requests beside", "of them failed", "minutes"], rows)


def _stubs(lines: Lines) -> list[str]:
    heals = np.array([line["heal_s"] for line in lines if line["healed"]])
    failing = [line["failing_s"] for line in lines]
    rows = [
        ("stubs killed", len(lines)),
        ("deaths that the supervisor counted", _sum(lines, "deaths")),
        ("healed", len(heals)),
        ("by a restart of the server, behind its own back", _sum(lines, "restarted")),
        ("seconds from the kill to the heal: median", _quantile(heals, 0.5)),
        ("95 %", _quantile(heals, 0.95)),
        ("longest", _quantile(heals, 1.0)),
        ("requests that failed after a kill: median", int(np.median(_all(lines, "failed")))),
        ("most", max(_all(lines, "failed"))),
        ("seconds in which they failed: median", _quantile(np.array(failing), 0.5)),
        ("longest", _quantile(np.array(failing), 1.0)),
    ]
    facts = ("threads", "zombies", "descriptors", "regions", "resident_mb")
    held = [
        (fact, lines[0]["before"][fact], max(line["after"][fact] for line in lines), last)
        for fact, last in ((fact, lines[-1]["after"][fact]) for fact in facts)
    ]
    return [
        "A stub, drawn at random among all of them, gets SIGKILL. The next one is killed when it "
        "is healed and no request has failed for half a second.",
        "",
        *_table(["", ""], rows),
        f"How requests failed: {_problems(lines)}.",
        "",
        "What `tritonserver` holds (`regions` are files of shared memory, `resident_mb` is its "
        "own memory):",
        "",
        *_table(["", "at first", "most", "at last"], held),
    ]


def _deployments(lines: Lines) -> list[str]:
    models = sorted({line["model"] for line in lines})
    hits = Counter((line["stage"], line["model"]) for line in lines)
    differed = Counter(line["stage"] for line in lines if not line["same_at_once"])
    stages = [
        [stage, *(hits[stage, model] for model in models), differed[stage]] for stage in STAGES
    ]
    settled = np.array([line["settled_s"] for line in lines if line["settled"]])
    rows = [
        ("deployments killed", len(lines)),
        ("kills that came after the end, repeated", _sum(lines, "late")),
        ("live on disk = served within 15 s", sum(line["settled"] for line in lines)),
        ("after how many seconds: longest", _quantile(settled, 1.0)),
        ("next deployment done, and live on disk = served", sum(map(_goes_on, lines))),
        ("something left after it", sum(bool(line["left"]) for line in lines)),
        ("requests beside", _sum(lines, "good")),
        ("of them failed", _sum(lines, "failed")),
    ]
    left = sorted({name for line in lines for name in line["left"]})
    return [
        "`trimaran deploy` gets SIGKILL at a moment drawn within a stage, which is drawn before: "
        "a release of the ensemble `churn`, or every third time a version of `churn_record`. "
        "Then the next deployment must be done, and leave nothing: temporary files, candidates, "
        "private servers.",
        "",
        *_table(["", ""], rows),
        *([f"Left: {', '.join(left)}.", ""] if left else []),
        "Where the kills fell, and after how many of them another version was served than the one "
        "live on disk, for a moment (a step counts while it loads):",
        "",
        *_table(["stage", *models, "differed"], stages),
    ]


def _goes_on(line: Mapping[str, Any]) -> bool:
    return line["next"] and line["same_after_next"]


def _servers(lines: Lines) -> list[str]:
    rows = []
    for process in sorted({line["process"] for line in lines}):
        mine = [line for line in lines if line["process"] == process]
        back = np.array([line["answered_s"] for line in mine if line["answered"]])
        others = _sum(mine, "failed") - _sum(mine, "refused") - _sum(mine, "timed_out")
        rows.append(
            [
                *(f"`{process}`", len(mine), len(back)),
                *(_quantile(back, 0.5), _quantile(back, 1.0)),
                *(
                    _sum(mine, "refused"),
                    others,
                    _sum(mine, "timed_out"),
                    sum(map(len, _all(mine, "left"))),
                ),
            ]
        )
    heading = [
        *("killed", "times", "answered again", "after s: median", "longest"),
        *("refused", "cut off", "timed out", "processes left"),
    ]
    return [
        "`tritonserver` gets SIGKILL, and every fourth time `trimaran serve`, which is started "
        "again at once on the same ports. Five ends of `tritonserver` in a minute would end "
        "`trimaran serve`. The clients ask on, and try again 20 ms after a refusal, so the number "
        "of refusals says little but that none of them hangs.",
        "",
        *_table(heading, rows),
    ]


def _fuzzed(lines: Lines) -> list[str]:
    sent = [line for line in lines if line["requests"]]
    known = next((line["known"] for line in reversed(lines) if "known" in line), ())
    by_kind: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for line in sent:
        for kind, statuses in line["statuses"].items():
            by_kind[kind].update(statuses)
    statuses = sorted({status for counts in by_kind.values() for status in counts})
    calm = [line for line in sent if not line["crashes"]]
    rows = [
        ("bad requests", _sum(sent, "requests")),
        ("ends of `tritonserver`", _sum(sent, "crashes")),
        ("stubs that died", _sum(sent, "stubs_died")),
        ("requests without an answer within 30 s", sum(len(line["hung"]) for line in sent)),
        (
            "answers for which a model was not prepared",
            sum(len(each["surprised"]) for each in sent),
        ),
        ("refusals that name files of the server, or are over 64 kB", _leaks(sent)),
        ("slowest of them, s", max((line["slowest_bad"][1] for line in sent), default=None)),
        ("good requests beside", _sum(sent, "good")),
        ("of them failed", _sum(sent, "failed")),
        ("of them failed while the server lived", _sum(calm, "failed")),
        (f"of these {BATCHED}", sum(line["problems"].get(BATCHED, 0) for line in calm)),
        ("slowest of them, s", max((line["slowest_s"] or 0.0 for line in calm), default=None)),
    ]
    suspects = sorted(number for line in sent for number in line["suspects"])
    kinds = [[kind, *(counts[status] for status in statuses)] for kind, counts in by_kind.items()]
    return [
        *_table(["", ""], rows),
        *(
            [f"Cut off in a batch with an end: {', '.join(map(str, suspects))}.", ""]
            * bool(suspects)
        ),
        f"How good requests failed: {_problems(sent)}. A text longer than its tensor, in binary "
        "data, is refused by Triton's Python backend (2.51) before a model sees it, and with it "
        "every request of the same batch.",
        "",
        "Answers by kind. Some requests stay good, such as a changed photograph. Triton itself "
        "answers JSON that it cannot parse with 500, and messages that protobuf cannot parse with "
        "INTERNAL.",
        "",
        *_table(["kind", *statuses], kinds),
        *(_known(known) if known else ()),
    ]


def _leaks(lines: Lines) -> int:
    return sum(len(line["leaks"]) for line in lines)


def _known(known: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        "Known requests that end `tritonserver` 2.51 itself, before a model sees them; "
        "`trimaran serve` starts it again. They are not among the requests above, and neither are "
        "other shapes that ask for more than 256 MB:",
        "",
        *_table(
            ["request", "it ended", "answers again after s"],
            [[k["request"], "yes" if k["ended"] else "no", k["back_s"]] for k in known],
        ),
    ]


def _soak(lines: Lines) -> list[str]:
    first, last = lines[0]["begin"], lines[-1]["end"]
    facts = [(fact, first[fact], last[fact]) for fact in first]
    rows = [
        ("minutes", f"{_sum(lines, 'took_s') / 60:.1f}"),
        ("deployments and rollbacks", len(lines)),
        ("done", _sum(lines, "done")),
        ("longest, s", max(_all(lines, "switch_s"))),
        ("requests", _sum(lines, "good")),
        ("failed", _sum(lines, "failed")),
        ("latency, ms: median of the parts' medians", _ms(np.median(_all(lines, "p50_s")))),
        ("highest 99 % of a part", _ms(max(_all(lines, "p99_s")))),
        ("slowest", _ms(max(_all(lines, "slowest_s")))),
        ("requests of `churn_record`", _sum(lines, "asked")),
        ("rows of its prediction log", _sum(lines, "logged")),
    ]
    return [
        "Deployments and rollbacks of `churn` and `churn_record` in turn, with the prediction log "
        "on.",
        "",
        *_table(["", ""], rows),
        *_table(["`tritonserver`", "at first", "at last"], facts),
    ]


def _sanitizers(lines: Lines) -> list[str]:
    rows = [
        ("bad requests", _sum(lines, "requests")),
        ("unloads and loads of models beside them", _sum(lines, "loads")),
        ("reports of AddressSanitizer, UndefinedBehaviorSanitizer or LeakSanitizer", 0),
    ]
    answers: list[str] = []
    for protocol, name in (("http", "HTTP"), ("grpc", "gRPC")):
        answers += [f"Answers over {name}: {_counted(lines, protocol)}.", ""]
    return [
        "A private `tritonserver` with seven small ONNX models, whose native backend is compiled "
        "with AddressSanitizer and UndefinedBehaviorSanitizer, gets the bad requests of both kinds "
        "above, half of them by each protocol. A report fails this part, and so does a good "
        "request without an answer at the end. Leaks are looked for at the end; one allocation is "
        "lost on purpose, and found. What Triton itself loses is left out: 64 bytes for each "
        "empty output that it sends in binary over HTTP, and now and then a buffer of its HTTP "
        "server.",
        "",
        *_table(["", ""], rows),
        *answers,
    ]


def _all(lines: Lines, name: str) -> list[Any]:
    return [line[name] for line in lines]


def _quantile(values: np.ndarray, share: float) -> str | None:
    return f"{np.quantile(values, share):.2f}" if len(values) else None


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"


def _problems(lines: Lines) -> str:
    return _counted(lines, "problems") or "none failed"


def _counted(lines: Lines, name: str) -> str:
    """How often each kind is in the counts of this name, the most frequent first."""
    total: Counter[str] = Counter()
    for line in lines:
        total.update(line[name])
    return ", ".join(f"{kind} {count}" for kind, count in total.most_common())


def _machine() -> str:
    return f"Python {platform.python_version()} on {os.cpu_count()} CPU cores."
