"""The packages that are installed next to `trimaran`, and the error where a folder hides one.

They have plain names, so a user's project may well have a folder `exporters/` or `monitoring/`.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

from trimaran.system.errors import TrimaranError

__all__ = ["OWN_PACKAGES", "own_module"]

OWN_PACKAGES = ("exporters", "ensembles", "monitoring", "loadtests")

_ROOT = Path(__file__).resolve().parents[2]
"""Where `trimaran` lies, and the others with it."""


def own_module(name: str) -> ModuleType:
    """Import a module of `trimaran` or of one of `OWN_PACKAGES`.

    Raises `TrimaranError` where another folder or file of that name comes first on `sys.path`.
    """
    package = name.partition(".")[0]
    found = importlib.util.find_spec(package) if package in OWN_PACKAGES else None
    if found is not None:
        folders = found.submodule_search_locations
        place = Path(next(iter(folders)) if folders else found.origin or "").resolve()
        if place != _ROOT / package:
            raise TrimaranError(
                f"{place} hides trimaran's own package {package!r}; rename it, or run 'trimaran' "
                "in another folder"
            )
    return importlib.import_module(name)
