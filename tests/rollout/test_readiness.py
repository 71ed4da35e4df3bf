"""What is measured of a run before it is served."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trimaran.repository.repository import Repository
from trimaran.rollout.runs.families.known import readiness_of
from trimaran.rollout.runs.families.table_trial import TrialOfTable
from trimaran.rollout.runs.readiness import FILE, Array, read_readiness
from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.runs.trained import TrainedRun, latest_run


@pytest.fixture
def run(churn_trained: Path) -> TrainedRun:
    found = latest_run(churn_trained / "runs" / "churn")
    assert found is not None
    return found


def test_a_run_is_measured_by_its_module_and_by_its_export(
    run: TrainedRun, churn_trained: Path, tmp_path: Path
) -> None:
    assert read_readiness(tmp_path) is None
    exported = Repository.open(churn_trained / "model_repository").version("churn_onnx", 1).path
    for runtime, file in (("PyTorch", None), ("ONNX Runtime", exported / "model.onnx")):
        found = readiness_of(run.directory, file)
        assert found.runtime == runtime
        assert found.size == (file or run.directory / "weights.pt").stat().st_size
        assert [each.rows for each in found.timed] == [1, 64]
        assert all(0 < each.p50_s <= each.p99_s < 1 for each in found.timed)
        assert found.missing.startswith("It answers where any one of its 19 fields is missing")
        found.write(tmp_path)
        assert read_readiness(tmp_path) == found
    (tmp_path / FILE).write_text("[]")
    with pytest.raises(TrimaranError, match=r"readiness.json cannot be used .*; remove it"):
        read_readiness(tmp_path)


def test_a_field_without_which_there_is_no_number_is_named(run: TrainedRun) -> None:
    def fragile(rows: Array) -> list[Array]:
        """A network that fails for the first record: the one without the first field."""
        found = rows[:, 0].copy()
        found[0] = np.nan
        return [found]

    said = TrialOfTable(run).missing(fragile)
    first = run.entry("transform.json", "fields")[0]["name"]
    assert said == f"It gives no number where these fields are missing, or alone: {first}."
