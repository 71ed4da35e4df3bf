"""A plugin of pytest that leaves each test's outcome in a file, with the reason of every skip.

    python -m pytest -p proofs.gpu.outcomes --outcomes FILE -m gpu tests

Every test that was chosen is there before the first one runs, so one whose process dies has no
outcome, and is not missing.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from proofs.gpu.results import Outcome, keep

__all__ = ["pytest_addoption", "pytest_configure"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take `--outcomes`."""
    parser.addoption("--outcomes", type=Path, required=True, help="the file that gets the lines")


def pytest_configure(config: pytest.Config) -> None:
    """Watch the run."""
    config.pluginmanager.register(_Outcomes(config.getoption("outcomes")))


class _Outcomes:
    def __init__(self, file: Path) -> None:
        self._file = file

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            keep(self._file, Outcome(item.nodeid))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            keep(self._file, Outcome(report.nodeid, report.outcome, _reason(report)))


def _reason(report: pytest.TestReport) -> str:
    """Why a test was skipped, or the last line of what failed."""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    said = crash.message if crash else report.longreprtext
    return said.strip().partition("\n")[0]
