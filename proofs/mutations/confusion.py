"""How often the checker and the server agree, by kind of mutation: a page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from proofs.mutations.trial import Outcome

__all__ = ["BESIDE_NVIDIA", "Confusion", "cause", "page"]

_CAUSES = {
    "no GPUs are available": "this host has no GPU: the checker warns",
    "unsupported gpu id": "this host has no GPU: the checker warns",
    "specifies one or more GPUs": "this host has no GPU: the checker warns",
    "backend 'tensorrt'": "only NVIDIA's container has this backend",
    "needs NVIDIA's own backend": "the stand-in backend refuses what NVIDIA's serves",
    "Failed to process the request(s)": "the model's own code fails on its warm-up",
}
_OWN_CODE = re.compile(r"_[a-z]+/[0-9]+/model\.py\(")
"""A line of a traceback in the model's own source, and not in a backend's."""
_SHAPES = re.compile(r"is (\w+) \[[^]]*\] from .* but \1 \[[^]]*\] in ")
_JUSTIFIED = {
    "is declared twice": "Triton accepts it in silence, and it is a mistake",
    "has a reshape": "an ensemble never applies its reshape",
    "is optional in": "a request without it fails",
    "since it is an input": "two tensors of one name: which one a step gets is chance",
    "is taken for version -": "no request can name a version below zero",
    "is damaged": "an entry's checksum is wrong, which torch does not test",
    "is none of ": "a number that names nothing, which Triton passes over",
    "runtime is": "it breaks the model in NVIDIA's container",
}

_OBSERVED = """\
## Behaviour of the server that is easily missed

- A Python model whose `model.py` is missing does not fail: the load never returns. The same \
holds for a directory such as `2.tmp`, which counts as version 2.
- A version number beyond 64 bits, a label file that is a directory, and a `config.pbtxt` that is \
one, end the server.
- A failing warm-up sample is an error, and at times the load never returns. Samples of batch \
size 0 are passed over, whatever they hold.
- An input or output that is declared twice is accepted silently.
- `platform: "python"` is refused, while `backend: "python"` takes any platform.
- The backend is searched by name in the first directory only, and the highest version is \
served.
- A step without `model_version` asks for version 0, not for the newest.
- A step's output that is mapped and not used is refused; one that is not mapped is not.
- Shapes of steps are compared with or without their batch axis, whichever fits. In an ensemble \
without batches that is served: a request becomes one row for a step with batches. A step without \
batches passes in an ensemble with batches, and its requests fail beyond one row.
- A configuration may hold any byte but NUL in comments and strings, and only ASCII elsewhere; a \
byte order mark is refused. Numbers that name nothing in an enumeration are passed over, but for \
an instance group's `kind` and where a backend compares a `data_type` with its model's.
- Shapes that an ONNX file declares and that contradict what follows from its operators are no \
error: they become open, and then no longer fit a configuration. What is inferred depends on the \
optimisations.
- A Python model's environment that cannot be unpacked leaves the server in another working \
directory: a repository that was given by a relative path is not found again, and every later \
load fails.
- A TorchScript archive whose weights have a wrong checksum is served.

