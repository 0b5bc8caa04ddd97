"""UUIDs between Python and the wire."""

import uuid

from angzarr._gen.angzarr_client.proto.angzarr import Uuid as UUID


def uuid_to_proto(u: uuid.UUID) -> UUID:
    """The wire form: 16 raw bytes."""
    return UUID(value=u.bytes)


def proto_to_uuid(u: UUID) -> uuid.UUID:
    """The Python form.

    Raises:
        ValueError: the value is not exactly 16 bytes.
    """
    return uuid.UUID(bytes=u.value)


def proto_uuid_to_hex(u: UUID | None) -> str:
    """Hex of the raw bytes, however many; ``""`` for None."""
    return "" if u is None else u.value.hex()


def bytes_to_uuid_text(value: bytes) -> str:
    """The dashed form of 16 bytes, plain hex of any other number."""
    return str(uuid.UUID(bytes=value)) if len(value) == 16 else value.hex()


def proto_uuid_to_text(u: UUID | None) -> str:
    """The dashed form, ``""`` for None."""
    return "" if u is None else bytes_to_uuid_text(u.value)
