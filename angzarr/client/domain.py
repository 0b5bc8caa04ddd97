"""Everything about one domain."""

import os
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, NoReturn, Self

import betterproto
import grpclib.client
import grpclib.const

from angzarr.client.base import BaseClient
from angzarr.client.command_handler import CommandHandlerClient
from angzarr.client.config import ChannelConfig
from angzarr.client.connecting import Connecting
from angzarr.client.endpoint import TransportMode, resolve_ch_endpoint
from angzarr.client.query import QueryClient
from angzarr.client.roots import as_root
from angzarr.client.speculative import SpeculativeClient
from angzarr.error_codes import codes, keys, messages
from angzarr.errors import InvalidArgumentError
from angzarr.messages import (
    CascadeErrorMode,
    CommandBook,
    CommandRequest,
    CommandResponse,
    EventBook,
    MergeStrategy,
    Query,
    SyncMode,
)
from angzarr.messages.services import Service
from angzarr.retry import RetryPolicy

_OF_ENDPOINT = re.compile(r"(?:.*/|unix:)?ch-([^/]+)\.sock|(?:https?://)?ch-([^./:]+)[.:].*")


class DomainClient(BaseClient):
    """Commands, queries and speculation of one domain, over one channel.

    Args:
        channel: an ``angzarr.client.channel.Channel`` or any ``grpclib.client.Channel``.
        owns_channel: whether ``close()`` closes it.
        domain: the domain ``send`` addresses; ``""`` when it is named with each ``send``.

    Attributes:
        command_handler: a CommandHandlerClient.
        query: a QueryClient.
        speculative: a SpeculativeClient.
        domain: the domain ``send`` addresses.
    """

    services: ClassVar[tuple[Service, ...]] = ()

    command_handler: CommandHandlerClient
    query: QueryClient
    speculative: SpeculativeClient
    domain: str
    _projected: Callable[[CommandResponse, Sequence[type | str], float | None], Awaitable[None]] | None = None

    def __init__(
        self, channel: grpclib.client.Channel, owns_channel: bool = True, *, domain: str = ""
    ) -> None:
        super().__init__(channel, owns_channel)
        self.domain = domain
        self.command_handler = CommandHandlerClient._sharing(self)
        self.query = QueryClient._sharing(self)
        self.speculative = SpeculativeClient._sharing(self)
        self.command_handler._queries = self.query

    @classmethod
    def for_domain(
        cls,
        domain: str,
        mode: TransportMode | None = None,
        *,
        retry: RetryPolicy | None = None,
        retry_commands: bool = False,
        lazy: bool = False,
        config: ChannelConfig | None = None,
    ) -> Connecting[Self]:
        """Connect to the coordinator of a domain, where ``resolve_ch_endpoint`` says it is; ``send`` addresses it.

        Args and errors are those of ``BaseClient.for_domain``.
        """
        endpoint = resolve_ch_endpoint(domain, mode)
        return cls.connect(
            endpoint, retry, retry_commands=retry_commands, lazy=lazy, config=config, domain=domain
        )

    @classmethod
    def connect(
        cls,
        endpoint: str,
        retry: RetryPolicy | None = None,
        *,
        retry_commands: bool = False,
        lazy: bool = False,
        config: ChannelConfig | None = None,
        domain: str = "",
    ) -> Connecting[Self]:
        """Connect to a coordinator, as ``BaseClient.connect`` does.

        Args:
            endpoint: as ``host:port``, ``/path.sock``, ``unix:…``, ``http://…`` or ``https://…``.
            retry: policy for connecting and for reads; None for ``default_retry_policy()``.
            retry_commands: retry commands as well when nobody can say whether they were executed.
            lazy: connect with the first call instead of now.
            config: TLS, keepalive, limits, default timeout, metadata; None for the defaults.
            domain: the domain ``send`` addresses; ``""`` takes it from an endpoint like ``ch-player.sock`` or
                ``ch-player.angzarr.svc:1310``.

        Raises:
            InvalidArgumentError: ENDPOINT_INVALID_URI, at once.
            ConnectionError: CONNECTION_FAILED or CONNECTION_FAILED_MAX_RETRIES, when awaited.
        """
        connecting = super().connect(endpoint, retry, retry_commands=retry_commands, lazy=lazy, config=config)
        addressed = domain or _domain_of(endpoint)

        async def connected() -> Self:
            client = await connecting
            client.domain = addressed
            return client

        return Connecting(connected)

    @classmethod
    def from_env(
        cls,
        env_var: str,
        default: str,
        *,
        retry: RetryPolicy | None = None,
        retry_commands: bool = False,
        lazy: bool = False,
        config: ChannelConfig | None = None,
        domain: str = "",
    ) -> Connecting[Self]:
        """Connect to the endpoint an environment variable names, or to ``default`` where it is unset or empty.

        Args and errors are those of ``connect``.
        """
        endpoint = os.environ.get(env_var) or default
        return cls.connect(
            endpoint, retry, retry_commands=retry_commands, lazy=lazy, config=config, domain=domain
        )

    @classmethod
    def from_channel(
        cls,
        channel: grpclib.client.Channel,
        *,
        retry: RetryPolicy | None = None,
        retry_commands: bool = False,
        domain: str = "",
    ) -> Self:
        """A client over somebody else's channel, which ``close()`` leaves open.

        Args:
            channel: an ``angzarr.client.channel.Channel`` or any ``grpclib.client.Channel``.
            retry: policy for reads; None for ``default_retry_policy()``.
            retry_commands: retry commands as well when nobody can say whether they were executed.
            domain: the domain ``send`` addresses; ``""`` when it is named with each ``send``.
        """
        client = super().from_channel(channel, retry=retry, retry_commands=retry_commands)
        client.domain = domain
        return client

    @classmethod
    def from_clients(
        cls,
        command_handler: CommandHandlerClient,
        query: QueryClient,
        speculative: SpeculativeClient | None = None,
        *,
        domain: str = "",
    ) -> Self:
        """A client made of others, or of what behaves like them. It owns nothing.

        Args:
            command_handler: becomes the attribute of that name.
            query: becomes the attribute of that name.
            speculative: becomes the attribute of that name; None for one that knows command handlers only.
            domain: the domain ``send`` addresses.
        """
        client = cls._composed(())
        client.domain = domain
        client.command_handler = command_handler
        client.query = query
        client.speculative = speculative or _speculative_of(command_handler)
        if isinstance(command_handler, CommandHandlerClient) and command_handler._queries is None:
            command_handler._queries = query
        return client

    async def send(
        self,
        message: betterproto.Message,
        *,
        root: uuid.UUID | bytes | str,
        sequence: int | None = None,
        sync_mode: SyncMode = SyncMode.ASYNC,
        correlation_id: str | None = None,
        timeout: float | None = None,
        domain: str | None = None,
        wait_for: Sequence[type | str] = (),
    ) -> CommandResponse:
        """Execute a command.

        Args:
            message: the command.
            root: the aggregate: its UUID, 16 bytes, or a text: a UUID's, or the business key of the aggregate.
            sequence: the sequence the aggregate must be at (MERGE_STRICT); None checks nothing and leaves the decision
                to the handler (MERGE_AGGREGATE_HANDLES).
            sync_mode: what the answer waits for.
            correlation_id: what exchange it belongs to; None for a fresh one.
            timeout: seconds for all attempts together, and for the projectors of ``wait_for``; None for the channel's
                default.
            domain: None for the client's own.
            wait_for: projectors (classes or names) that must have taken the events in before this returns: read your
                own writes. For clients that an embedded coordinator gave out; others have ``sync_mode``.

        Returns:
            The new events, and the projections the sync mode waited for.

        Raises:
            InvalidArgumentError: VALUE_EMPTY, no domain is known; PROTO_UUID_INVALID, the root is not 16 bytes;
                INVALID_ARGUMENT, ``wait_for`` cannot be had here.
            TimeoutError: a projector was not there in time; the text names it and how far it lags behind.
            ClientError: what ``CommandHandlerClient.handle_command`` raises; ``current_events`` of a GRPCError has the
                events after a stale ``sequence``.
        """
        addressed = domain or self.domain
        if not addressed:
            raise InvalidArgumentError(
                messages.VALUE_EMPTY, code=codes.VALUE_EMPTY, details={keys.FIELD: "domain"}
            )
        builder = self.command_handler.command(addressed, as_root(addressed, root)).with_command(message)
        builder.with_correlation_id(correlation_id or "")
        if sequence is None:
            builder.with_merge_strategy(MergeStrategy.MERGE_AGGREGATE_HANDLES)
        else:
            builder.with_merge_strategy(MergeStrategy.MERGE_STRICT).with_sequence(sequence)
        if wait_for and self._projected is None:
            raise InvalidArgumentError(
                "wait_for needs a client of an embedded coordinator (coordinator.client(domain)); "
                "over a channel, use sync_mode=SyncMode.SIMPLE",
                details={keys.FIELD: "wait_for"},
            )
        if not wait_for or self._projected is None:
            return await builder.execute(sync_mode, timeout)
        begun = time.monotonic()
        # Before anything is stored: are there such projectors?
        await self._projected(CommandResponse(), wait_for, timeout)
        response = await builder.execute(sync_mode, timeout)
        left = None if timeout is None else max(0.0, timeout - (time.monotonic() - begun))
        await self._projected(response, wait_for, left)
        return response

    async def execute(self, command: CommandBook, timeout: float | None = None) -> CommandResponse:
        """Execute a command book without waiting for what it causes.

        Args and errors are those of ``CommandHandlerClient.handle_command``.
        """
        return await self.execute_with_mode(command, SyncMode.ASYNC, timeout)

    async def execute_with_mode(
        self, command: CommandBook, sync_mode: SyncMode, timeout: float | None = None
    ) -> CommandResponse:
        """Execute a command book in a sync mode.

        Args and errors are those of ``CommandHandlerClient.handle_command``.
        """
        request = CommandRequest(
            command=command,
            sync_mode=sync_mode,
            cascade_error_mode=CascadeErrorMode.CASCADE_ERROR_FAIL_FAST,
        )
        return await self.command_handler.handle_command(request, timeout)

    async def get_event_book(self, query: Query, timeout: float | None = None) -> EventBook:
        """As ``QueryClient.get_event_book``."""
        return await self.query.get_event_book(query, timeout)

    async def get_events(self, query: Query, timeout: float | None = None) -> list[EventBook]:
        """As ``QueryClient.get_events``."""
        return await self.query.get_events(query, timeout)


def _domain_of(endpoint: str) -> str:
    match = _OF_ENDPOINT.fullmatch(endpoint)
    return (match[1] or match[2]) if match else ""


def _speculative_of(command_handler: Any) -> SpeculativeClient:
    stub = command_handler._stubs[0] if isinstance(command_handler, CommandHandlerClient) else command_handler
    return SpeculativeClient.from_stubs(stub, _NotOffered(), _NotOffered(), _NotOffered())


class _NotOffered:
    """A stub whose every method answers UNIMPLEMENTED."""

    async def _refuse(self, request: object, **options: object) -> NoReturn:
        text = "this client was made without a speculative client"
        raise grpclib.GRPCError(grpclib.const.Status.UNIMPLEMENTED, text)

    execute_speculative = handle_speculative = _refuse
