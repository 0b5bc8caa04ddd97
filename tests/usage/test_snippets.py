"""What usage promises, as written there; the module of section 1 is the README's own code block."""

import asyncio
import uuid
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import grpclib.client
import grpclib.server
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import angzarr
from angzarr import (
    DomainClient,
    EmbeddedCoordinator,
    GRPCError,
    MergeStrategy,
    SyncMode,
    TransportMode,
    events_of,
    rebuild,
    serve,
)
from angzarr.codec import GrpcCodec
from angzarr.messages import pack
from angzarr.messages.services import COMMAND_HANDLER
from angzarr.testing import messages, scenario


async def test_an_application_runs_in_process_without_sockets(players: ModuleType) -> None:
    # --8<-- [start:embedded]
    alice = uuid.uuid4()
    async with EmbeddedCoordinator(players.app) as coordinator:
        player = coordinator.client("player")
        await player.send(players.RegisterPlayer(name="alice"), root=alice)
        await coordinator.settle(timeout=5)
        book = await coordinator.events("player", alice)
    # --8<-- [end:embedded]
    assert [page.header.sequence for page in book.pages] == [0]
    assert rebuild(players.Players, book) == players.Player(name="alice", balance=0)


async def test_a_client_sends_with_and_without_an_expected_sequence(
    players: ModuleType, tmp_path: Path
) -> None:
    alice = uuid.uuid4()
    async with (
        EmbeddedCoordinator(players.app, store=tmp_path / "poker.db", uds_base=tmp_path, tcp="127.0.0.1:0"),
        DomainClient.connect(str(tmp_path / "ch-player.sock")) as player,
    ):
        response = await player.send(players.RegisterPlayer(name="alice"), root=alice)
        assert len(events_of(response)) == 1
        await player.send(players.DepositFunds(amount=50), root=alice, sequence=1)
        book = await player.get_event_book(player.query.query("player", alice).range(0).build())
        assert rebuild(players.Players, book).balance == 50


async def test_a_domain_is_found_by_its_name(
    players: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANGZARR_UDS_BASE", str(tmp_path))
    monkeypatch.setenv("ANGZARR_MODE", "standalone")
    alice = uuid.uuid4()
    async with EmbeddedCoordinator(players.app, uds_base=tmp_path):
        # --8<-- [start:client]
        async with DomainClient.for_domain("player") as player:
            await player.send(players.RegisterPlayer(name="alice"), root=alice)
        # --8<-- [end:client]
        player = await DomainClient.for_domain("player", TransportMode.STANDALONE)
        # --8<-- [start:builder]
        response = await (
            player.command_handler.command("player", alice)
            .with_command(players.DepositFunds(amount=50))
            .with_sequence(1)
            .with_merge_strategy(MergeStrategy.MERGE_STRICT)
            .execute(sync_mode=SyncMode.SIMPLE, timeout=2.0)
        )
        # --8<-- [end:builder]
        await player.close()
    assert response.events.next_sequence == 2


async def test_a_stale_sequence_brings_the_current_events(players: ModuleType) -> None:
    alice = uuid.uuid4()
    async with EmbeddedCoordinator(players.app) as coordinator:
        player = coordinator.client("player")
        await player.send(players.RegisterPlayer(name="alice"), root=alice)
        with pytest.raises(GRPCError) as caught:
            await player.send(players.DepositFunds(amount=50), root=alice, sequence=0)
    assert caught.value.is_precondition_failed()
    assert caught.value.current_events is not None
    assert len(caught.value.current_events.pages) == 1


async def test_a_rejection_carries_its_code_to_the_caller(players: ModuleType) -> None:
    alice = uuid.uuid4()
    async with EmbeddedCoordinator(players.app) as coordinator:
        player = coordinator.client("player")
        with pytest.raises(GRPCError) as caught:
            await player.send(players.DepositFunds(amount=0), root=alice)
        assert (await coordinator.events("player", alice)).pages == []
    assert (caught.value.code, caught.value.details) == ("VALUE_NOT_POSITIVE", {"field": "amount"})
    assert caught.value.is_invalid_argument()


async def test_a_deposit_adds_to_the_balance(players: ModuleType) -> None:
    await (
        scenario(players.Players)
        .given(players.PlayerRegistered(name="alice"), players.FundsDeposited(amount=10, new_balance=10))
        .when(players.DepositFunds(amount=50))
        .then(players.FundsDeposited(amount=50, new_balance=60))
    )


async def test_nothing_is_deposited(players: ModuleType) -> None:
    await (
        scenario(players.Players)
        .given(players.PlayerRegistered(name="alice"))
        .when(players.DepositFunds(amount=0))
        .then_rejected("VALUE_NOT_POSITIVE")
    )


async def test_the_clock_of_a_scenario_stands_still(players: ModuleType) -> None:
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    await (
        scenario(players.Players, at=moment)
        .when(players.RegisterPlayer(name="alice"))
        .then(players.PlayerRegistered(name="alice", registered_at=moment))
    )


@given(data=st.data())
@settings(max_examples=25, deadline=None)
async def test_deposits_never_crash(players: ModuleType, data: st.DataObject) -> None:
    command: Any = data.draw(messages(players.DepositFunds))
    await (
        scenario(players.Players)
        .given(players.PlayerRegistered(name="alice"))
        .when(command)
        .then_state(lambda _: True)
        if command.amount > 0
        else scenario(players.Players)
        .given(players.PlayerRegistered(name="alice"))
        .when(command)
        .then_rejected("VALUE_NOT_POSITIVE")
    )


def register(players: ModuleType) -> angzarr.ContextualCommand:
    cover = angzarr.make_cover("player", bytes(16))
    command = angzarr.make_command_book(cover, pack(players.RegisterPlayer(name="alice")))
    return angzarr.ContextualCommand(command=command, events=angzarr.EventBook(cover=cover))


async def handle(host: str, port: int, request: angzarr.ContextualCommand) -> angzarr.BusinessResponse:
    channel = grpclib.client.Channel(host, port, codec=GrpcCodec())
    rpc = COMMAND_HANDLER.rpcs["Handle"]
    try:
        method = grpclib.client.UnaryUnaryMethod(channel, rpc.path, rpc.request, rpc.response)
        return cast("angzarr.BusinessResponse", await method(request))
    finally:
        channel.close()


async def test_a_router_is_a_grpclib_service(players: ModuleType, unused_port: int) -> None:
    server = grpclib.server.Server([players.players])
    await server.start("127.0.0.1", unused_port)
    answer = await handle("127.0.0.1", unused_port, register(players))
    server.close()
    assert answer.events.next_sequence == 1


async def test_a_router_is_served_inside_an_event_loop(players: ModuleType, unused_port: int) -> None:
    task = asyncio.ensure_future(
        serve(players.players, address=f"127.0.0.1:{unused_port}", health_service="player", grace=5.0)
    )
    async with DomainClient.connect(f"127.0.0.1:{unused_port}"):
        answer = await handle("127.0.0.1", unused_port, register(players))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert answer.events.next_sequence == 1
