import pytest
from betterproto.lib.google.protobuf import Any

import angzarr.messages as m
from angzarr.errors import DecodeError, UnregisteredMessageError

NOTICE = m.Notification(cover=m.Cover(domain="table"))


def test_a_packed_message_carries_its_name_and_bytes() -> None:
    packed = m.pack(m.Cover(domain="table"))
    assert packed.type_url == "type.googleapis.com/angzarr_client.proto.angzarr.Cover"
    assert packed.value == b"\x12\x05table"


def test_what_was_packed_is_unpacked() -> None:
    assert m.unpack(m.pack(NOTICE), m.Notification) == NOTICE
    assert m.try_unpack(m.pack(NOTICE), m.Notification) == NOTICE
    assert m.unpack_any(m.pack(NOTICE)) == NOTICE


@pytest.mark.parametrize(
    "url", ["x.example/angzarr_client.proto.angzarr.Cover", "angzarr_client.proto.angzarr.Cover"]
)
def test_any_prefix_is_accepted_on_input(url: str) -> None:
    assert m.unpack(Any(type_url=url, value=b"\x12\x05table"), m.Cover).domain == "table"


def test_a_framework_message_is_unpacked_under_its_production_name() -> None:
    from_production = Any(type_url="type.angzarr.io/angzarr.Notification", value=b"\x0a\x07\x12\x05table")
    assert m.unpack(from_production, m.Notification) == NOTICE
    assert m.unpack_any(from_production) == NOTICE


def test_another_type_is_a_value_error_that_names_both() -> None:
    with pytest.raises(ValueError, match=r"angzarr\.EventBook.*angzarr\.Cover"):
        m.unpack(m.pack(m.Cover()), m.EventBook)


def test_another_type_is_tried_in_vain() -> None:
    assert m.try_unpack(m.pack(m.Cover()), m.EventBook) is None


def test_malformed_bytes_are_a_decode_error() -> None:
    malformed = Any(type_url=m.full_type_url(m.Cover), value=b"\x12\x05tab")
    with pytest.raises(DecodeError):
        m.unpack(malformed, m.Cover)
    with pytest.raises(DecodeError):
        m.unpack_any(malformed)
    assert m.try_unpack(malformed, m.Cover) is None


def test_an_unknown_name_cannot_be_unpacked_without_a_class() -> None:
    with pytest.raises(UnregisteredMessageError, match=r"no\.Such"):
        m.unpack_any(Any(type_url="type.googleapis.com/no.Such"))
