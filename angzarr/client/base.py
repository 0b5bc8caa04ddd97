"""What every client has: ways to construct it, and an end."""

import os
from types import TracebackType
from typing import Any, ClassVar, Self

import grpclib.client

from angzarr.client.calls import Calls
from angzarr.client.channel import Channel, require_fitting
from angzarr.client.config import ChannelConfig
from angzarr.client.connecting import Connecting
from angzarr.client.endpoint import TransportMode, parse_endpoint, resolve_ch_endpoint
from angzarr.client.failures import refused_argument
from angzarr.client.stub import ChannelStub
from angzarr.messages.services import Service
from angzarr.retry import RetryPolicy, default_retry_policy


class BaseClient:
    """A client of one or more services behind one channel.

    Args:
        channel: an ``angzarr.client.channel.Channel`` or any ``grpclib.client.Channel``.
        owns_channel: whether ``close()`` closes it.
    """

    services: ClassVar[tuple[Service, ...]]

    def __init__(self, channel: grpclib.client.Channel, owns_channel: bool = True) -> None:
        self._attach(channel, owns_channel, _calls_over(channel), self._stubs_over(channel))

    @classmethod
    def connect(
        cls,
        endpoint: str,
        retry: RetryPolicy | None = None,
        *,
        retry_commands: bool = False,
        lazy: bool = False,
        config: ChannelConfig | None = None,
    ) -> Connecting[Self]:
        """Connect to a coordinator: await the result, or use it as an async context manager.

        Args:
            endpoint: as ``host:port``, ``/path.sock``, ``unix:…``, ``http://…`` or ``https://…``.
            retry: policy for connecting and for reads; None for ``default_retry_policy()``.
            retry_commands: retry commands as well when nobody can say whether they were executed.
            lazy: connect with the first call instead of now.
            config: TLS, keepalive, limits, default timeout, metadata; None for the defaults.

        Raises:
            InvalidArgumentError: ENDPOINT_INVALID_URI, at once.
            ConnectionError: CONNECTION_FAILED or CONNECTION_FAILED_MAX_RETRIES, when awaited.
        """
        parsed = parse_endpoint(endpoint)
        require_fitting(parsed, config or ChannelConfig())
        policy = checked_policy(retry)

        async def connected() -> Self:
            channel = Channel(parsed, config)
            try:
                if not lazy:
                    await channel.connect(policy)
            except BaseException:
                await channel.aclose()
                raise
            return cls(channel)._retrying(policy, retry_commands)

        return Connecting(connected)

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
        """Connect to the coordinator of a domain, where ``resolve_ch_endpoint`` says it is.

        Args:
            domain: such as ``"player"``.
            mode: None reads ``ANGZARR_MODE``.
            retry: as for ``connect``, and so are the others.

        Raises:
            InvalidArgumentError: INVALID_TRANSPORT_MODE, INVALID_PORT or VALUE_EMPTY, at once.
            ConnectionError: CONNECTION_FAILED or CONNECTION_FAILED_MAX_RETRIES, when awaited.
        """
        endpoint = resolve_ch_endpoint(domain, mode)
        return cls.connect(endpoint, retry, retry_commands=retry_commands, lazy=lazy, config=config)

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
    ) -> Connecting[Self]:
        """Connect to the endpoint an environment variable names, or to ``default`` where it is unset or empty.

        Args and errors are those of ``connect``.
        """
        endpoint = os.environ.get(env_var) or default
        return cls.connect(endpoint, retry, retry_commands=retry_commands, lazy=lazy, config=config)

    @classmethod
    def from_channel(
        cls,
        channel: grpclib.client.Channel,
        *,
        retry: RetryPolicy | None = None,
        retry_commands: bool = False,
    ) -> Self:
        """A client over somebody else's channel, which ``close()`` leaves open.

        Args:
            channel: an ``angzarr.client.channel.Channel`` or any ``grpclib.client.Channel``.
            retry: policy for reads; None for ``default_retry_policy()``.
            retry_commands: retry commands as well when nobody can say whether they were executed.
        """
        return cls(channel, owns_channel=False)._retrying(checked_policy(retry), retry_commands)

    @property
    def channel(self) -> grpclib.client.Channel | None:
        """The channel that the client's calls go through; None for a client made of stubs or of other clients."""
        return self._channel

    async def close(self) -> None:
        """Close the client and the channel it owns. Closing twice is fine; a client that owns nothing stays usable."""
        if not self._owns_channel or self._channel is None:
            return
        self._calls.closed = True
        if isinstance(self._channel, Channel):
            await self._channel.aclose()
        else:
            self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _retrying(self, retry: RetryPolicy, retry_commands: bool) -> Self:
        self._calls.retry = retry
        self._calls.retry_commands = retry_commands
        return self

    @classmethod
    def _stubs_over(cls, channel: grpclib.client.Channel) -> tuple[Any, ...]:
        return tuple(ChannelStub(channel, service) for service in cls.services)

    @classmethod
    def _sharing(cls, other: "BaseClient") -> Self:
        """A client over another one's channel: its settings, its end, but not its ownership."""
        assert other._channel is not None
        client = cls.__new__(cls)
        client._attach(other._channel, False, other._calls, cls._stubs_over(other._channel))
        return client

    @classmethod
    def _composed(cls, stubs: tuple[Any, ...], calls: Calls | None = None) -> Self:
        client = cls.__new__(cls)
        client._attach(None, False, calls or Calls(), stubs)
        return client

    def _attach(
        self, channel: grpclib.client.Channel | None, owns: bool, calls: Calls, stubs: tuple[Any, ...]
    ) -> None:
        self._channel = channel
        self._owns_channel = owns
        self._calls = calls
        self._stubs = stubs


class SingleServiceClient(BaseClient):
    """A client of one service."""

    @classmethod
    def from_stub(
        cls,
        stub: Any,
        *,
        retry: RetryPolicy | None = None,
        retry_commands: bool = False,
        config: ChannelConfig | None = None,
    ) -> Self:
        """A client over a stub: any object with the service's methods in snake_case. It owns nothing.

        Args:
            stub: such as the service of an embedded coordinator in this process.
            retry: policy for reads; None for ``default_retry_policy()``.
            retry_commands: retry commands as well when nobody can say whether they were executed.
            config: default timeout, metadata, interceptors, circuit breaker; None for the defaults.
        """
        calls = Calls(config or ChannelConfig(), retry=checked_policy(retry), retry_commands=retry_commands)
        return cls._composed((stub,), calls)

    @property
    def stub(self) -> Any:
        """The service's methods in snake_case, as the client calls them: no retries, no interceptors."""
        return self._stubs[0]


def checked_policy(retry: RetryPolicy | None) -> RetryPolicy:
    """The policy, ``default_retry_policy()`` for None.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, it is no policy; details ``field``.
    """
    if retry is None:
        return default_retry_policy()
    if not callable(getattr(retry, "execute", None)):
        raise refused_argument(f"a RetryPolicy or None expected, got {retry!r}", "retry")
    return retry


def _calls_over(channel: grpclib.client.Channel) -> Calls:
    if isinstance(channel, Channel):
        return Calls(channel.config, channel.endpoint.text)
    return Calls(endpoint=channel._authority)
