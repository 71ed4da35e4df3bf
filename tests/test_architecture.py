"""The imports between folders, compared with the table in `docs/architecture.md`."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.running import PROJECT
from trimaran.system.own_packages import NEEDED_PACKAGES

NAMED = ("exporters", "ensembles", "monitoring", "loadtests")
PACKAGES = ("trimaran", *NAMED, "proofs")
_ROW = re.compile(r"^\| `([a-z_/]+)/` \|", re.MULTILINE)


def module_of(path: Path) -> str:
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    module_of(path): path for package in PACKAGES for path in (PROJECT / package).rglob("*.py")
}


def imported_by(module: str) -> Iterator[str]:
    """The project's own modules that a module's source names in an import, wherever it stands."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} has a relative import"
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [each if each in MODULES else str(node.module) for each in inside]
        yield from (name for name in names if name in MODULES and name != module)


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """Of each module, the project's modules that it imports."""
    return {module: set(imported_by(module)) for module in MODULES}


def test_a_folder_imports_only_what_stands_above_it(imports: dict[str, set[str]]) -> None:
    table = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
    order = [folder.replace("/", ".") for folder in _ROW.findall(table)]

    def rank(module: str) -> int:
        ranks = [at for at, name in enumerate(order) if f"{module}.".startswith(f"{name}.")]
        return ranks[0] if ranks else -1

    assert {module for module in MODULES if rank(module) < 0} <= {"trimaran", "trimaran.__main__"}
    upward = [
        f"{module} imports {other}"
        for module, others in imports.items()
        for other in others
        if rank(other) > rank(module) >= 0
    ]
    assert not upward


def test_the_command_knows_which_named_folders_another_one_imports(
    imports: dict[str, set[str]],
) -> None:
    found = {
        (module, other.partition(".")[0])
        for module, others in imports.items()
        for other in others
        if module.partition(".")[0] in NAMED
        and other.partition(".")[0] in NAMED
        and module.partition(".")[0] != other.partition(".")[0]
    }
    unknown = [
        (module, package)
        for module, package in found
        if not any(
            package in packages and f"{module}.".startswith(f"{name}.")
            for name, packages in NEEDED_PACKAGES.items()
        )
    ]
    assert not unknown


def test_nothing_below_trimaran_imports_a_folder_that_stands_beside_it(
    imports: dict[str, set[str]],
) -> None:
    mine = (name for name in MODULES if name.partition(".")[0] == "trimaran")
    assert not [
        (module, other)
        for module in mine
        for other in imports[module]
        if other.partition(".")[0] != "trimaran"
    ]


@pytest.mark.parametrize(
    "folder",
    sorted({"", *(name.rpartition(".")[0] for name in MODULES), *NAMED} - {"trimaran.cli"}),
)
def test_no_two_entries_of_a_folder_import_each_other(
    folder: str, imports: dict[str, set[str]]
) -> None:
    """Files, and folders with all that lies in them; also not by way of a third."""
    prefix = f"{folder}." if folder else ""
    edges: dict[str, set[str]] = defaultdict(set)
    for module, others in imports.items():
        for other in others:
            if module.startswith(prefix) and other.startswith(prefix):
                entries = [name.removeprefix(prefix).partition(".")[0] for name in (module, other)]
                if entries[0] != entries[1]:
                    edges[entries[0]].add(entries[1])
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        pytest.fail(f"{folder or 'the root'}: {' imports '.join(reversed(error.args[1]))}")
