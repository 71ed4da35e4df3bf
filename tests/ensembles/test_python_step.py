"""A function as a step: what travels with it, what is refused, and what it answers when served."""

from __future__ import annotations

import importlib
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ensembles.own_code import own_code
from ensembles.pipeline import tensor
from ensembles.publish import publish
from ensembles.python_step import PythonStep, python_step
from tests.running import Served, start_serving
from tests.trimaran.calling import call_trimaran
from trimaran.repository.repository import Repository
from trimaran.served.refusal import FaultError, RefusedError
from trimaran.served.step_calls import load_step
from trimaran.system.errors import TrimaranError, UsageError

X, Y = tensor("X", "FP32", 2), tensor("Y", "FP32", 2)
NUMBERS = itertools.count()

SOUND = """
import numpy as np

from soundfilters.windows import window
from trimaran import Ensemble, Pipeline, Step, python_step, tensor

AUDIO = tensor("AUDIO", "FP32", -1)
SPECTRUM = tensor("SPECTRUM", "FP32", 9, -1)


@python_step(inputs=[AUDIO], outputs=[SPECTRUM], requirements=["scipy"])
def spectrum(AUDIO):
    from scipy.signal import stft

    if len(AUDIO) < 16:
        raise ValueError(f"AUDIO has {len(AUDIO)} samples, and 16 are the least")
    return np.abs(stft(AUDIO * window(len(AUDIO)), nperseg=16)[2])


@python_step(
    inputs=[SPECTRUM],
    outputs=[tensor("NAME", "BYTES", 1), tensor("LOUD", "FP32", 1)],
    batched=True,
)
def loudest(SPECTRUM):
    bands = SPECTRUM.max(2)
    names = np.array([[f"band {band}"] for band in bands.argmax(1)], object)
    return {"LOUD": bands.max(1, keepdims=True), "NAME": names}


def pipeline():
    steps = [
        Step(spectrum, {"AUDIO": "AUDIO"}, {"SPECTRUM": "spectrum"}),
        Step("loudest", {"SPECTRUM": "spectrum"}, {"NAME": "NAME", "LOUD": "LOUD"}),
    ]
    return Pipeline(Ensemble("band", [AUDIO], loudest.outputs, steps), [loudest])
"""
WINDOWS = """
import numpy as np


def window(length):
    return np.hanning(length).astype(np.float32)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a module of steps, and a package that it imports."""
    root = tmp_path_factory.mktemp("sound")
    (root / "soundsteps.py").write_text(SOUND)
    (root / "soundfilters").mkdir()
    (root / "soundfilters" / "__init__.py").touch()
    (root / "soundfilters" / "windows.py").write_text(WINDOWS)
    sys.path.insert(0, str(root))
    yield root
    sys.path.remove(str(root))


@pytest.fixture(scope="module")
def steps(project: Path) -> ModuleType:
    return importlib.import_module("soundsteps")


@pytest.fixture(scope="module")
def server(project: Path) -> Iterator[Served]:
    for command in (["publish", "soundsteps.py:pipeline"], ["release", "band"]):
        outcome = call_trimaran(*command, cwd=project)
        assert outcome.status == 0, outcome.stderr
    running = start_serving(Repository.open(project / "model_repository"))
    yield running
    running.stop()


def ask(server: Served, model: str, **arrays: np.ndarray) -> Any:
    with server.client() as client:
        return client.infer(model, arrays).outputs


def test_a_step_answers_in_a_server_as_the_function_does(server: Served, steps: ModuleType) -> None:
    audio = np.sin(np.arange(3 * 64, dtype=np.float32)).reshape(3, 64)
    answer = ask(server, "band", AUDIO=audio)
    expected = steps.loudest.answer(**steps.spectrum.answer(AUDIO=audio))
    assert np.allclose(answer["LOUD"], expected["LOUD"], atol=1e-6)
    assert answer["NAME"].tolist() == expected["NAME"].tolist()
    (name,) = set(steps.loudest(SPECTRUM=steps.spectrum(audio[0])[None])["NAME"].ravel())
    assert name.encode() == answer["NAME"][0, 0]


def test_a_row_that_the_function_refuses_fails_with_its_words(server: Served) -> None:
    with pytest.raises(TrimaranError, match="spectrum: AUDIO has 3 samples, and 16 are the least"):
        ask(server, "band", AUDIO=np.ones((1, 3), np.float32))


