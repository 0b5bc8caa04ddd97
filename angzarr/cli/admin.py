"""A client of the embedded coordinator's administration service, and how commands without a domain find it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

from anyio import to_thread
from grpclib.const import Status

from angzarr.cli.errors import UNREACHABLE, CommandLineError
from angzarr.cli.reaching import reporting_silence
from angzarr.client.base import SingleServiceClient
from angzarr.client.endpoint import DEFAULT_UDS_BASE, ENV_UDS_BASE
from angzarr.errors import GRPCError
from angzarr.messages.admin import ADMIN
from angzarr.messages.services import Service
from angzarr.retry import ExponentialBackoffRetry


class AdminClient(SingleServiceClient):
    """Client of angzarr.admin.v1.CoordinatorAdminService."""

    services: ClassVar[tuple[Service, ...]] = (ADMIN,)

    @property
    def call(self) -> Any:
        """The service's methods, in snake_case."""
        return self.stub


@asynccontextmanager
async def administered(to: str) -> AsyncIterator[AdminClient]:
    """A client of a coordinator's administration.

    Args:
        to: its endpoint; ``""`` for the one whose sockets lie below ``ANGZARR_UDS_BASE``.

    Raises:
        CommandLineError: nobody answers, or the coordinator has no administration.
    """
    endpoint = to or await to_thread.run_sync(some_socket)
    async with reporting_silence(endpoint):
        client = await AdminClient.connect(endpoint, ExponentialBackoffRetry(max_attempts=1))
    async with client:
        try:
            yield client
        except GRPCError as error:
            if error.grpc_code is not Status.UNIMPLEMENTED:
                raise
            raise CommandLineError(
                f"the coordinator at {endpoint} has no administration service",
                remedy="this works with angzarr dev and EmbeddedCoordinator; others have their own tools",
            ) from None


def some_socket() -> str:
    """The endpoint of whichever domain has a socket below ``ANGZARR_UDS_BASE``.

    Raises:
        CommandLineError: none has.
    """
    base = Path(os.environ.get(ENV_UDS_BASE) or DEFAULT_UDS_BASE)
    found = sorted(base.glob("ch-*.sock"))
    if not found:
        raise CommandLineError(
            f"there is no coordinator's socket in {base}",
            remedy="start one with: angzarr dev module:attribute; or name it with --to",
            exit_code=UNREACHABLE,
        )
    return str(found[0])
