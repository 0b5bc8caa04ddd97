"""Servers with certificates, from the environment and in code."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from angzarr.client import ChannelConfig, CommandHandlerClient
from angzarr.errors import ClientError, ConnectionError, InvalidArgumentError
from angzarr.retry import ExponentialBackoffRetry
from angzarr.server import GrpcServer, ServerOptions, create_server, server_tls
from angzarr.server.tls import tls_of_environment
from tests.bank.domain import bank
from tests.server.peers import ECHO, Bytes, RawCodec

CERTIFICATES = Path(__file__).parents[1] / "client" / "certificates"
CA, CHAIN, KEY = CERTIFICATES / "ca.pem", CERTIFICATES / "server.pem", CERTIFICATES / "server.key"
ENVIRONMENT = {"ANGZARR_TLS_CERTIFICATE": str(CHAIN), "ANGZARR_TLS_KEY": str(KEY)}
ONCE = ExponentialBackoffRetry(max_attempts=1)
OWN = {
    "certificate_chain": (CERTIFICATES / "client.pem").read_bytes(),
    "private_key": (CERTIFICATES / "client.key").read_bytes(),
}


@asynccontextmanager
async def secured(address: str = "127.0.0.1:0", **roots: Path) -> AsyncIterator[tuple[GrpcServer, str]]:
    options = ServerOptions(linger=0.05, grace=2.0)
    async with GrpcServer([Bytes()], codec=RawCodec(), options=options) as server:
        yield server, await server.listen(address, ssl=server_tls(CHAIN, KEY, **roots))


def echoed(address: str, **own: bytes) -> bytes:
    """What grpcio's client, which insists on ALPN, gets for an answer."""
    credentials = grpc.ssl_channel_credentials(CA.read_bytes(), **own)
    options = [("grpc.ssl_target_name_override", "localhost"), ("grpc.enable_retries", 0)]
    with grpc.secure_channel(address, credentials, options) as channel:
        answer: bytes = channel.unary_unary(ECHO)(b"hello", timeout=10)
        return answer


async def negotiated(address: str, protocols: list[str]) -> str | None:
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context(cafile=CA)
    context.set_alpn_protocols(protocols)
    _, writer = await asyncio.open_connection(host, int(port), ssl=context, server_hostname="localhost")
    found: str | None = writer.get_extra_info("ssl_object").selected_alpn_protocol()
    writer.transport.abort()
    return found


async def test_http2_is_agreed_on_by_alpn_and_nothing_else() -> None:
    async with secured() as (_, address):
        assert await negotiated(address, ["h2", "http/1.1"]) == "h2"
        assert await negotiated(address, ["http/1.1"]) is None


async def test_a_foreign_client_calls_over_tls() -> None:
    async with secured() as (_, address):
        assert await asyncio.to_thread(echoed, address) == b"hello"


async def test_tls_goes_over_unix_sockets_too(tmp_path: Path) -> None:
    async with secured(f"unix:{tmp_path}/a.sock") as (_, address):
        assert await asyncio.to_thread(echoed, address) == b"hello"


async def test_with_client_roots_a_client_needs_a_certificate_of_theirs() -> None:
    async with secured(client_roots=CA) as (server, address):
        own = {"private_key": OWN["private_key"], "certificate_chain": OWN["certificate_chain"]}
        assert await asyncio.to_thread(echoed, address, **own) == b"hello"
        with pytest.raises(grpc.RpcError) as refused:
            await asyncio.to_thread(echoed, address)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert server.calls_in_flight == 0


async def test_our_client_says_why_it_does_not_trust_a_server() -> None:
    config = ChannelConfig(root_certificates=CERTIFICATES / "stranger.pem")
    async with secured() as (_, address):
        with pytest.raises(ConnectionError) as raised:
            await CommandHandlerClient.connect(address, ONCE, config=config)
    assert raised.value.code == "CONNECTION_FAILED"
    assert "CERTIFICATE_VERIFY_FAILED" in raised.value.details["cause"]


async def test_a_client_without_certificate_is_told_by_mutual_tls() -> None:
    async with secured(client_roots=CA) as (_, address):
        with pytest.raises(ClientError) as raised:
            async with CommandHandlerClient.connect(
                address, ONCE, config=ChannelConfig(root_certificates=CA)
            ) as client:
                await client.handle(bank_command())
    assert raised.value.is_connection_error()


