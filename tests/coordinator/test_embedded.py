"""A whole application in one process: the bank, with its saga, process manager, projector and upcasters."""

import asyncio
import sqlite3
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any as Anything

import anyio
import pytest

from angzarr.app import App
from angzarr.coordinator import (
    CoordinatorConfig,
    EmbeddedCoordinator,
    ReactionConfig,
    SettleTimeout,
    StoreError,
    StoreOpenError,
)
from angzarr.coordinator.store import SqliteStore
from angzarr.errors import ClientError, GRPCError
from angzarr.messages import (
    BusinessResponse,
    ContextualCommand,
    EventBook,
    EventPage,
    PageHeader,
    Projection,
    SyncMode,
    type_name_from_url,
    unpack,
    unpack_any,
)
from tests.bank.domain import bank
from tests.bank.messages import (
    Deposit,
    Deposited,
    OpenAccount,
    RequestTransfer,
    Statement,
    TransferReturned,
)

ALICE = uuid.UUID(int=0xA)
BOB = uuid.UUID(int=0xB)
FAST = CoordinatorConfig(reactions=ReactionConfig(min_delay=0.001, max_delay=0.002, attempts=3))


class Mail:
    """A handler of domain "mail" that only remembers what it was sent."""

    def __init__(self) -> None:
        self.commands: list[ContextualCommand] = []

    async def handle(self, request: ContextualCommand) -> BusinessResponse:
        self.commands.append(request)
        page = EventPage(
            header=PageHeader(sequence=request.events.next_sequence), event=request.command.pages[0].command
        )
        return BusinessResponse(events=EventBook(pages=[page]))

    async def handle_fact(self, request: Anything) -> Anything:
        raise NotImplementedError

    replay = handle_fact


def app() -> App:
    return App("bank", routers=bank())


def names(book: EventBook) -> list[str]:
    return [type_name_from_url(page.event.type_url).removeprefix("bank.") for page in book.pages]


@pytest.fixture
async def running() -> AsyncIterator[EmbeddedCoordinator]:
    async with EmbeddedCoordinator(app(), handlers={"mail": Mail()}, config=FAST) as coordinator:
        yield coordinator


async def opened(running: EmbeddedCoordinator, *roots: uuid.UUID, deposit: int = 0) -> None:
    account = running.client("account")
    for root in roots:
        await account.send(OpenAccount(owner=f"owner {root.int}"), root=root)
        if deposit:
            await account.send(Deposit(amount=deposit), root=root)


async def test_a_client_in_process_needs_no_sockets(running: EmbeddedCoordinator) -> None:
    account = running.client("account")
    await account.send(OpenAccount(owner="alice"), root=ALICE)
    response = await account.send(Deposit(amount=50), root=ALICE, sequence=1)
    assert unpack(response.events.pages[0].event, Deposited) == Deposited(amount=50, balance=50)
    assert names(await running.events("account", ALICE)) == ["AccountOpened", "Deposited"]


async def test_a_rejection_keeps_its_code_and_details(running: EmbeddedCoordinator) -> None:
    await opened(running, ALICE)
    with pytest.raises(GRPCError) as caught:
        await running.client("account").send(RequestTransfer(to=BOB.bytes, amount=5), root=ALICE)
    assert (caught.value.code, caught.value.details["balance"]) == ("INSUFFICIENT_FUNDS", "0")
    assert caught.value.is_precondition_failed()


async def test_a_stale_sequence_carries_the_current_events(running: EmbeddedCoordinator) -> None:
    await opened(running, ALICE)
    with pytest.raises(GRPCError) as caught:
        await running.client("account").send(Deposit(amount=5), root=ALICE, sequence=0)
    assert caught.value.current_events is not None
    assert names(caught.value.current_events) == ["AccountOpened"]


async def test_a_saga_carries_events_to_another_aggregate(running: EmbeddedCoordinator) -> None:
    await opened(running, ALICE, BOB, deposit=100)
    await running.client("account").send(RequestTransfer(to=BOB.bytes, amount=30), root=ALICE)
    await running.settle(30)
    assert names(await running.events("account", BOB))[-1] == "TransferReceived"


async def test_a_rejected_reaction_is_compensated_by_its_source(running: EmbeddedCoordinator) -> None:
    await opened(running, ALICE, deposit=100)
    await running.client("account").send(RequestTransfer(to=BOB.bytes, amount=30), root=ALICE)
    await running.settle(30)
    book = await running.events("account", ALICE)
    returned = unpack(book.pages[-1].event, TransferReturned)
    assert (returned.amount, returned.reason) == (30, "there is no such account")
    assert (await running.events("angzarr.saga-failures", ALICE)).pages == []


