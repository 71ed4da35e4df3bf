"""The packages that are installed next to `trimaran`, and the error where a folder hides one.

They have plain names, so a user's project may well have a folder `exporters/` or `monitoring/`.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from trimaran.system.errors import TrimaranError

__all__ = ["NEEDED_PACKAGES", "OWN_PACKAGES", "own_module"]

OWN_PACKAGES = ("exporters", "ensembles", "monitoring", "loadtests")

NEEDED_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "ensembles.demo_command": ("exporters",),
    "ensembles.deploy_command": ("exporters",),
    "ensembles.deploy_run": ("exporters",),
    "loadtests": ("monitoring",),
    "loadtests.commands.optimize": ("exporters",),
    "loadtests.optimizing": ("exporters",),
    "monitoring.commands.retrain": ("ensembles", "exporters"),
    "monitoring.commands.retrained": ("ensembles",),
}
"""The other packages that a module, or a package's modules, import by themselves."""

_ROOT = Path(__file__).resolve().parents[2]
"""Where `trimaran` lies, and the others with it."""


def own_module(name: str) -> ModuleType:
    """Import a module of `trimaran` or of one of `OWN_PACKAGES`.

    Raises `TrimaranError` where another folder or file comes first on `sys.path` under the name of
    its package, or of one that it needs.
    """
    package = name.partition(".")[0]
    for needed in (package, *NEEDED_PACKAGES.get(package, ()), *NEEDED_PACKAGES.get(name, ())):
        _require_not_hidden(needed)
    return importlib.import_module(name)


def _require_not_hidden(package: str) -> None:
    found = importlib.util.find_spec(package) if package in OWN_PACKAGES else None
    if found is not None:
        folders = found.submodule_search_locations
        place = Path(next(iter(folders)) if folders else found.origin or "").resolve()
        if place != _ROOT / package:
            raise TrimaranError(
                f"{place} hides trimaran's own package {package!r}; rename it, or run 'trimaran' "
                "in another folder"
            )
