"""The codec behind grpclib's seam, for channels and servers."""

from typing import Any

from betterproto import Message
from grpclib.encoding.base import CodecBase

from angzarr.codec.schema import schema_of

__all__ = ["GrpcCodec"]


class GrpcCodec(CodecBase):
    """Encodes and decodes betterproto messages for grpclib, in place of ``bytes()`` and ``parse``."""

    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:
        """Encode a message.

        Raises:
            TypeError: it is not of the type that the method sends.
            EncodeError: a field holds a value its type cannot carry.
        """
        if not isinstance(message, message_type):
            raise TypeError(f"{message_type.__name__} expected, got {type(message).__name__}")
        assert isinstance(message, Message)
        return schema_of(type(message)).serialise(message.__dict__)

    def decode(self, data: bytes, message_type: Any) -> Any:
        """Decode a message.

        Raises:
            DecodeError: the bytes are malformed.
        """
        return schema_of(message_type).parse(bytes(data), 0, len(data))