""".splitlines()


def cause(outcome: Outcome) -> str | None:
    """Why the server refuses alone where that is right, or `None` where the checker is wrong."""
    for words, reason in _CAUSES.items():
        if words in (outcome.server or ""):
            return reason
    if _OWN_CODE.search(outcome.server or ""):
        return "the model's own code raises, and the checker does not run it"
    return None


def justification(outcome: Outcome) -> str | None:
    """Why the checker refuses alone where that is right, or `None`."""
    for words, reason in _JUSTIFIED.items():
        if words in (outcome.checker or ""):
            return reason
    if _SHAPES.search(outcome.checker or ""):
        return "the batch axis is missing on one side, so that requests fail"
    return None


@dataclass(frozen=True)
class Confusion:
    """The outcomes of a run."""

    outcomes: Sequence[Outcome]

    def of(self, *, checker: bool, server: bool) -> list[Outcome]:
        """The outcomes in which each of the two refused, or did not."""
        return [
            outcome
            for outcome in self.outcomes
            if (outcome.checker is not None, outcome.server is not None) == (checker, server)
        ]

    @property
    def missed(self) -> list[Outcome]:
        """What the server refuses, the checker passes, and nothing explains."""
        return [o for o in self.of(checker=False, server=True) if cause(o) is None]

    @property
    def unjustified(self) -> list[Outcome]:
        """What the checker refuses, the server passes, and nothing justifies."""
        return [o for o in self.of(checker=True, server=False) if justification(o) is None]

    def row(self, name: str) -> str:
        """One line of the table."""
        cells = [
            len(self.of(checker=checker, server=server))
            for checker, server in ((True, True), (False, False), (True, False), (False, True))
        ]
        return f"| {name} | {len(self.outcomes)} | " + " | ".join(map(str, cells)) + " |"


def page(outcomes: Iterable[Outcome], command: str, version: str) -> str:
    """The report in Markdown."""
    everything = Confusion(list(outcomes))
    kinds = list(dict.fromkeys(outcome.trial.kind for outcome in everything.outcomes))
    lines = [
        "# The checker compared with the real server",
        "",
        "`trimaran check` checks a model repository offline. Here it is compared with the real "
        f"`tritonserver` {version}: small valid repositories are changed in one place each, and "
        "each is given to both. The server loads every model; a model that is refused, does not "
        "become ready, or crashes or hangs the server, counts as refused. A model "
        "without any version counts as refused by the checker, which notes that it is not served.",
        "",
        "```",
        command,
        "```",
        "",
        "| change | repositories | refused by both | passed by both | by the checker alone "
        "| by the server alone |",
        "|---|---:|---:|---:|---:|---:|",
        *(
            Confusion([o for o in everything.outcomes if o.trial.kind == kind]).row(kind)
            for kind in kinds
        ),
        everything.row("**all**"),
        "",
        *_listed(
            "Refused by the checker alone",
            [(o, justification(o), o.checker) for o in everything.of(checker=True, server=False)],
        ),
        *_listed(
            "Refused by the server alone",
            [(o, cause(o), o.server) for o in everything.of(checker=False, server=True)],
        ),
        *_OBSERVED,
        *BESIDE_NVIDIA,
        "## What this does not prove",
        "",
        "The `onnxruntime` and `pytorch` backends here are python-based ones that stand in for "
        "NVIDIA's ([`conformance.md`](conformance.md)), so model files are checked by their "
        "rules. Controls, states and batch tensors of an ONNX model, which they refuse, are "
        "checked by the source of NVIDIA's backend. An ONNX file is loaded by the ONNX Runtime "
        "that is installed, up to 512 MiB with its weights and unless it is unchanged since it "
        "was published; beyond that, or without ONNX Runtime, the package `onnx` checks its "
        "structure. An operator that only this machine's CPU cannot run is a warning. Operators "
        "of a library that the configuration names are not checked. A `.pt` file is checked by "
        "its archive, and nothing in it is opened; a package of AOTInductor by its archive, its "
        "metadata and its generated source, and its code is not loaded. Of TensorRT, OpenVINO, "
        "TensorFlow and the other backends of NVIDIA's container, only the configuration is "
        "checked and that the file is there, so that an engine whose tensors have other names, "
        "types or shapes than the configuration passes. Of a Python model's "
        "`auto_complete_config` only literals are followed, and it is not run, nor is anything "
        "else that the model does when it starts: an import that fails, or an `initialize` that "
        "raises, shows only in the server. A large environment is not unpacked, and one that an "
        "absolute path names has to be on the machine that checks.",
        "",
    ]
    return "\n".join(lines)


def _listed(heading: str, rows: list[tuple[Outcome, str | None, str | None]]) -> list[str]:
    lines = [f"## {heading}", ""]
    if not rows:
        return [*lines, "None.", ""]
    lines += ["| change | said | why that is right |", "|---|---|---|"]
    for outcome, reason, said in rows:
        # What follows is a traceback, with paths that differ from run to run.
        words = " ".join((said or "").split()).partition(" At: ")[0].replace("|", "\\|")[:200]
        lines.append(
            f"| {outcome.trial.kind}: `{outcome.trial.change[:120]}` | {words} "
            f"| {reason or '**not explained**'} |"
        )
    return [*lines, ""]


BESIDE_NVIDIA = """\
## NVIDIA's own test repositories

The server's sources hold repositories for its own tests (`qa/L0_model_config` in \
`triton-inference-server/server`), each with the words of the refusal or with the completed \
configuration. 462 were rebuilt from stored copies of those files and given to `trimaran \
check`: the configurations and the `model.py` files with the same content, some of them, \
whose copy is not stored, after a neighbour's and the words that are expected, and in place \
of the model files, which lie elsewhere, an ONNX file of the same names, types and shapes, \
an archive as TorchScript has it, or a file of the right name. 59 of the configurations are \
tried with each of 5 platforms, as NVIDIA does. A missed one passes the checker and is \
refused by the server, a false one the other way round.

| repositories | | agree | missed | false | out of scope |
|---|---:|---:|---:|---:|---:|
| ensembles | 37 | 37 | 0 | 0 | 0 |
| Python models that complete | 30 | 30 | 0 | 0 | 0 |
| ONNX | 17 | 17 | 0 | 0 | 0 |
| PyTorch | 7 | 7 | 0 | 0 | 0 |
| TensorRT | 37 | 19 | 0 | 0 | 18 |
| TensorFlow | 17 | 17 | 0 | 0 | 0 |
| OpenVINO | 5 | 4 | 0 | 0 | 1 |
| refused on every platform | 295 | 288 | 0 | 0 | 7 |
| backends and files | 9 | 9 | 0 | 0 | 0 |
| metrics of a model | 8 | 6 | 0 | 0 | 2 |
| **all** | 462 | 434 | 0 | 0 | 28 |

Nine of the ensembles name steps that are not in their repository; here they are, so that the \
wiring is checked. 108 of all these repositories can be given to the \
`tritonserver` of the table above: 105 end as NVIDIA says, and 3 need a GPU. Before this \
comparison 423 agreed, 4 were missed and 7 were false: an ONNX model of sequences was refused for \
the inputs that the server feeds, and a SavedModel for tensors that it describes.

Out of scope are cases that none of the files read can show:

- 18 engines of TensorRT with other names, types, shapes, profiles or formats than the \
configuration has (2 of them are refused for `is_non_linear_format_io`, which `tritonserver` 2.51 \
does not know), and 1 OpenVINO model with more inputs.
- 5 configurations for GPU 42, which some host may have, so they get a warning.
- 2 without a `data_type` that TensorRT and TensorFlow fill in, unless the server is started with \
`--disable-auto-complete-config`.
- 2 that are refused with `model_metrics`, because `tritonserver` 2.51 does not know it, and that \
a newer one serves.

Not rebuilt were tests whose configuration is not stored, TensorFlow and OpenVINO models that only \
the file contradicts, and what earlier releases completed and 2.51 does not: a tensor of an ONNX \
model that is declared by half.

""".splitlines()
