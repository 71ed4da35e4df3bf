"""A new project: the files of a kind, under the project's own name.

The templates are in `templates/`: `shared/` has what every kind gets, unless the kind has a file of
the same name. The name `my_project` in them becomes that of the project.
"""

from __future__ import annotations

import keyword
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ensembles.customers import customers_csv
from trimaran.repository.repository import DEFAULT_PLACE
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.own_packages import OWN_PACKAGES
from trimaran.system.project_file import find_project_file

__all__ = ["KINDS", "make_project", "project_files"]

KINDS = ("image", "table", "text", "custom")

_TEMPLATES = Path(__file__).parent / "templates"
_PLACEHOLDER = "my_project"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_IGNORED = f"""\
__pycache__/
.pytest_cache/
/.venv/
/runs/

# Versions and what is live are made, not written.
/.trimaran/
/{DEFAULT_PLACE}/*/[0-9]*/
/{DEFAULT_PLACE}/*/configs/
"""


def make_project(parent: Path, name: str, kind: str) -> Path:
    """Make the folder `name` in `parent`, complete or not at all.

    Raises `UsageError` for a name or a kind that cannot be, and `TrimaranError` where the folder
    holds something already, or would lie in another project.
    """
    files = project_files(name, kind)
    target = parent / name
    _require_free(target)
    with tempfile.TemporaryDirectory(dir=parent, prefix=f".{name}.") as scratch:
        staged = Path(scratch) / name
        (staged / DEFAULT_PLACE).mkdir(parents=True)
        for path, text in files.items():
            (staged / path).write_text(text, encoding="utf-8")
        try:
            staged.rename(target)  # also in place of an empty folder
        except OSError as error:
            raise TrimaranError(
                f"{target} cannot be made: {error.strerror}; choose another name"
            ) from None
    return target


def project_files(name: str, kind: str) -> Mapping[str, str]:
    """The texts of a new project's files by name. Raises `UsageError`."""
    if kind not in KINDS:
        raise UsageError(f"there is no kind {kind!r} of project; choose {_choices(KINDS)}")
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a project, since its models are named after it; use letters, "
            "digits and '_', at most 64, beginning with a letter or '_'"
        )
    if name in ("trimaran", *OWN_PACKAGES) or keyword.iskeyword(name):
        raise UsageError(
            f"{name!r} cannot name a project, since Python or trimaran uses that name itself; "
            "choose another"
        )
    templates = {
        path.name.replace(_PLACEHOLDER, name): path
        for folder in ("shared", kind)
        for path in sorted((_TEMPLATES / folder).iterdir())
        if path.is_file() and path.name != "__init__.py"
    }
    texts = {
        file: path.read_text(encoding="utf-8").replace(_PLACEHOLDER, name)
        for file, path in templates.items()
    }
    data = {f"{name}.csv": customers_csv()} if kind == "table" else {}
    return {**texts, **data, ".gitignore": _IGNORED}


def _require_free(target: Path) -> None:
    around = find_project_file(target.parent)
    if around is not None:
        raise TrimaranError(
            f"{target.parent} lies in the project of {around}, and a project cannot hold another; "
            "run 'trimaran init' outside of it"
        )
    if not os.path.lexists(target):
        return
    if target.is_symlink() or not target.is_dir():
        raise TrimaranError(f"{target} is there already, and is no folder; choose another name")
    if find_project_file(target) is not None:
        raise TrimaranError(f"{target} is a project already; choose another name")
    if any(target.iterdir()):
        raise TrimaranError(f"{target} holds files already; choose another name, or empty it")


def _choices(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
