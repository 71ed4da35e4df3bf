from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.certificates import Authority
from tests.gateway.door import Door, configure
from tests.gateway.issuer import Issuer
from tests.running import Served


@pytest.fixture(scope="session")
def door(churn_served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A gateway in front of the churn ensembles."""
    opened = Door(churn_served.repository, tmp_path_factory.mktemp("gateway") / "gateway.toml")
    opened.until_said("Press Ctrl-C to stop", 60)
    yield opened
    opened.stop()


@pytest.fixture
def changed(door: Door) -> Iterator[Door]:
    """The gateway, which gets its first settings back at the end."""
    yield door
    configure(door, "")


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def issuer(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    found = Issuer(tmp_path_factory.mktemp("issuer"), authority, ["infer:churn", "metadata"])
    yield found
    found.stop()
