"""Every fault is tried over our HTTP/2 and over h2's."""

import pytest

from tests.faults.clients import below


@pytest.fixture(autouse=True, params=["lean", "h2"])
def http2(request: pytest.FixtureRequest) -> None:
    """What stands below the clients of a test."""
    below[0] = request.param