def test_its_own_modules_travel_and_nothing_else(server: Served, project: Path) -> None:
    version = project / "model_repository" / "spectrum" / "1"
    own = sorted(path.relative_to(version).as_posix() for path in version.glob("own/**/*.py"))
    assert own == [
        "own/soundfilters/__init__.py",
        "own/soundfilters/windows.py",
        "own/soundsteps.py",
    ]
    assert json.loads((version / "requirements.json").read_text()) == ["scipy"]


def step_in(folder: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> PythonStep:
    """The step `f` of a new module."""
    name = f"ownstep{next(NUMBERS)}"
    (folder / f"{name}.py").write_text(f"from ensembles import python_step, tensor\n{source}")
    monkeypatch.syspath_prepend(folder)
    found = importlib.import_module(name).f
    assert isinstance(found, PythonStep)
    return found


DECLARED = "@python_step(inputs=[tensor('X', 'FP32', 2)], outputs=[tensor('Y', 'FP32', 2)]{more})\n"


@pytest.mark.parametrize(
    ("more", "body", "said"),
    [
        ("", "def f(X): return X[:1]", "Y has shape [1], and [2] is declared"),
        ("", "def f(X): return X, X", "answers 2 values, and Y is declared"),
        ("", "def f(X): return {'Z': X}", "answers Z, and Y is declared"),
        ("", "def f(X): return X.astype(complex)", "Y is complex128, and float32 is declared"),
        ("", "def f(X): return X / X.missing", "fails on made-up rows (AttributeError"),
        (", requirements=['no-such-package']", "def f(X): return X", "which is not installed"),
        (", requirements=['numpy>=99']", "def f(X): return X", "requires numpy>=99, and numpy"),
        (", requirements=['numpy>>1']", "def f(X): return X", "'numpy>>1' is no requirement"),
        ("", "def f(X):\n    import scipy\n    return X", "imports scipy, which the step f does"),
        ("", "def f(X):\n    import nowhere\n    return X", "imports nowhere, which the step f"),
        (", batched=True", "def f(X): return X - X.mean(0)", "for a row otherwise alone than in"),
        (", example={'X': [1.0]}", "def f(X): return X", "X has shape [1], and [2] is declared"),
        (", example={'Z': [1.0]}", "def f(X): return X", "has Z, and its inputs are X"),
        (
            ", example={'X': [1.0, 2.0]}",
            "def f(X): raise ValueError('too small')",
            "refuses its own example: f: too small",
        ),
        (
            "",
            "def f(X):\n    import random\n    return X + random.random()",
            "otherwise where Triton runs it than here",
        ),
        (
            "",
            "def f(X):\n    import trimaran.system.files\n    return X",
            "a served step has no trimaran",
        ),
    ],
)
def test_what_cannot_be_served_is_refused_when_it_is_published(
    more: str, body: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = step_in(tmp_path, f"{DECLARED.format(more=more)}{body}\n", monkeypatch)
    repository = Repository.create(tmp_path / "model_repository")
    with pytest.raises(TrimaranError) as refused:
        publish(step, repository)
    assert said in str(refused.value)
    assert repository.names() == []


def test_files_lie_beside_the_module_wherever_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "factor.txt").write_text("3")
    body = (
        "def f(X):\n    from pathlib import Path\n"
        "    return X * float((Path(__file__).parent / 'data' / 'factor.txt').read_text())\n"
    )
    more = ", files=['data/factor.txt']"
    step = step_in(tmp_path, DECLARED.format(more=more) + body, monkeypatch)
    (publication,) = publish(step, tmp_path / "model_repository")
    assert publication.version == 1
    for name, said in (("../away.txt", "lies outside of"), ("none.txt", "cannot be read: No such")):
        wrong = step_in(tmp_path, DECLARED.format(more=f", files=[{name!r}]") + body, monkeypatch)
        with pytest.raises(UsageError, match=said):
            wrong.model()


def outside(x: Any) -> Any:
    return x


class Holder:
    def method(self, x: Any) -> Any:
        return x


async def waiting(x: Any) -> Any:
    return x


def lambda_named() -> Any:
    def inner(x: Any) -> Any:
        return x

    return inner


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda x: x, "not as a lambda"),
        ((lambda seen: lambda x: x + seen)(1), "not as a lambda"),
        (np.abs, "a step is a function with a name"),
        (Holder.method, "is defined inside Holder"),
        (waiting, "is async or a generator"),
        (lambda_named(), "is defined inside lambda_named"),
    ],
)
def test_a_function_that_cannot_travel_is_refused(function: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        python_step(inputs=[X], outputs=[Y])(function)


def test_parameters_are_named_as_the_inputs() -> None:
    with pytest.raises(UsageError, match="takes x, and declares the inputs Z"):
        python_step(inputs=[tensor("Z", "FP32", 2)], outputs=[Y])(outside)
    with pytest.raises(UsageError, match="give its parameter a default"):
        python_step(inputs=[tensor("x", "FP32", 2, optional=True)], outputs=[Y])(outside)
    with pytest.raises(UsageError, match="x is BF16, which NumPy lacks"):
        python_step(inputs=[tensor("x", "BF16", 2)], outputs=[Y])(outside)
    with pytest.raises(UsageError, match="an input and an output at least"):
        python_step(inputs=[], outputs=[Y])(outside)


def test_rows_text_and_absent_inputs_are_as_declared() -> None:
    def shout(text: Any, mark: Any = ("!",)) -> Any:
        return np.array([text[0].decode().upper() + mark[0]])

    shout.__qualname__ = "shout"
    given = tensor("text", "BYTES", 1)
    absent = tensor("mark", "BYTES", 1, optional=True)
    step = python_step(inputs=[given, absent], outputs=[tensor("OUT", "BYTES", 1)])(shout)
    answer = step.answer(text=np.array([[b"a"], [b"b"]], object))["OUT"]
    assert answer.tolist() == [[b"A!"], [b"B!"]]


def test_rows_of_one_request_that_differ_in_shape_are_refused() -> None:
    lengths = tensor("x", "INT64", 1), tensor("Y", "FP32", -1)

    step = python_step(inputs=lengths[:1], outputs=lengths[1:])(ones)
    assert step.answer(x=np.array([[2], [2]]))["Y"].shape == (2, 2)
    with pytest.raises(RefusedError, match=r"the shapes \[2\] and \[3\]"):
        step.answer(x=np.array([[2], [3]]))
    with pytest.raises(FaultError, match="Y has shape"):
        python_step(inputs=lengths[:1], outputs=[Y])(ones).answer(x=np.array([[3]]))


def test_a_version_names_the_packages_that_are_missing_where_it_runs(tmp_path: Path) -> None:
    step = python_step(inputs=[tensor("x", "FP32", 2)], outputs=[Y])(ones)
    (tmp_path / "step.json").write_text(step.declared().to_json())
    required = ["numpy>=1.20", "numpy>=99", "no-such.package[extra]>=1"]
    (tmp_path / "requirements.json").write_text(json.dumps(required))
    words = "ones cannot run here: numpy>=99 is required, and numpy .* is installed; no-such"
    with pytest.raises(FaultError, match=words):
        load_step(tmp_path)


def ones(x: Any) -> Any:
    return np.ones(x[0])


def test_only_what_a_step_itself_imports_travels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stepping.py").write_text(
        "import json\nimport numpy\nfrom parts import one\n"
        "def f(): from parts.two import x\n"
        "def other(): import scipy, parts.three\n"
    )
    (tmp_path / "parts").mkdir()
    for name in ("__init__", "one", "two", "three"):
        (tmp_path / "parts" / f"{name}.py").write_text("import yaml\n" if name == "one" else "")
    code = own_code("stepping", tmp_path, "f")
    assert sorted(code.files) == [
        "parts/__init__.py",
        "parts/one.py",
        "parts/two.py",
        "stepping.py",
    ]
    assert code.packages == {"yaml": "one.py"}
    (tmp_path / "ensembles").mkdir()
    (tmp_path / "stepping.py").write_text("from ensembles import python_step\n")
    assert own_code("stepping", tmp_path, "f").uses_trimaran == frozenset()
    monkeypatch.setattr("ensembles.own_code._ROOT", tmp_path)
    in_a_clone = own_code("stepping", tmp_path, "f")
    assert (list(in_a_clone.files), in_a_clone.uses_trimaran) == (["stepping.py"], {"ensembles"})
    with pytest.raises(UsageError, match="cannot be in a module named 'model'"):
        own_code("model", tmp_path, "f")
