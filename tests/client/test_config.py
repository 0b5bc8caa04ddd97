"""Configurations that make no sense are refused when they are made, naming the field."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from angzarr.client import ChannelConfig
from angzarr.errors import InvalidArgumentError

CERTIFICATES = Path(__file__).parent / "certificates"
KEY = (CERTIFICATES / "client.key").read_bytes()
CHAIN = (CERTIFICATES / "client.pem").read_bytes()


def test_the_defaults_are_the_documented_ones() -> None:
    config = ChannelConfig()
    assert config.root_certificates is None
    assert config.certificate_chain is None
    assert config.private_key is None
    assert config.authority is None
    assert config.keepalive_time is None
    assert config.keepalive_timeout == 10.0
    assert config.max_message_bytes == 10 * 1024 * 1024
    assert config.timeout is None
    assert config.metadata == ()


def test_a_config_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ChannelConfig().timeout = 5  # type: ignore[misc]


def test_a_key_never_shows() -> None:
    assert b"PRIVATE KEY" in KEY
    assert "PRIVATE KEY" not in repr(ChannelConfig(certificate_chain=CHAIN, private_key=KEY))


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("root_certificates", {"root_certificates": b"not a certificate"}),
        ("root_certificates", {"root_certificates": "/nowhere/ca.pem"}),
        ("root_certificates", {"root_certificates": b""}),
        ("root_certificates", {"root_certificates": 5}),
        ("private_key", {"certificate_chain": CHAIN}),
        ("certificate_chain", {"private_key": KEY}),
        ("certificate_chain", {"certificate_chain": CHAIN, "private_key": b"no key"}),
        ("certificate_chain", {"certificate_chain": CERTIFICATES / "server.pem", "private_key": KEY}),
        ("certificate_chain", {"certificate_chain": "/nowhere/c.pem", "private_key": "/nowhere/c.key"}),
        ("authority", {"authority": ""}),
        ("authority", {"authority": "https://host"}),
        ("authority", {"authority": "ho st"}),
        ("keepalive_time", {"keepalive_time": 0}),
        ("keepalive_time", {"keepalive_time": -1}),
        ("keepalive_time", {"keepalive_time": "10"}),
        ("keepalive_timeout", {"keepalive_timeout": 0}),
        ("keepalive_timeout", {"keepalive_timeout": None}),
        ("connect_timeout", {"connect_timeout": float("inf")}),
        ("max_message_bytes", {"max_message_bytes": 0}),
        ("max_message_bytes", {"max_message_bytes": 2**32}),
        ("max_message_bytes", {"max_message_bytes": 1.5}),
        ("timeout", {"timeout": 0}),
        ("timeout", {"timeout": float("nan")}),
        ("timeout", {"timeout": True}),
        ("metadata", {"metadata": {"Authorization": "x"}}),
        ("metadata", {"metadata": {"grpc-timeout": "1S"}}),
        ("metadata", {"metadata": {"te": "trailers"}}),
        ("metadata", {"metadata": {"x": b"bytes"}}),
        ("metadata", {"metadata": {"x-bin": "text"}}),
        ("metadata", {"metadata": {"x": "line\nbreak"}}),
        ("metadata", {"metadata": {"x": "café"}}),
        ("metadata", {"metadata": {"": "x"}}),
        ("metadata", {"metadata": [("x",)]}),
        ("metadata", {"metadata": 5}),
    ],
)
def test_a_field_that_makes_no_sense_is_named(field: str, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        ChannelConfig(**fields)
    assert raised.value.code == "INVALID_ARGUMENT"
    assert raised.value.details["field"] == field
    assert raised.value.details["expected"]


async def test_certificates_are_read_without_blocking_the_loop() -> None:
    ChannelConfig(
        root_certificates=(CERTIFICATES / "ca.pem").read_bytes(), certificate_chain=CHAIN, private_key=KEY
    )
