"""`angzarr serve` as a production coordinator finds it: a process, called by grpcio over plain HTTP/2."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.client.servers import free_port
from tests.interop.protos import PACKAGE, google

PROJECT = Path(__file__).parents[2]
APPLICATION = """\
from angzarr import App
from tests.bank.domain import bank

accounts, transfers, onboarding, statements, upcasters = bank()
app = App("bank", routers=[accounts, transfers, onboarding, statements, upcasters])
"""
ROOT, OTHER = bytes(range(16)), bytes(range(16, 32))


@contextmanager
def serve(directory: Path, *arguments: str, **environment: str) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The command in a process, and what it logged when it had started; ended by SIGTERM with exit code 0."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ANGZARR_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "angzarr.cli", "serve", *arguments],
        cwd=directory,
        env={**clean, "PYTHONPATH": str(PROJECT), **environment},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        line = next(line for line in process.stderr if "server_started" in line)
        yield process, json.loads(line)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        said = process.stderr.read()
        assert process.wait(20) == 0
        assert "server_shutdown" in said
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("serve")
    (made / "bank_app.py").write_text(APPLICATION)
    return made


@pytest.fixture(scope="module", params=["tcp", "uds"])
def channel(request: pytest.FixtureRequest, directory: Path) -> Iterator[grpc.Channel]:
    if request.param == "tcp":
        environment = {"ANGZARR_BIND_ADDRESS": "127.0.0.1:0"}
    else:
        environment = {
            "TRANSPORT_TYPE": "uds",
            "UDS_BASE_PATH": str(directory),
            "SERVICE_NAME": "business",
            "DOMAIN": "account",
        }
    with serve(directory, "bank_app:app", **environment) as (_, started):
        address = started["address"]
        if request.param == "uds":
            assert address == f"unix:{directory}/business-account.sock"
        with grpc.insecure_channel(address, [("grpc.enable_retries", 0)]) as made:
            yield made
    if request.param == "uds":
        assert not (directory / "business-account.sock").exists()


def call(channel: grpc.Channel, service: str, method: str, request: Any, answer: str) -> Any:
    path = f"/{PACKAGE}.{service}/{method}"
    stub = channel.unary_unary(path, type(request).SerializeToString, google(answer).FromString)
    return stub(request, timeout=10, metadata=[("x-correlation-id", "corr-1")])


def book(*events: Any) -> Any:
    made = google("EventBook")(next_sequence=len(events))
    made.cover.domain, made.cover.root.value, made.cover.correlation_id = "account", ROOT, "corr-1"
    for sequence, event in enumerate(events):
        page = made.pages.add()
        page.header.sequence = sequence
        page.event.Pack(event)
    return made


def command(message: Any, after: Any = None) -> Any:
    made = google("ContextualCommand")()
    made.command.cover.CopyFrom(book().cover)
    made.command.pages.add().command.Pack(message)
    if after is not None:
        made.events.CopyFrom(after)
    return made


def bank(name: str, /, **fields: Any) -> Any:
    return google(name, "bank")(**fields)


def unpacked(packed: Any, name: str) -> Any:
    found = bank(name)
    assert packed.Unpack(found)
    return found


def test_a_command_becomes_stamped_events(channel: grpc.Channel) -> None:
    history = book(bank("AccountOpened", owner="alice"), bank("Deposited", amount=5, balance=5))
    response = call(
        channel,
        "CommandHandlerService",
        "Handle",
        command(bank("Deposit", amount=2), history),
        "BusinessResponse",
    )
    (page,) = response.events.pages
    assert unpacked(page.event, "Deposited").balance == 7
    assert page.header.WhichOneof("sequence_type") == "sequence"
    assert (page.header.sequence, response.events.next_sequence) == (2, 3)
    assert page.created_at.seconds > 1_700_000_000
    assert response.events.cover == history.cover


def test_a_rejection_is_a_status_with_code_and_details(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        call(
            channel,
            "CommandHandlerService",
            "Handle",
            command(bank("Deposit", amount=0)),
            "BusinessResponse",
        )
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    trailing = dict(raised.value.trailing_metadata())
    info = error_details_pb2.ErrorInfo()
    assert status_pb2.Status.FromString(trailing["grpc-status-details-bin"]).details[0].Unpack(info)
    assert info.reason == "VALUE_NOT_POSITIVE"


def test_facts_and_replay_are_offered(channel: grpc.Channel) -> None:
    opened = book(bank("AccountOpened", owner="alice"))
    facts = google("FactRequest")(facts=book(bank("InterestPosted", amount=3)), prior_events=opened)
    answer = call(channel, "CommandHandlerService", "HandleFact", facts, "EventBook")
    assert unpacked(answer.pages[0].event, "Deposited").amount == 3
    assert (answer.pages[0].header.sequence, answer.next_sequence) == (1, 2)
    replayed = call(
        channel,
        "CommandHandlerService",
        "Replay",
        google("ReplayRequest")(events=opened.pages),
        "ReplayResponse",
    )
    assert unpacked(replayed.state, "Account").owner == "alice"


def test_a_saga_answers_commands_with_a_deferred_header(channel: grpc.Channel) -> None:
    source = book(bank("TransferRequested", to=OTHER, amount=4))
    request = google("SagaHandleRequest")(source=source, destination_sequences={"account": 9})
    response = call(channel, "SagaService", "Handle", request, "SagaResponse")
    (sent,) = response.commands
    assert (sent.cover.domain, sent.cover.root.value, sent.cover.correlation_id) == (
        "account",
        OTHER,
        "corr-1",
    )
    assert sent.pages[0].header.angzarr_deferred.source.root.value == ROOT
    assert unpacked(sent.pages[0].command, "ReceiveTransfer").amount == 4


def test_a_saga_is_passed_every_domains_books_and_answers_foreign_ones_with_nothing(
    channel: grpc.Channel,
) -> None:
    source = book(bank("TransferRequested", to=OTHER, amount=4))
    source.cover.domain = "warehouse"
    response = call(
        channel, "SagaService", "Handle", google("SagaHandleRequest")(source=source), "SagaResponse"
    )
    assert response == google("SagaResponse")()


def test_a_process_manager_answers_commands_and_its_own_events(channel: grpc.Channel) -> None:
    state = book(bank("OnboardingStarted", owner="alice"), bank("OnboardingDeposit", amount=1))
    request = google("ProcessManagerHandleRequest")(
        trigger=book(bank("Deposited", amount=2)), process_state=state
    )
    response = call(channel, "ProcessManagerService", "Handle", request, "ProcessManagerHandleResponse")
    assert unpacked(response.commands[0].pages[0].command, "SendWelcome").owner == "alice"
    assert [page.event.TypeName() for page in response.process_events[0].pages] == [
        "bank.OnboardingDeposit",
        "bank.OnboardingWelcomed",
    ]


@pytest.mark.parametrize("method", ["Handle", "HandleSpeculative"])
def test_a_projector_answers_its_projection(channel: grpc.Channel, method: str) -> None:
    response = call(channel, "ProjectorService", method, book(bank("Deposited", amount=2)), "Projection")
    assert (response.projector, response.sequence) == ("statements", 1)
    assert unpacked(response.projection, "Statement").lines[-1].amount == 2


def test_an_upcaster_answers_current_events(channel: grpc.Channel) -> None:
    request = google("UpcastRequest")(
        domain="account", events=book(bank("AccountOpenedV1", name="a b")).pages
    )
    response = call(channel, "UpcasterService", "Upcast", request, "UpcastResponse")
    assert unpacked(response.events[0].event, "AccountOpened").owner == "a b"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "CommandHandlerService",
        f"{PACKAGE}.SagaService",
        f"{PACKAGE}.ProcessManagerService",
        "UpcasterService",
    ],
)
def test_health_reports_the_server_and_its_services(channel: grpc.Channel, name: str) -> None:
    answer = health_pb2_grpc.HealthStub(channel).Check(
        health_pb2.HealthCheckRequest(service=name), timeout=10
    )
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_port_decides_where_one_router_of_the_file_listens(directory: Path) -> None:
    port = free_port()
    with serve(directory, "bank_app:accounts", PORT=str(port)) as (_, started):
        assert started["address"] == f"[::]:{port}"
        for host in ("127.0.0.1", "localhost"):
            with grpc.insecure_channel(f"{host}:{port}") as channel:
                response = call(
                    channel,
                    "CommandHandlerService",
                    "Handle",
                    command(bank("OpenAccount", owner="bob")),
                    "BusinessResponse",
                )
                assert unpacked(response.events.pages[0].event, "AccountOpened").owner == "bob"
