import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from angzarr.errors import InvalidArgumentError
from angzarr.server.addresses import TcpAddress, UnixAddress, parse_bind_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:50052", TcpAddress("127.0.0.1", 50052)),
        ("localhost:0", TcpAddress("localhost", 0)),
        ("[::]:50052", TcpAddress("::", 50052)),
        ("[::1]:80", TcpAddress("::1", 80)),
        (":8080", TcpAddress("", 8080)),
        ("unix:/tmp/a.sock", UnixAddress("/tmp/a.sock")),
        ("unix:///tmp/a.sock", UnixAddress("/tmp/a.sock")),
        ("unix:a.sock", UnixAddress("a.sock")),
        ("/tmp/a.sock", UnixAddress("/tmp/a.sock")),
        ("./a.sock", UnixAddress("./a.sock")),
    ],
)
def test_an_address_is_taken_apart(text: str, address: TcpAddress | UnixAddress) -> None:
    assert parse_bind_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost",
        "localhost:",
        "localhost:http",
        "::1:80",
        "1.2.3.4:65536",
        "unix:",
        "unix:a\0b",
        "/" + "x" * 107,
    ],
)
def test_anything_else_is_an_error_that_names_it(text: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_bind_address(text)
    assert caught.value.code == "ENDPOINT_INVALID_URI"
    assert caught.value.details == {"endpoint": text}
    assert repr(text) in str(caught.value)


@settings(deadline=None)
@given(st.text())
def test_any_text_is_an_address_or_an_error(text: str) -> None:
    try:
        address = parse_bind_address(text)
    except InvalidArgumentError:
        return
    assert parse_bind_address(str(address)) == address