async def test_a_process_manager_keeps_its_own_events_and_sends_commands() -> None:
    mail = Mail()
    async with EmbeddedCoordinator(app(), handlers={"mail": mail}, config=FAST) as running:
        account = running.client("account")
        for message in (OpenAccount(owner="alice"), Deposit(amount=1), Deposit(amount=2), Deposit(amount=3)):
            await account.send(message, root=ALICE, correlation_id="flow-1")
        await running.settle(30)
        root = uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_DNS, "angzarr.dev"), "flow-1")
        process = await running.events("onboarding", root)
        assert names(process) == [
            "OnboardingStarted",
            "OnboardingDeposit",
            "OnboardingDeposit",
            "OnboardingWelcomed",
        ]
        assert [page.header.sequence for page in process.pages] == [0, 1, 2, 3]
        (sent,) = mail.commands
        assert sent.command.cover.correlation_id == "flow-1"
        assert sent.command.pages[0].header.sequence == 0


async def test_a_correlation_id_that_is_a_uuid_is_the_process_root(running: EmbeddedCoordinator) -> None:
    correlation_id = str(uuid.UUID(int=0xC))
    await running.client("account").send(OpenAccount(owner="a"), root=ALICE, correlation_id=correlation_id)
    await running.settle(30)
    assert names(await running.events("onboarding", uuid.UUID(int=0xC))) == ["OnboardingStarted"]


async def test_simple_waits_for_the_projectors(running: EmbeddedCoordinator) -> None:
    await opened(running, ALICE)
    response = await running.client("account").send(Deposit(amount=5), root=ALICE, sync_mode=SyncMode.SIMPLE)
    (projection,) = response.projections
    assert projection.projector == "statements"
    assert unpack(projection.projection, Statement).total == 5
    assert projection.sequence == 2


async def test_send_waits_for_the_projectors_it_names(running: EmbeddedCoordinator) -> None:
    from tests.bank.domain import Statements

    await opened(running, ALICE)
    account = running.client("account")
    await account.send(Deposit(amount=5), root=ALICE, wait_for=[Statements])
    await account.send(Deposit(amount=6), root=ALICE, wait_for=["statements"])
    (subscription,) = running.runtime.projections.subscriptions.values()
    assert subscription.pending() == []
    with pytest.raises(KeyError, match="known projectors: statements"):
        await account.send(Deposit(amount=7), root=ALICE, wait_for=["nobody"])
    assert (await running.events("account", ALICE)).next_sequence == 3


class Mute:
    """A projector that takes nothing in."""

    async def handle(self, book: EventBook) -> Projection:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def handle_speculative(self, book: EventBook) -> Projection:
        raise AssertionError("unreachable")


async def test_send_waits_for_projectors_no_longer_than_its_own_timeout() -> None:
    projectors = {"mute": (["mail"], Mute())}
    async with EmbeddedCoordinator(handlers={"mail": Mail()}, projectors=projectors) as running:
        mail = running.client("mail")
        with anyio.fail_after(30), pytest.raises(TimeoutError, match=r"'mute' has not .* 1 events behind"):
            await mail.send(Deposit(amount=7), root=ALICE, wait_for=["mute"], timeout=0.5)


async def test_a_coordinator_that_was_not_entered_says_so() -> None:
    with pytest.raises(ClientError, match="does not run"):
        EmbeddedCoordinator(app()).client("account")


async def test_a_coordinator_is_entered_once() -> None:
    coordinator = EmbeddedCoordinator(app())
    async with coordinator:
        pass
    with pytest.raises(ClientError, match="entered once"):
        async with coordinator:
            pass


async def test_a_full_disk_fails_the_command_and_recovers(tmp_path: Path) -> None:
    async with EmbeddedCoordinator(app(), store=tmp_path / "bank.db", config=FAST) as running:
        await opened(running, ALICE, BOB, deposit=100)
        await running.settle(30)
        store = running.runtime.engine.store
        assert isinstance(store, SqliteStore)

        def limit(pages: int) -> Callable[[sqlite3.Connection], object]:
            return lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()

        await store._opened().ask(limit(1))
        account = running.client("account")

        async def fill() -> None:
            for number in range(1000):
                await account.send(OpenAccount(owner="x" * 4000), root=uuid.UUID(int=1000 + number))

        with pytest.raises(GRPCError, match="grpc error") as caught:
            await fill()
        assert "no space left" in caught.value.grpc_details
        assert names(await running.events("account", ALICE)) == ["AccountOpened", "Deposited"]
        await store._opened().ask(limit(1_000_000))
        await account.send(RequestTransfer(to=BOB.bytes, amount=30), root=ALICE)
        await running.settle(30)
        assert names(await running.events("account", BOB))[-1] == "TransferReceived"


async def test_cascade_waits_for_the_sagas(running: EmbeddedCoordinator) -> None:
    await opened(running, ALICE, BOB, deposit=100)
    await running.client("account").send(
        RequestTransfer(to=BOB.bytes, amount=30), root=ALICE, sync_mode=SyncMode.CASCADE
    )
    assert names(await running.events("account", BOB))[-1] == "TransferReceived"
    await running.settle(30)
    assert names(await running.events("account", BOB)).count("TransferReceived") == 1


