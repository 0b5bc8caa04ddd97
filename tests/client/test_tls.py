"""TLS and mutual TLS."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from angzarr.client import (
    Channel,
    ChannelConfig,
    QueryClient,
)
from angzarr.errors import (
    ClientError,
    ConnectionError,
    InvalidArgumentError,
)
from angzarr.messages import (
    EventBook,
    Query,
)
from angzarr.messages.services import EVENT_QUERY
from angzarr.retry import ExponentialBackoffRetry
from tests.client.servers import Servicer, answering, serving

CERTIFICATES = Path(__file__).parent / "certificates"
CA = CERTIFICATES / "ca.pem"
ONCE = ExponentialBackoffRetry(max_attempts=1)
TWICE = ExponentialBackoffRetry(min_delay=0.001, max_attempts=2)


async def _echo(request: Any) -> EventBook:
    return EventBook(cover=request.cover, next_sequence=3)


QUERIES = Servicer(EVENT_QUERY, get_event_book=answering(_echo))


def server_context(*, mutual: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")
    context.set_alpn_protocols(["h2"])
    if mutual:
        context.load_verify_locations(CA)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@asynccontextmanager
async def secured(*, mutual: bool = False) -> AsyncIterator[str]:
    async with serving(QUERIES, ssl=server_context(mutual=mutual)) as endpoint:
        yield endpoint


@pytest.mark.parametrize(
    "roots", [CA, str(CA), CA.read_bytes(), CA.read_text()], ids=["path", "str", "pem", "text"]
)
async def test_tls_with_own_roots(roots: Any) -> None:
    config = ChannelConfig(root_certificates=roots)
    async with secured() as endpoint:
        for form in (endpoint, f"https://{endpoint}"):
            async with QueryClient.connect(form, ONCE, config=config) as client:
                assert (await client.get_event_book(Query())).next_sequence == 3


async def test_https_trusts_the_systems_roots_only() -> None:
    retried: list[int] = []
    policy = ExponentialBackoffRetry(min_delay=0.001, on_retry=lambda index, error: retried.append(index))
    async with secured() as endpoint:
        with pytest.raises(ConnectionError) as raised:
            await QueryClient.connect(f"https://{endpoint}", policy)
    assert raised.value.code == "CONNECTION_FAILED"
    assert "CERTIFICATE_VERIFY_FAILED" in raised.value.details["cause"]
    assert retried == []


async def test_another_authority_is_not_trusted() -> None:
    config = ChannelConfig(root_certificates=CERTIFICATES / "stranger.pem")
    async with secured() as endpoint:
        with pytest.raises(ConnectionError, match="connection failed"):
            await QueryClient.connect(endpoint, ONCE, config=config)


async def test_the_certificate_must_carry_the_name_called() -> None:
    async with secured() as endpoint:
        wrong = ChannelConfig(root_certificates=CA, authority="elsewhere.test")
        with pytest.raises(ConnectionError) as raised:
            await QueryClient.connect(endpoint, ONCE, config=wrong)
        assert "elsewhere.test" in raised.value.details["cause"]
        right = ChannelConfig(root_certificates=CA, authority="coordinator.test:443")
        async with QueryClient.connect(endpoint, ONCE, config=right) as client:
            await client.get_event_book(Query())


async def test_mutual_tls() -> None:
    config = ChannelConfig(
        root_certificates=CA,
        certificate_chain=CERTIFICATES / "client.pem",
        private_key=(CERTIFICATES / "client.key").read_bytes(),
    )
    async with secured(mutual=True) as endpoint:
        async with QueryClient.connect(endpoint, ONCE, config=config) as client:
            await client.get_event_book(Query())
        anonymous = ChannelConfig(root_certificates=CA)
        with pytest.raises(ClientError) as raised:
            async with QueryClient.connect(endpoint, ONCE, config=anonymous) as client:
                await client.get_event_book(Query())
        assert raised.value.is_connection_error()


async def test_plaintext_to_a_tls_server_is_a_connection_error() -> None:
    async with secured() as endpoint:
        with pytest.raises(ConnectionError) as raised:
            await QueryClient.connect(endpoint, ONCE)
    assert raised.value.details["endpoint"] == endpoint


async def test_the_authority_is_what_calls_name() -> None:
    async with secured() as endpoint:
        channel = Channel(endpoint, ChannelConfig(root_certificates=CA, authority="coordinator.test"))
        assert channel._authority == "coordinator.test"
        assert Channel(endpoint)._authority == endpoint


async def test_certificates_do_not_go_with_http() -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        Channel("http://localhost:1", ChannelConfig(root_certificates=CA))
    assert raised.value.details["field"] == "root_certificates"


def test_certificates_for_http_are_refused_at_once() -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        QueryClient.connect("http://localhost:1", config=ChannelConfig(root_certificates=CA))
    assert raised.value.details["field"] == "root_certificates"
