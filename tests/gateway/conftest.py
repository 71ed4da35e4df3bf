from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.door import Door
from tests.running import Served


@pytest.fixture(scope="session")
def door(churn_served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A gateway in front of the churn ensembles."""
    opened = Door(churn_served.repository, tmp_path_factory.mktemp("gateway") / "gateway.toml")
    opened.until_said("Press Ctrl-C to stop", 60)
    yield opened
    opened.stop()