async def test_a_failing_cascade_fails_the_request_with_its_reason(running: EmbeddedCoordinator) -> None:
    await opened(running, ALICE, deposit=100)
    with pytest.raises(GRPCError) as caught:
        await running.client("account").send(
            RequestTransfer(to=BOB.bytes, amount=30), root=ALICE, sync_mode=SyncMode.CASCADE
        )
    assert caught.value.is_not_found()
    assert caught.value.grpc_details == "there is no such account"
    assert names(await running.events("account", ALICE))[-1] == "TransferReturned"


async def test_isolated_reaches_nobody(running: EmbeddedCoordinator) -> None:
    await opened(running, ALICE, BOB, deposit=100)
    await running.client("account").send(
        RequestTransfer(to=BOB.bytes, amount=30), root=ALICE, sync_mode=SyncMode.ISOLATED
    )
    await running.settle(30)
    assert names(await running.events("account", BOB)) == ["AccountOpened", "Deposited"]


async def test_reactions_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "bank.db"
    async with EmbeddedCoordinator(app(), store=path, config=FAST) as running:
        await opened(running, ALICE, BOB, deposit=100)
        running.runtime.reactions.stop()
        await running.client("account").send(RequestTransfer(to=BOB.bytes, amount=30), root=ALICE)
    async with EmbeddedCoordinator(app(), store=path, config=FAST) as running:
        await running.settle(30)
        assert names(await running.events("account", BOB))[-1] == "TransferReceived"


async def test_settle_names_what_is_not_done(running: EmbeddedCoordinator) -> None:
    await opened(running, ALICE, BOB, deposit=100)
    await running.settle(30)
    running.runtime.reactions.stop()
    await running.client("account").send(RequestTransfer(to=BOB.bytes, amount=30), root=ALICE)
    with pytest.raises(SettleTimeout, match="transfers") as caught:
        await running.settle(0.05)
    assert isinstance(caught.value, TimeoutError)
    (row, *_) = [row for row in caught.value.pending if row.component == "transfers"]
    assert (row.domain, row.root, row.sequence) == ("account", ALICE.bytes, 2)


async def test_settle_is_scoped_to_a_correlation_id(running: EmbeddedCoordinator) -> None:
    await opened(running, ALICE, BOB, deposit=100)
    await running.settle(30)
    running.runtime.reactions.stop()
    transfer = RequestTransfer(to=BOB.bytes, amount=30)
    await running.client("account").send(transfer, root=ALICE, correlation_id="stuck")
    await running.settle(30, correlation_id="other")
    with pytest.raises(SettleTimeout):
        await running.settle(0.05, correlation_id="stuck")


async def test_an_error_in_the_block_comes_out_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with EmbeddedCoordinator(app()):
            raise ZeroDivisionError


async def test_a_stopped_coordinator_says_so() -> None:
    async with EmbeddedCoordinator(app()) as running:
        account = running.client("account")
    with pytest.raises((GRPCError, StoreError)):
        await account.send(OpenAccount(owner="a"), root=ALICE)


async def test_a_second_coordinator_on_one_file_is_refused(tmp_path: Path) -> None:
    async with EmbeddedCoordinator(app(), store=tmp_path / "bank.db"):
        with pytest.raises(StoreError, match="in use by another coordinator"):
            async with EmbeddedCoordinator(app(), store=tmp_path / "bank.db"):
                pass


async def test_many_transfers_conserve_the_money(running: EmbeddedCoordinator) -> None:
    roots = [uuid.UUID(int=number) for number in range(1, 21)]
    await opened(running, *roots, deposit=1000)
    account = running.client("account")

    async def spend(root: uuid.UUID, others: Sequence[uuid.UUID]) -> None:
        for other in others:
            await account.send(RequestTransfer(to=other.bytes, amount=7), root=root)

    await asyncio.gather(*(spend(root, roots[:10]) for root in roots))
    await running.settle(20)
    total = 0
    for root in roots:
        for page in (await running.events("account", root)).pages:
            event = unpack_any(page.event)
            kind = type(event).__name__
            amount = getattr(event, "amount", 0)
            total += {"Deposited": amount, "TransferRequested": -amount, "TransferReceived": amount}.get(
                kind, 0
            )
    assert total == 20_000


@pytest.mark.parametrize("store", ["", "  ", Path()])
async def test_a_store_without_a_name_is_refused(store: str | Path) -> None:
    with pytest.raises(StoreOpenError) as caught:
        EmbeddedCoordinator(store=store)
    assert caught.value.code == "STORE_UNWRITABLE"
    assert ":memory:" in str(caught.value)


async def test_a_directory_is_no_store(tmp_path: Path) -> None:
    await anyio.Path(tmp_path / "data").mkdir()
    with pytest.raises(StoreOpenError, match="is a directory"):
        async with EmbeddedCoordinator(store=tmp_path / "data"):
            pass
    assert [path.name async for path in anyio.Path(tmp_path).iterdir()] == ["data"]
