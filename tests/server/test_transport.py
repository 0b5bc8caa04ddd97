import logging
import os
import socket
from pathlib import Path

import pytest

from angzarr.errors import ClientError, InvalidArgumentError
from angzarr.server import environment
from angzarr.server.transport import (
    DEFAULT_BIND_HOST,
    ENV_BIND_ADDRESS,
    ServerConfig,
    cleanup_socket,
    get_transport_config,
    resolve_bind_address,
)

VARIABLES = """
    ANGZARR_BIND_ADDRESS ANGZARR_GRPC_MESSAGE_SIZE_KB DOMAIN GRPC_PORT PORT PROJECTOR_NAME SAGA_NAME SERVICE_NAME
    TRANSPORT_TYPE UDS_BASE_PATH
"""


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES.split():
        monkeypatch.delenv(name, raising=False)


def test_the_constants_are_the_reference_clients() -> None:
    assert (DEFAULT_BIND_HOST, ENV_BIND_ADDRESS) == ("[::]", "ANGZARR_BIND_ADDRESS")


def test_without_environment_every_interface_is_bound_at_the_default_port() -> None:
    assert get_transport_config() == ("tcp", "[::]:50052")


def test_the_default_port_may_be_another() -> None:
    assert resolve_bind_address(50301) == "[::]:50301"


def test_port_decides_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "6000")
    assert resolve_bind_address(50301) == "[::]:6000"


def test_the_bind_address_is_taken_verbatim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "6000")
    monkeypatch.setenv("ANGZARR_BIND_ADDRESS", "127.0.0.1:7000")
    assert get_transport_config() == ("tcp", "127.0.0.1:7000")


@pytest.mark.parametrize("name", ["PORT", "ANGZARR_BIND_ADDRESS", "TRANSPORT_TYPE"])
def test_an_empty_variable_is_no_variable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "")
    assert get_transport_config() == ("tcp", "[::]:50052")


@pytest.mark.parametrize("value", ["http", "-1", "65536", "80.0", "８０"])
def test_a_wrong_port_is_an_error_that_names_variable_and_value(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", value)
    with pytest.raises(ClientError) as caught:
        get_transport_config()
    assert caught.value.code == "INVALID_PORT"
    assert caught.value.details == {"env_var": "PORT", "input": value}
    assert str(caught.value) == f"invalid port env value: PORT={value!r}; give a number from 0 to 65535"


def test_port_is_not_written_to_the_environment() -> None:
    get_transport_config(50301)
    assert "PORT" not in os.environ


def test_an_unknown_transport_is_tcp_and_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TRANSPORT_TYPE", "pigeon")
    with caplog.at_level(logging.WARNING):
        assert get_transport_config() == ("tcp", "[::]:50052")
    assert "pigeon" in caplog.text


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, "business.sock"),
        ({"DOMAIN": "orders"}, "business-orders.sock"),
        ({"SERVICE_NAME": "saga", "SAGA_NAME": "ship"}, "saga-ship.sock"),
        ({"PROJECTOR_NAME": "standings"}, "business-standings.sock"),
        ({"DOMAIN": "", "SAGA_NAME": "ship", "PROJECTOR_NAME": "standings"}, "business-ship.sock"),
        ({"DOMAIN": "orders", "SAGA_NAME": "ship", "ANGZARR_BIND_ADDRESS": "x:1"}, "business-orders.sock"),
    ],
)
def test_a_socket_is_named_after_service_and_component(
    variables: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRANSPORT_TYPE", "UDS")
    monkeypatch.setenv("UDS_BASE_PATH", str(tmp_path))
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    assert get_transport_config() == ("uds", f"unix:{tmp_path}/{name}")


def test_the_sockets_directory_is_made_and_a_file_in_the_way_removed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRANSPORT_TYPE", "uds")
    monkeypatch.setenv("UDS_BASE_PATH", f"{tmp_path}/deep/er")
    get_transport_config()
    left = tmp_path / "deep" / "er" / "business.sock"
    left.touch()
    get_transport_config()
    assert left.parent.is_dir()
    assert not left.exists()


def test_the_socket_of_a_server_that_runs_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRANSPORT_TYPE", "uds")
    monkeypatch.setenv("UDS_BASE_PATH", str(tmp_path))
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(f"{tmp_path}/business.sock")
        other.listen()
        get_transport_config()
        assert (tmp_path / "business.sock").exists()


def test_cleaning_up_removes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    path.touch()
    cleanup_socket(str(path))
    assert not path.exists()


def test_cleaning_up_what_is_not_there_or_cannot_go_is_no_error(tmp_path: Path) -> None:
    cleanup_socket("")
    cleanup_socket(f"{tmp_path}/missing.sock")
    cleanup_socket(str(tmp_path))
    assert tmp_path.is_dir()


def test_a_server_config_has_the_reference_clients_defaults() -> None:
    assert ServerConfig() == ServerConfig(port=50052, uds_path=None)
    assert ServerConfig.from_env(50301) == ServerConfig(50301, None)


def test_a_server_config_uses_a_socket_when_all_three_variables_say_which(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UDS_BASE_PATH", "/run/a")
    monkeypatch.setenv("SERVICE_NAME", "business")
    monkeypatch.setenv("PORT", "6000")
    assert ServerConfig.from_env() == ServerConfig(6000, None)
    monkeypatch.setenv("DOMAIN", "orders")
    assert ServerConfig.from_env() == ServerConfig(50052, "/run/a/business-orders.sock")


def test_a_server_config_falls_back_to_grpc_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPC_PORT", "6001")
    assert ServerConfig.from_env().port == 6001
    monkeypatch.setenv("PORT", "6000")
    assert ServerConfig.from_env().port == 6000


def test_a_server_config_names_the_wrong_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPC_PORT", "six")
    with pytest.raises(InvalidArgumentError) as caught:
        ServerConfig.from_env()
    assert caught.value.details == {"env_var": "GRPC_PORT", "input": "six"}


def test_the_message_limit_is_ten_mebibytes_or_what_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert environment.message_limit() == 10_485_760
    monkeypatch.setenv("ANGZARR_GRPC_MESSAGE_SIZE_KB", "64")
    assert environment.message_limit() == 65_536


@pytest.mark.parametrize("value", ["much", "0", "-1", "1.5", "99999999"])
def test_a_wrong_message_limit_is_an_error(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANGZARR_GRPC_MESSAGE_SIZE_KB", value)
    with pytest.raises(InvalidArgumentError) as caught:
        environment.message_limit()
    assert caught.value.code == "INVALID_ENVIRONMENT"
    assert caught.value.details == {"env_var": "ANGZARR_GRPC_MESSAGE_SIZE_KB", "input": value}
