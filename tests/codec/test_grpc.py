"""The codec in a channel and a server of grpclib."""

from types import ModuleType
from typing import Any

import grpclib.const
import grpclib.server
import pytest
from grpclib.client import Channel, UnaryUnaryMethod
from grpclib.testing import ChannelFor

from angzarr.codec import DecodeError, GrpcCodec
from tests.codec.conftest import load_prepared


class Doubler:
    """A service that doubles a point."""

    def __init__(self, kitchen: ModuleType) -> None:
        self._point = kitchen.Point

    async def _double(self, stream: "grpclib.server.Stream[Any, Any]") -> None:
        point = await stream.recv_message()
        assert point is not None
        await stream.send_message(self._point(x=point.x * 2, y=point.y * 2))

    def __mapping__(self) -> dict[str, grpclib.const.Handler]:
        unary = grpclib.const.Cardinality.UNARY_UNARY
        return {
            "/kitchen.Doubler/Double": grpclib.const.Handler(self._double, unary, self._point, self._point)
        }


async def test_a_message_goes_there_and_back() -> None:
    kitchen = load_prepared()
    async with ChannelFor([Doubler(kitchen)], codec=GrpcCodec()) as channel:
        method = _method(channel, kitchen)
        assert await method(kitchen.Point(x=-3, y=4)) == kitchen.Point(x=-6, y=8)


def _method(channel: Channel, kitchen: ModuleType) -> "UnaryUnaryMethod[Any, Any]":
    return UnaryUnaryMethod(channel, "/kitchen.Doubler/Double", kitchen.Point, kitchen.Point)


def test_the_content_subtype_is_proto() -> None:
    assert GrpcCodec.__content_subtype__ == "proto"


def test_a_message_of_the_wrong_type_is_refused(kitchen: ModuleType) -> None:
    with pytest.raises(TypeError, match="Point expected, got Tree"):
        GrpcCodec().encode(kitchen.Tree(), kitchen.Point)


def test_malformed_bytes_are_refused(kitchen: ModuleType) -> None:
    with pytest.raises(DecodeError):
        GrpcCodec().decode(b"\x08", kitchen.Point)
