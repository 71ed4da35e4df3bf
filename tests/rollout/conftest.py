from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.postgresql import PostgreSQL, running_postgresql


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    with running_postgresql() as found:
        yield found
