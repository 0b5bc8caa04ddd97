"""The channel: an endpoint, and the connections to it."""

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING

import anyio
import grpclib.client
from grpclib.config import Configuration

from angzarr.client import failures
from angzarr.client.balancing import Balancer
from angzarr.client.config import ChannelConfig
from angzarr.client.endpoint import Endpoint, parse_endpoint
from angzarr.client.protocol import ClientProtocol, NotHttp2Error
from angzarr.error_codes import codes, keys, messages
from angzarr.errors import ConnectionError, InvalidArgumentError
from angzarr.log import get_logger
from angzarr.retry import RetryPolicy, default_retry_policy

if TYPE_CHECKING:
    from grpclib.protocol import H2Protocol

_log = get_logger(__name__)

_CLOSING = 1.0


class Channel(grpclib.client.Channel):
    """A grpclib channel with our endpoints, configuration, errors and HTTP/2 manners. Build it inside a running loop.

    Args:
        endpoint: text as ``parse_endpoint`` takes it, or its result.
        config: None for the defaults.

    Raises:
        InvalidArgumentError: ENDPOINT_INVALID_URI; INVALID_ARGUMENT where ``config`` has certificates and the endpoint
            says plaintext.
    """

    closed: bool = False

    def __init__(self, endpoint: str | Endpoint, config: ChannelConfig | None = None) -> None:
        self.endpoint: Endpoint = endpoint if isinstance(endpoint, Endpoint) else parse_endpoint(endpoint)
        self.config: ChannelConfig = config or ChannelConfig()
        self._connecting: asyncio.Future[None] | None = None
        self._connections: set[ClientProtocol] = set()
        balanced = self.config.balancing == "round_robin" and not self.endpoint.is_unix
        self._balancer = Balancer(self.addresses, self._open) if balanced else None
        context = _ssl_context(self.endpoint, self.config)
        settings = Configuration(ssl_target_name_override=_server_name(self.endpoint, self.config))
        if self.endpoint.is_unix:
            super().__init__(path=self.endpoint.path, ssl=context, config=settings)
        else:
            super().__init__(self.endpoint.host, self.endpoint.port, ssl=context, config=settings)
        self._authority = self.config.authority or self.endpoint.authority

    async def connect(self, retry: RetryPolicy | None = None) -> None:
        """Open the connection now.

        Args:
            retry: what to do when it fails; None for ``default_retry_policy()``.

        Raises:
            ConnectionError: CONNECTION_FAILED, or CONNECTION_FAILED_MAX_RETRIES after several attempts; details
                ``endpoint`` and ``cause``.
            TransportError: the channel is closed.
        """
        attempts = 0

        async def attempt() -> Exception | None:
            nonlocal attempts
            attempts += 1
            try:
                await self.__connect__()
            except ConnectionError as error:
                if isinstance(error.__cause__, ssl.SSLCertVerificationError | NotHttp2Error):
                    return error
                raise
            return None

        try:
            final: Exception | None = await (retry or default_retry_policy()).execute(attempt)
        except ConnectionError as error:
            if attempts > 1:
                raise self._failed(error.__cause__, several=True) from error.__cause__
            raise
        if final is not None:
            raise final

    def ready(self) -> ClientProtocol | None:
        """The connection for a new call, where there is one and no choice; None where ``__connect__`` must be asked."""
        protocol = self._protocol
        if self._balancer is None and isinstance(protocol, ClientProtocol) and protocol.usable:
            return None if self.closed else protocol
        return None

    async def __connect__(self) -> "H2Protocol":
        """A connection for a new call, opened if there is none; one attempt serves everybody who waits for it."""
        while True:
            if self.closed:
                raise failures.closed()
            if self._balancer is not None:
                return await self._balancer.pick()
            if protocol := self.ready():
                return protocol
            if self._connecting is None:
                await self._connect_once()
            else:
                await self._wait_for_connection(self._connecting)

    async def _connect_once(self) -> None:
        connecting = self._connecting = asyncio.get_running_loop().create_future()
        try:
            self._protocol = await self._open()
        except ConnectionError as error:
            connecting.set_exception(error)
            connecting.exception()
            raise
        finally:
            self._connecting = None
            if not connecting.done():
                connecting.set_result(None)

    @staticmethod
    async def _wait_for_connection(connecting: "asyncio.Future[None]") -> None:
        try:
            await asyncio.shield(connecting)
        except ConnectionError as error:
            raise ConnectionError(error.message, code=error.code, details=error.details) from error.__cause__

    async def addresses(self) -> list[str]:
        """The addresses that the endpoint's name stands for now, in the resolver's order.

        Raises:
            ConnectionError: CONNECTION_FAILED, the name is not known.
        """
        try:
            found = await self._loop.getaddrinfo(
                self.endpoint.host, self.endpoint.port, type=socket.SOCK_STREAM
            )
        except OSError as error:
            raise self._failed(error) from error
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    async def _open(self, address: str | None = None) -> ClientProtocol:
        protocol: ClientProtocol | None = None
        try:
            with anyio.fail_after(self.config.connect_timeout):
                protocol = await self._reached(address)
                await protocol.greeted
            if not protocol.usable:
                raise OSError(protocol.processor.ending)
        except TimeoutError as error:
            raise self._failed(self._late(protocol)) from error
        except (OSError, ValueError) as error:
            raise self._failed(error) from error
        finally:
            if protocol is not None and not protocol.is_greeted:
                protocol.abort("the connection was given up")
        _log.debug("connected", endpoint=self.endpoint.text, address=address or "")
        if self.closed:
            protocol.close()
        return protocol

    async def _reached(self, address: str | None) -> ClientProtocol:
        protocol = await (self._create_connection() if address is None else self._connect_to(address))
        assert isinstance(protocol, ClientProtocol)
        connections = self._connections  # not self: a dropped channel must be collected, and warn
        connections.add(protocol)
        protocol.lost.add_done_callback(lambda _: connections.discard(protocol))
        return protocol

    def _late(self, protocol: ClientProtocol | None) -> TimeoutError:
        where = "no connection" if protocol is None else "connected, but no HTTP/2 SETTINGS from the server"
        return TimeoutError(f"{where} within {self.config.connect_timeout:g} s")

    async def _connect_to(self, address: str) -> ClientProtocol:
        name = self._config.ssl_target_name_override or self.endpoint.host
        _, protocol = await self._loop.create_connection(
            self._protocol_factory,
            address,
            self.endpoint.port,
            ssl=self._ssl,
            server_hostname=name if self._ssl is not None else None,
        )
        return protocol

    def _failed(self, cause: BaseException | None, *, several: bool = False) -> ConnectionError:
        code = codes.CONNECTION_FAILED_MAX_RETRIES if several else codes.CONNECTION_FAILED
        text = str(cause) or type(cause).__name__
        return ConnectionError(
            getattr(messages, code),
            code=code,
            details={keys.ENDPOINT: self.endpoint.text, keys.CAUSE: text},
        )

    def _protocol_factory(self) -> ClientProtocol:
        return ClientProtocol(self.config, self._h2_config)

    def close(self) -> None:
        """Close the connection; calls under way end with TransportError. Closing twice is fine."""
        self.closed = True
        for protocol in list(self._connections):
            protocol.close()

    async def aclose(self) -> None:
        """Close, and wait until the sockets are closed; a peer that takes nothing any more is cut off after 1 s."""
        self.close()
        if self._balancer is not None:
            await self._balancer.close()
        lost = [protocol.lost for protocol in self._connections]
        if not lost:
            return
        _, stuck = await asyncio.wait(lost, timeout=_CLOSING)
        if stuck:
            for protocol in list(self._connections):
                protocol.abort("the client was closed")
            await asyncio.wait(stuck)

    def __del__(self) -> None:
        if not self.closed:
            super().__del__()


def require_fitting(endpoint: Endpoint, config: ChannelConfig) -> None:
    """Refuse what does not go together.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, certificates for ``http://``; details ``field``.
    """
    if endpoint.tls is False and config.has_certificates:
        chosen = "certificate_chain" if config.root_certificates is None else "root_certificates"
        raise InvalidArgumentError(
            messages.INVALID_ARGUMENT,
            code=codes.INVALID_ARGUMENT,
            details={
                keys.FIELD: chosen,
                keys.ENDPOINT: endpoint.text,
                keys.EXPECTED: "https:// or an endpoint without a scheme, to go with certificates",
            },
        )


def _ssl_context(endpoint: Endpoint, config: ChannelConfig) -> ssl.SSLContext | None:
    require_fitting(endpoint, config)
    return config.ssl_context() if endpoint.tls or config.has_certificates else None


def _server_name(endpoint: Endpoint, config: ChannelConfig) -> str | None:
    """The name the server's certificate must carry."""
    if config.authority is None:
        return "localhost" if endpoint.is_unix else None
    host, colon, port = config.authority.rpartition(":")
    name = (
        host if colon and port.isdigit() and (":" not in host or host.startswith("[")) else config.authority
    )
    return name.strip("[]")