def bank_command() -> Any:
    from tests.bank.messages import OpenAccount
    from tests.router.helpers import command

    return command(OpenAccount(owner="alice"))


async def test_a_client_that_speaks_plaintext_does_not_disturb_the_others() -> None:
    async with secured() as (_, address):
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert b"HTTP" not in await reader.read()
        writer.close()
        assert await asyncio.to_thread(echoed, address) == b"hello"


async def test_a_client_that_never_shakes_hands_does_not_hold_the_server() -> None:
    async with secured() as (server, address):
        host, _, port = address.rpartition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        start = asyncio.get_running_loop().time()
        await server.drain(0.2)
        assert asyncio.get_running_loop().time() - start < 30
        writer.close()


async def test_calls_over_tls_are_answered_while_the_server_drains() -> None:
    service = Bytes()
    running = asyncio.get_running_loop()

    def wait(address: str) -> bytes:
        credentials = grpc.ssl_channel_credentials(CA.read_bytes())
        options = [("grpc.ssl_target_name_override", "localhost")]
        with grpc.secure_channel(address, credentials, options) as channel:
            answer: bytes = channel.unary_unary("/test.Bytes/Wait")(b"late", timeout=10)
            return answer

    async with GrpcServer([service], codec=RawCodec(), options=ServerOptions(linger=0.05)) as server:
        address = await server.listen("127.0.0.1:0", ssl=server_tls(CHAIN, KEY))
        answer = running.run_in_executor(None, wait, address)
        await service.started.wait()
        drain = asyncio.create_task(server.drain(5))
        await asyncio.sleep(0)
        service.release.set()
        assert await answer == b"late"
        await drain


async def test_a_created_server_takes_its_certificates_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    handle = create_server(list(bank()), address="127.0.0.1:0")
    await handle.start()
    assert await negotiated(handle.server.addresses[0], ["h2"]) == "h2"
    await handle.stop(0)


def test_without_variables_the_environment_means_plaintext(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANGZARR_TLS_CERTIFICATE", "")
    assert tls_of_environment() is None


def test_the_environment_may_ask_for_certificates_of_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**ENVIRONMENT, "ANGZARR_TLS_CLIENT_ROOTS": str(CA)}.items():
        monkeypatch.setenv(name, value)
    context = tls_of_environment()
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    ("variables", "guilty", "cause"),
    [
        ({"ANGZARR_TLS_CERTIFICATE": str(CHAIN)}, "ANGZARR_TLS_KEY", "go together"),
        ({"ANGZARR_TLS_KEY": str(KEY)}, "ANGZARR_TLS_CERTIFICATE", "go together"),
        ({"ANGZARR_TLS_CLIENT_ROOTS": str(CA)}, "ANGZARR_TLS_CERTIFICATE", "go together"),
        ({**ENVIRONMENT, "ANGZARR_TLS_CERTIFICATE": "no.pem"}, "ANGZARR_TLS_CERTIFICATE", "No such file"),
        ({**ENVIRONMENT, "ANGZARR_TLS_KEY": "no.key"}, "ANGZARR_TLS_KEY", "No such file"),
        ({**ENVIRONMENT, "ANGZARR_TLS_KEY": str(CERTIFICATES / "client.key")}, "ANGZARR_TLS_KEY", "MISMATCH"),
        ({**ENVIRONMENT, "ANGZARR_TLS_CERTIFICATE": str(KEY)}, "ANGZARR_TLS_CERTIFICATE", ""),
        ({**ENVIRONMENT, "ANGZARR_TLS_CLIENT_ROOTS": str(KEY)}, "ANGZARR_TLS_CLIENT_ROOTS", ""),
    ],
)
def test_a_wrong_file_is_an_error_that_names_the_variable(
    variables: dict[str, str], guilty: str, cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InvalidArgumentError) as raised:
        tls_of_environment()
    assert raised.value.code == "INVALID_ENVIRONMENT"
    assert raised.value.details == {"env_var": guilty, "input": variables.get(guilty, "")}
    assert cause in raised.value.message


def test_a_wrong_file_in_code_is_an_error_that_names_the_argument() -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        server_tls(CHAIN, CERTIFICATES / "client.key")
    assert raised.value.code == "INVALID_ARGUMENT"
    assert raised.value.details["field"] == "private_key"
    assert raised.value.details["actual"] == str(CERTIFICATES / "client.key")
