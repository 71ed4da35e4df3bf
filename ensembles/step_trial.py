"""A step is tried before it is published: where Triton will run it, and in this process.

The trial runs the finished version in the interpreter of Triton's Python stubs, which may have
other packages than this one, and compares its answers with those of the function here.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ensembles import step_process
from ensembles.own_code import parsed_requirement
from ensembles.step_process import as_array, as_json
from trimaran.repository.dtypes import TensorSpec, shapes_agree
from trimaran.served.refusal import FaultError, RefusedError
from trimaran.served.step_calls import Declared, call_step
from trimaran.serving.runtime import find_runtime
from trimaran.system.errors import TrimaranError
from trimaran.system.files import temporary_directory

__all__ = ["try_step"]

Arrays = dict[str, np.ndarray]

_ROWS = 3
_OPEN_LENGTH = 16
_TIMEOUT_S = 120.0
_CLOSE = 1e-5


def try_step(
    step: str,
    declared: Declared,
    function: Any,
    inputs: Sequence[TensorSpec],
    example: Mapping[str, Any],
    requirements: Sequence[str],
    version: Path,
) -> None:
    """Raise `TrimaranError` where a finished version does not answer as the function does here.

    `example` has one row for each input; without it, rows are made from the types, which the
    function may refuse.
    """
    rows = _example_rows(step, inputs, example) if example else _made_rows(inputs)
    here = _here(step, declared, function, rows, bool(example))
    there = _asked(step, version, requirements, rows)
    _require_packages(step, requirements, there["versions"])
    refused = there.get("kind") == RefusedError.__name__
    if "error" in there and not (refused and here is None):
        raise TrimaranError(
            f"the step {step} fails where Triton runs it ({there['error']}), with numpy "
            f"{there['numpy']} and {_packages(there['versions'])}; correct it"
        )
    if here is None or "error" in there:
        return
    for name, array in here.items():
        _require_equal(step, name, array, as_array(there["answers"][name]))
    if declared.batched:
        _require_separate(step, declared, function, rows, here)


def _here(
    step: str, declared: Declared, function: Any, rows: Arrays, is_example: bool
) -> Arrays | None:
    """The answers in this process, or `None` where made-up rows are refused."""
    try:
        return call_step(declared, function, rows)
    except FaultError as error:
        raise TrimaranError(str(error)) from error
    except RefusedError as error:
        if is_example:
            raise TrimaranError(f"the step {step} refuses its own example: {error}") from error
        return None
    except Exception as error:
        whose = "its example" if is_example else "made-up rows"
        raise TrimaranError(
            f"the step {step} fails on {whose} ({type(error).__name__}: {error}); correct it"
            + ("" if is_example else ", or give it an example with example={...}")
        ) from error


def _example_rows(step: str, inputs: Sequence[TensorSpec], example: Mapping[str, Any]) -> Arrays:
    rows = {}
    known = {spec.name: spec for spec in inputs}
    strange = [name for name in example if name not in known]
    missing = [n for n, spec in known.items() if n not in example and not spec.optional]
    if strange or missing:
        raise TrimaranError(
            f"the example of the step {step} has {', '.join(example)}, and its inputs are "
            f"{', '.join(known)}; give one row for each"
        )
    for name, value in example.items():
        spec = known[name]
        row = np.asarray(value, dtype=spec.dtype.numpy)
        if not shapes_agree(spec.dims, row.shape):
            raise TrimaranError(
                f"the example of the step {step}: {name} has shape {list(row.shape)}, and "
                f"{list(spec.dims)} is declared, without the batch axis; correct one of the two"
            )
        rows[name] = np.stack([row] * _ROWS)
    return rows


def _made_rows(inputs: Sequence[TensorSpec]) -> Arrays:
    """Rows drawn from the types: numbers around 0, small integers, words."""
    generator = np.random.default_rng(0)
    rows = {}
    for spec in inputs:
        shape = (_ROWS, *(_OPEN_LENGTH if length == -1 else length for length in spec.dims))
        dtype = np.dtype(spec.dtype.numpy)
        if dtype == np.object_:
            drawn: Any = generator.choice([b"one", b"two words", b""], shape).astype(object)
        elif dtype.kind == "f":
            drawn = generator.normal(size=shape)
        else:
            drawn = generator.integers(0, 2 if dtype.kind == "b" else 10, shape)
        rows[spec.name] = drawn.astype(dtype)
    return rows


def _asked(step: str, version: Path, requirements: Sequence[str], rows: Arrays) -> dict[str, Any]:
    """What the stubs' interpreter found out."""
    runtime = find_runtime()
    python = shutil.which("python3", path=runtime.environment.get("PATH")) or "python3"
    with temporary_directory() as scratch:
        asked, said = scratch / "asked.json", scratch / "said.json"
        packages = [parsed_requirement(requirement).name for requirement in requirements]
        sent = {name: as_json(array) for name, array in rows.items()}
        asked.write_text(json.dumps({"packages": packages, "rows": sent}))
        try:
            ended = subprocess.run(
                [python, step_process.__file__, version, asked, said],
                cwd=scratch,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise TrimaranError(
                f"the step {step} did not answer {_ROWS} rows within {_TIMEOUT_S:g} s where Triton "
                "runs it"
            ) from error
        if not said.exists():
            last = (ended.stderr.strip().splitlines() or ["no message"])[-1]
            raise TrimaranError(
                f"the step {step} ended its process where Triton runs it, with status "
                f"{ended.returncode}: {last}"
            )
        found: dict[str, Any] = json.loads(said.read_text())
        return found


def _require_packages(
    step: str, requirements: Sequence[str], versions: Mapping[str, str | None]
) -> None:
    for each in map(parsed_requirement, requirements):
        found = versions[each.name]
        if found is None:
            raise TrimaranError(
                f"the step {step} requires {each}, which is not installed where Triton runs it; "
                f"install it with 'pip install {each.name}'"
            )
        if not each.specifier.contains(found, prereleases=True):
            raise TrimaranError(
                f"the step {step} requires {each}, and {each.name} {found} is installed where "
                "Triton runs it; install what it requires, or correct its requirements"
            )


def _packages(versions: Mapping[str, str | None]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items()) or "nothing else"


def _require_equal(step: str, name: str, here: np.ndarray, there: np.ndarray) -> None:
    if not _same(here, there, _CLOSE, _CLOSE):
        raise TrimaranError(
            f"the step {step} answers {name} otherwise where Triton runs it than here; it may read "
            "a file, the time, chance or another version of a package"
        )


def _require_separate(
    step: str, declared: Declared, function: Any, rows: Arrays, together: Arrays
) -> None:
    """Raise where the rows of a batch influence one another: requests are batched together."""
    for place in range(_ROWS):
        alone = call_step(
            declared, function, {name: array[place : place + 1] for name, array in rows.items()}
        )
        for name, array in alone.items():
            mine = together[name][place : place + 1]
            if not _same(array, mine, 1e-3, 1e-4):
                raise TrimaranError(
                    f"the step {step} answers {name} for a row otherwise alone than in a batch, "
                    "and requests are batched together; let rows not influence one another, or do "
                    "without batched=True"
                )


def _same(one: np.ndarray, other: np.ndarray, rtol: float, atol: float) -> bool:
    if one.dtype.kind != "f":
        return np.array_equal(one, other)
    return one.shape == other.shape and np.allclose(
        one, other, rtol=rtol, atol=atol, equal_nan=True
    )
