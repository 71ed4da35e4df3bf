"""The views of a name: `<name>_current`, and `<name>_current_reasons` with a row for each reason.

They show the run that `trimaran_live` names, so what is live changes and they do not.
"""

from __future__ import annotations

import hashlib

from trimaran.rollout.results.database import Session, quoted

__all__ = ["make_views", "view_names"]

_LONGEST = 63
"""The bytes of a name in PostgreSQL, which cuts longer ones off."""
_CURRENT, _REASONS = "_current", "_current_reasons"


def view_names(name: str) -> tuple[str, str]:
    """The views of a model's name: `churn_current`, and that of its reasons.

    A name that would be too long for PostgreSQL is cut, and has a digest of the whole in place of
    the rest.
    """
    if len(name) + len(_REASONS) > _LONGEST:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        name = f"{name[: _LONGEST - len(_REASONS) - len(digest) - 1]}_{digest}"
    return f"{name}{_CURRENT}", f"{name}{_REASONS}"


def make_views(session: Session, name: str) -> None:
    """Make the views of a name; one that stands under such a name is another's, and refused."""
    current, reasons = map(quoted, view_names(name))
    of = "FROM trimaran_live l JOIN trimaran_runs r ON r.run = l.run "
    mine = f"WHERE l.name = '{name}'"  # a model's name has no quotes: `check_model_name`
    session.run(
        f"CREATE VIEW {current} AS SELECT p.identifier, p.answer, p.score, p.probabilities, "
        "p.baseline, p.reasons, p.outcome, p.part, p.row_number, r.run, r.release, r.predicted_at "
        f"{of}JOIN trimaran_predictions p ON p.run = r.run {mine}"
    )
    session.run(
        f"CREATE VIEW {reasons} AS SELECT p.identifier, w.place, w.feature, w.value, "
        "w.contribution, p.row_number, r.run "
        f"{of}JOIN trimaran_predictions p ON p.run = r.run "
        f"JOIN trimaran_reasons w ON w.run = p.run AND w.row_number = p.row_number {mine}"
    )
