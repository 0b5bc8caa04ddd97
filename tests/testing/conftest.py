"""What the tests of the tests have: patience, as a busy machine finds the same examples, only later."""

import pytest

from angzarr.testing import shortening


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("SHRINKING", "WAITING"):
        monkeypatch.setattr(shortening, limit, 300.0)
