"""What every test has: the asyncio backend (grpclib knows no other) and a guard against blocking the loop."""

import signal
from collections.abc import Iterator

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import settings

# A shell ignores it for what runs in the background; the processes that tests start and interrupt would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What lands is judged by the same examples each time; `nox -s seeds` and a plain pytest look at others.
settings.register_profile("restless", deadline=None)
settings.register_profile("full", deadline=None, derandomize=True)
settings.register_profile("brief", deadline=None, derandomize=True, max_examples=20)
settings.load_profile("restless")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> Iterator[None]:
    with blockbuster_ctx("angzarr"):
        yield
