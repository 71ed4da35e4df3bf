"""Functions named on the command line: found and called, or the error says what is wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.factory import call_factory


@pytest.fixture(autouse=True)
def _own_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    monkeypatch.chdir(tmp_path)


def write(name: str, text: str) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_function_in_a_file_may_import_what_lies_beside_it() -> None:
    write("there/weights_beside.py", "VALUE = 7\n")
    write("there/my-model.py", "from weights_beside import VALUE\ndef f(): return VALUE\n")
    assert call_factory("there/my-model.py:f") == 7
    assert call_factory(f"{Path('there/my-model.py').resolve()}:f") == 7


def test_a_function_in_a_module_of_the_working_directory() -> None:
    write("factory_package/inner.py", "def f(): return 'made'\n")
    assert call_factory("factory_package.inner:f") == "made"


@pytest.mark.parametrize(
    "name",
    ["", ":", "module", ":f", "module:", "module:f()", "module:a.b", "a.py", "a.py:", "a:b:c d"],
)
def test_what_names_no_function(name: str) -> None:
    with pytest.raises(UsageError, match=r"names no function; write package.module:function"):
        call_factory(name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing_module:f", "there is no module 'missing_module'"),
        ("json.missing:f", "there is no module 'json.missing'"),
        ("missing.py:f", "there is no file missing.py"),
        ("json:missing", "json has no function 'missing'"),
        ("sys:version", "sys has no function 'version'"),
        (".json:loads", ".json is relative"),
        ("..:f", ".. is relative"),
        ("a..b:f", "there is no module 'a'"),
        ("some dir/x:f", "there is no module 'some dir/x'"),
    ],
)
def test_a_name_that_leads_nowhere_is_wrong_usage(name: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        call_factory(name)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f(: pass", "SyntaxError"),
        ("import module_that_is_missing", "No module named 'module_that_is_missing'"),
        ("raise RuntimeError('two\\nlines')", "RuntimeError: two lines"),
        ("import sys; sys.exit(0)", "SystemExit: 0"),
        ("def f(): raise ValueError", "ValueError: no message"),
        ("def f(): raise SystemExit(3)", "SystemExit: 3"),
        ("def f(needed): return needed", "TypeError"),
        ("def f(): 1 / 0", "ZeroDivisionError"),
    ],
)
@pytest.mark.parametrize("place", ["failing_{}.py", "failing_{}"])
def test_a_failure_of_the_users_code_is_reported_in_a_sentence(
    place: str, text: str, said: str
) -> None:
    name = place.format(abs(hash(text)))
    write(f"{name.removesuffix('.py')}.py", text)
    with pytest.raises(TrimaranError) as refused:
        call_factory(f"{name}:f")
    assert type(refused.value) is TrimaranError
    assert f"{name}" in str(refused.value)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_sentence_of_our_own_passes_as_it_is() -> None:
    write(
        "own_sentence.py",
        "from trimaran.system.errors import TrimaranError\n"
        "def f(): raise TrimaranError('as it is')\n",
    )
    with pytest.raises(TrimaranError, match=r"^as it is$"):
        call_factory("own_sentence.py:f")
