"""Trailers that every caller can read: grpcio's refuses more than 8 KiB of headers in place of the call's status."""

import asyncio

import grpc
import pytest
from grpclib.const import Status
from hypothesis import given
from hypothesis import strategies as st

from angzarr._gen.google.rpc import ErrorInfo
from angzarr._gen.google.rpc import Status as RpcStatus
from angzarr.client import Channel, ChannelStub
from angzarr.errors import CommandRejectedError, GRPCError
from angzarr.messages import Any as PackedAny
from angzarr.messages import decode, encode, services
from angzarr.router import command_handler, handles
from angzarr.server import GrpcServer, ServerOptions
from angzarr.server.trailers import fitted, room_for, trailers_of
from tests.bank.messages import Account, Deposit
from tests.router.helpers import command_router, request

FOREIGN, OURS = room_for("grpc-python/1.60.0"), room_for("grpc-python-angzarr/1.0")


def details_of(message: str, metadata: dict[str, str]) -> bytes:
    info = ErrorInfo(reason="C", domain="angzarr", metadata=metadata)
    packed = PackedAny(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=encode(info))
    return encode(RpcStatus(code=9, message=message, details=[packed]))


def info_in(details: bytes | None) -> ErrorInfo:
    assert details is not None
    return decode(ErrorInfo, decode(RpcStatus, details).details[0].value)


def test_what_fits_stays_as_it_is() -> None:
    details = details_of("no", {"account": "7"})
    assert fitted("no", details, FOREIGN) == ("no", details)
    assert fitted(None, None, FOREIGN) == (None, None)


def test_a_long_message_is_cut_and_the_details_are_kept() -> None:
    message, details = fitted("x" * 20_000, details_of("x" * 20_000, {"account": "7"}), FOREIGN)
    assert message is not None
    assert message.startswith("xxx")
    assert message.endswith("x…")
    assert (info_in(details).reason, info_in(details).metadata) == ("C", {"account": "7"})
    assert decode(RpcStatus, details or b"").message == message


def test_many_long_details_are_each_cut() -> None:
    message, details = fitted("no", details_of("no", {f"k{n}": "v" * 900 for n in range(40)}), FOREIGN)
    assert message == "no"
    assert info_in(details).reason == "C"
    assert set(info_in(details).metadata) == {f"k{n}" for n in range(40)}


def test_details_that_cannot_be_cut_are_left_out() -> None:
    assert fitted("no", b"\xff" * 9000, FOREIGN) == ("no", None)


def test_our_own_clients_get_more() -> None:
    assert fitted("x" * 20_000, None, OURS) == ("x" * 20_000, None)


@given(message=st.text(max_size=3000), metadata=st.dictionaries(st.text(max_size=30), st.text(max_size=2000)))
def test_nothing_is_longer_than_its_room(message: str, metadata: dict[str, str]) -> None:
    cut = fitted(message, details_of(message, metadata), FOREIGN)
    trailers = trailers_of(Status.ABORTED, *cut)
    assert sum(len(value) for name, value in trailers if name != "grpc-status") <= FOREIGN


@command_handler(domain="account", state=Account)
class Wordy:
    @handles(Deposit)
    def deposit(self, command: Deposit) -> None:
        raise CommandRejectedError.precondition_failed("NO", "x" * 20_000)


async def test_a_long_rejection_reaches_grpcios_clients_with_its_status_and_ours_whole() -> None:
    async with GrpcServer([command_router(Wordy)], options=ServerOptions(linger=0.05)) as server:
        address = await server.listen("127.0.0.1:0")

        def foreign() -> tuple[grpc.StatusCode, str]:
            with grpc.insecure_channel(address) as channel:
                method = channel.unary_unary(services.COMMAND_HANDLER.rpcs["Handle"].path)
                call = method.future(bytes(request(Deposit())), timeout=10)
                return call.code(), call.details()

        code, text = await asyncio.to_thread(foreign)
        assert code is grpc.StatusCode.FAILED_PRECONDITION
        assert text.startswith("xxx")
        channel = Channel(address)
        with pytest.raises(GRPCError) as caught:
            await ChannelStub(channel, services.COMMAND_HANDLER).handle(request(Deposit()), timeout=10)
        assert caught.value.grpc_details == "x" * 20_000
        await channel.aclose()
