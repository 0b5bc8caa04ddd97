"""One suite over every store: `store` is an open one, `reopen` closes and opens it again."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from angzarr.coordinator.store import MEMORY, SqliteStore, Store


@pytest.fixture(params=["memory", "file"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened = SqliteStore(MEMORY if request.param == "memory" else tmp_path / "data" / "events.db")
    await opened.open()
    yield opened
    await opened.close()
