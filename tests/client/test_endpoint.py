"""Endpoints: what they look like, and where a domain's coordinator is."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from angzarr.client.endpoint import Endpoint, TransportMode, parse_endpoint, resolve_ch_endpoint
from angzarr.errors import InvalidArgumentError


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANGZARR_MODE", "ANGZARR_UDS_BASE", "ANGZARR_NAMESPACE", "ANGZARR_CH_PORT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost:1310", ("localhost", 1310, "", None)),
        ("ch-player.angzarr.svc:1310", ("ch-player.angzarr.svc", 1310, "", None)),
        ("127.0.0.1:1", ("127.0.0.1", 1, "", None)),
        ("[::1]:65535", ("::1", 65535, "", None)),
        ("/tmp/angzarr/ch-player.sock", ("", 0, "/tmp/angzarr/ch-player.sock", None)),
        ("./run/ch.sock", ("", 0, "./run/ch.sock", None)),
        ("unix:run/ch.sock", ("", 0, "run/ch.sock", None)),
        ("unix:/run/ch.sock", ("", 0, "/run/ch.sock", None)),
        ("unix:./run/ch.sock", ("", 0, "./run/ch.sock", None)),
        ("unix:///run/ch.sock", ("", 0, "/run/ch.sock", None)),
        ("http://localhost:50051", ("localhost", 50051, "", False)),
        ("http://localhost", ("localhost", 80, "", False)),
        ("https://coordinator.example.com", ("coordinator.example.com", 443, "", True)),
        ("https://coordinator.example.com:8443/", ("coordinator.example.com", 8443, "", True)),
        ("https://[2001:db8::1]:8443", ("2001:db8::1", 8443, "", True)),
        ("https://[2001:db8::1]", ("2001:db8::1", 443, "", True)),
    ],
)
def test_an_endpoint_is_taken_apart(text: str, expected: tuple[str, int, str, bool | None]) -> None:
    endpoint = parse_endpoint(text)
    assert (endpoint.host, endpoint.port, endpoint.path, endpoint.tls) == expected
    assert endpoint.text == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost",
        "localhost:",
        "localhost:0",
        "localhost:65536",
        "localhost:http",
        "localhost:-1",
        "localhost:１３",
        ":1310",
        "::1:1310",
        "[::1]",
        "[::1:1310",
        "[localhost]:1310",
        "300.1.1.1:80",
        "-host:80",
        "ho st:80",
        " localhost:80",
        "localhost:80\n",
        "user@localhost:80",
        "/",
        "./",
        "/run/",
        "unix:",
        "unix://",
        "/" + "x" * 107,
        "ftp://localhost:80",
        "dns:///localhost:80",
        "grpc://localhost:80",
        "http://",
        "https://localhost:80/path",
        "https://localhost:80?x=1",
        "https://localhost:80#x",
        "https://user:secret@localhost:80",
        "https://localhost:port",
        "https://[::1",
        "rel/ch.sock",
    ],
)
def test_anything_else_is_refused_with_the_text_that_was_given(text: str) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        parse_endpoint(text)
    assert raised.value.code == "ENDPOINT_INVALID_URI"
    assert raised.value.message == "endpoint URI is invalid"
    assert raised.value.details["endpoint"] == text
    assert raised.value.details["cause"]


def test_another_scheme_is_named_as_the_cause() -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        parse_endpoint("ftp://localhost:80")
    assert raised.value.details["cause"] == "its scheme is none of http, https and unix"


@pytest.mark.parametrize("text", [None, 1310, b"localhost:1310"])
def test_what_is_no_text_is_refused_too(text: object) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        parse_endpoint(text)  # type: ignore[arg-type]
    assert raised.value.code == "ENDPOINT_INVALID_URI"


@settings(deadline=None)
@given(st.text())
def test_any_text_is_taken_apart_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidArgumentError):
        endpoint = parse_endpoint(text)
        assert endpoint.is_unix != bool(endpoint.host)


@settings(deadline=None)
@given(
    st.from_regex(
        r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?(\.[a-z][a-z0-9]{0,5}){0,3}\.[a-z]{2,5}", fullmatch=True
    )
)
def test_host_names_survive(host: str) -> None:
    assert parse_endpoint(f"{host}:1310") == Endpoint(f"{host}:1310", host=host, port=1310)


@settings(deadline=None)
@given(st.ip_addresses(v=6), st.integers(min_value=1, max_value=65535))
def test_an_authority_is_an_endpoint_again(address: object, port: int) -> None:
    endpoint = parse_endpoint(f"[{address}]:{port}")
    assert parse_endpoint(endpoint.authority).host == endpoint.host


def test_a_unix_sockets_authority_is_localhost() -> None:
    assert parse_endpoint("/run/ch.sock").authority == "localhost"


def test_a_domain_is_a_kubernetes_service_by_default() -> None:
    assert resolve_ch_endpoint("player") == "ch-player.angzarr.svc:1310"


def test_a_standalone_domain_is_a_unix_socket() -> None:
    assert resolve_ch_endpoint("player", TransportMode.STANDALONE) == "/tmp/angzarr/ch-player.sock"


def test_keyword_arguments_say_where() -> None:
    assert (
        resolve_ch_endpoint("player", TransportMode.STANDALONE, uds_base="/run/a") == "/run/a/ch-player.sock"
    )
    assert (
        resolve_ch_endpoint("player", TransportMode.DISTRIBUTED, namespace="prod", port=9)
        == "ch-player.prod.svc:9"
    )


def test_the_environment_wins_over_keyword_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANGZARR_UDS_BASE", "/run/env")
    monkeypatch.setenv("ANGZARR_NAMESPACE", "staging")
    monkeypatch.setenv("ANGZARR_CH_PORT", "1400")
    assert resolve_ch_endpoint("p", TransportMode.STANDALONE, uds_base="/run/a") == "/run/env/ch-p.sock"
    assert resolve_ch_endpoint("p", namespace="prod", port=9) == "ch-p.staging.svc:1400"


def test_the_mode_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANGZARR_MODE", "standalone")
    assert resolve_ch_endpoint("player") == "/tmp/angzarr/ch-player.sock"


def test_an_explicit_mode_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANGZARR_MODE", "standalone")
    assert resolve_ch_endpoint("player", TransportMode.DISTRIBUTED) == "ch-player.angzarr.svc:1310"


def test_empty_variables_count_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANGZARR_MODE", "ANGZARR_UDS_BASE", "ANGZARR_NAMESPACE", "ANGZARR_CH_PORT"):
        monkeypatch.setenv(name, "")
    assert resolve_ch_endpoint("player") == "ch-player.angzarr.svc:1310"


@pytest.mark.parametrize("value", ["Standalone", "k8s", " standalone"])
def test_an_unknown_mode_names_variable_and_value(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ANGZARR_MODE", value)
    with pytest.raises(InvalidArgumentError) as raised:
        resolve_ch_endpoint("player")
    assert raised.value.code == "INVALID_TRANSPORT_MODE"
    assert raised.value.details["env_var"] == "ANGZARR_MODE"
    assert raised.value.details["input"] == value


@pytest.mark.parametrize("value", ["http", "0", "65536", "-1", "1310.0", "1_3"])
def test_a_bad_port_names_variable_and_value(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ANGZARR_CH_PORT", value)
    with pytest.raises(InvalidArgumentError) as raised:
        resolve_ch_endpoint("player")
    assert raised.value.code == "INVALID_PORT"
    assert raised.value.details["env_var"] == "ANGZARR_CH_PORT"
    assert raised.value.details["input"] == value


def test_no_domain_is_refused() -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        resolve_ch_endpoint("")
    assert raised.value.details["field"] == "domain"


def test_a_domain_cannot_leave_the_directory() -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        resolve_ch_endpoint("../../etc/x", TransportMode.STANDALONE)
    assert raised.value.code == "ENDPOINT_INVALID_URI"
