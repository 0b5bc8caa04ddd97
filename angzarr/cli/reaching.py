"""Finding and reaching the coordinator that a command is about."""

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from anyio import to_thread

from angzarr.cli import vocabulary
from angzarr.cli.errors import UNREACHABLE, CommandLineError, wrong_input
from angzarr.client import DomainClient, TransportMode, resolve_ch_endpoint
from angzarr.errors import ConnectionError
from angzarr.identity import root_from_text
from angzarr.retry import ExponentialBackoffRetry


def endpoint_of(domain: str, to: str) -> str:
    """Where the coordinator of a domain is.

    Args:
        domain: the domain.
        to: what the user said; ``""`` for the domain's socket, or what ANGZARR_MODE says.

    Raises:
        InvalidArgumentError: the domain, or a variable of the environment, makes no sense.
    """
    if to:
        return to
    return resolve_ch_endpoint(domain, None if os.environ.get("ANGZARR_MODE") else TransportMode.STANDALONE)


def root_of(domain: str, text: str) -> uuid.UUID:
    """The root that a user means.

    Raises:
        CommandLineError: the text is empty.
    """
    if not text:
        raise wrong_input("the root is empty", "give a UUID or a text with --root")
    return root_from_text(domain, text)


@asynccontextmanager
async def connected(domain: str, to: str) -> AsyncIterator[DomainClient]:
    """A client of a domain's coordinator.

    Raises:
        CommandLineError: nobody answers; the text says where, and what is there instead.
        InvalidArgumentError: the endpoint makes no sense.
    """
    endpoint = endpoint_of(domain, to)
    connecting = DomainClient.connect(endpoint, ExponentialBackoffRetry(max_attempts=1), domain=domain)
    async with reporting_silence(endpoint):
        client = await connecting
    async with client:
        yield client


@asynccontextmanager
async def reporting_silence(endpoint: str) -> AsyncIterator[None]:
    """Say of a ConnectionError where nobody answered, and what to do.

    Raises:
        CommandLineError: in its place.
    """
    try:
        yield
    except ConnectionError as error:
        raise CommandLineError(
            f"no coordinator answers at {endpoint}: {error.details.get('cause', error.message)}",
            remedy=await to_thread.run_sync(_remedy, endpoint),
            exit_code=UNREACHABLE,
            code=error.code,
        ) from None


def _remedy(endpoint: str) -> str:
    path = Path(endpoint.removeprefix("unix:"))
    if path.suffix == ".sock" and path.parent.is_dir():
        others = sorted(found.stem.removeprefix("ch-") for found in path.parent.glob("ch-*.sock"))
        if others:
            return f"there are sockets of {', '.join(others)}; or name the coordinator with --to"
    return "start one with: angzarr dev module:attribute; or name it with --to"


async def words_of(domain: str, to: str, app: str, timeout: float) -> vocabulary.Vocabulary:
    """The messages to speak with: of an application if one is named, else of the coordinator.

    Raises:
        CommandLineError: the application cannot be imported, or nobody answers.
    """
    if app:
        return vocabulary.of_app(app)
    endpoint = endpoint_of(domain, to)
    async with reporting_silence(endpoint):
        return await vocabulary.of_coordinator(endpoint, timeout)
