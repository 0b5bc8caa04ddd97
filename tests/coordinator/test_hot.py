"""Kept states: the same answers as the fold over all events, whatever handlers do to what they are given."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any as Anything

import pytest
from grpclib import GRPCError
from grpclib.const import Status

from angzarr.app import App
from angzarr.coordinator import CommandConfig, CoordinatorConfig, EmbeddedCoordinator
from angzarr.coordinator.hot import HotStates
from angzarr.coordinator.store.records import Key
from angzarr.errors import ClientError
from angzarr.errors import GRPCError as AngzarrGRPCError
from angzarr.messages import UpcastRequest, UpcastResponse, pack
from angzarr.router import Router, applies, command_handler, handles, upcaster, upcasts
from tests.bank.messages import Deposit, Deposited, Withdraw, Withdrawn

ROOT = uuid.UUID(int=1)


@dataclass
class Seen:
    balance: int = 0
    amounts: list[int] = field(default_factory=list)


@command_handler(domain="account", state=Seen)
class Vandal:
    """Scribbles over the state it is given."""

    @applies(Deposited)
    def deposited(self, state: Seen, event: Deposited) -> Seen:
        return Seen(state.balance + event.amount, [*state.amounts, event.amount])

    @applies(Withdrawn)
    def withdrawn(self, state: Seen, event: Withdrawn) -> None:
        state.balance -= event.amount
        state.amounts.append(-event.amount)

    @handles(Deposit)
    def deposit(self, command: Deposit, state: Seen) -> Deposited:
        seen = Deposited(amount=command.amount, balance=state.balance)
        state.balance = 10**6
        state.amounts.clear()
        return seen

    @handles(Withdraw)
    def withdraw(self, command: Withdraw, state: Seen) -> Sequence[Withdrawn]:
        return [Withdrawn(amount=command.amount, balance=len(state.amounts))] * 2


def app() -> App:
    return App("bank", routers=[Router("accounts").with_handler(Vandal, Vandal).build()])


async def answers(config: CoordinatorConfig) -> list[int]:
    found: list[int] = []
    async with EmbeddedCoordinator(app(), config=config) as running:
        account = running.client("account")
        for number in range(40):
            command = Withdraw(amount=1) if number % 3 == 2 else Deposit(amount=number)
            response = await account.send(command, root=ROOT)
            for page in response.events.pages:
                kind = Withdrawn if page.event.type_url.endswith("Withdrawn") else Deposited
                found.append(kind.FromString(page.event.value).balance)
    return found


async def test_kept_states_answer_as_the_fold_does() -> None:
    kept = await answers(CoordinatorConfig())
    folded = await answers(CoordinatorConfig(commands=CommandConfig(hot_states=0, cache_bytes=0)))
    assert kept == folded


async def test_a_full_store_of_states_lets_the_oldest_go() -> None:
    from angzarr.coordinator.hot import HotAggregate

    states = HotStates(2)
    keys = [Key("account", "", bytes([number]) * 16) for number in range(3)]
    for key in keys:
        states.put(key, HotAggregate(1, None))
    assert [states.get(key, 1) is not None for key in keys] == [False, True, True]


@pytest.mark.parametrize("sequence", [0, 2])
async def test_a_state_of_another_sequence_is_not_used(sequence: int) -> None:
    from angzarr.coordinator.hot import HotAggregate

    states = HotStates(2)
    states.put(Key("account", "", b"x" * 16), HotAggregate(1, None))
    assert states.get(Key("account", "", b"x" * 16), sequence) is None


@upcaster(name="twice", domain="account")
class Twice:
    """What is written counts half: handlers still write the old version."""

    @upcasts(Withdrawn, Deposited)
    def counted(self, old: Withdrawn) -> Deposited:
        return Deposited(amount=1000 + old.amount)


class Failing:
    """An upcaster that can do it once."""

    def __init__(self) -> None:
        self.asked = 0

    async def upcast(self, request: UpcastRequest) -> UpcastResponse:
        self.asked += 1
        if self.asked == 2:
            raise GRPCError(Status.UNAVAILABLE, "gone")
        return UpcastResponse(events=request.events)


def routers(*more: type) -> list[Anything]:
    own = [Router("accounts").with_handler(Vandal, Vandal).build()]
    return [*own, *(Router(one.__name__).with_handler(one, one).build() for one in more)]


@pytest.mark.parametrize("hot_states", [0, 10])
async def test_new_events_of_an_old_version_are_upcast_before_a_kept_state_follows_them(
    hot_states: int,
) -> None:
    config = CoordinatorConfig(commands=CommandConfig(hot_states=hot_states))
    async with EmbeddedCoordinator(App("bank", routers=routers(Twice)), config=config) as running:
        account = running.client("account")
        for command in (Deposit(amount=1), Withdraw(amount=3)):
            await account.send(command, root=ROOT)
        response = await account.send(Deposit(amount=0), root=ROOT)
        assert response.events.pages[0].event == pack(Deposited(amount=0, balance=2007))


async def test_a_kept_state_is_forgotten_when_its_new_events_cannot_be_upcast() -> None:
    upcasters = {"account": Failing()}
    async with EmbeddedCoordinator(App("bank", routers=routers()), upcasters=upcasters) as running:
        account = running.client("account")
        await account.send(Deposit(amount=1), root=ROOT)
        await account.send(Deposit(amount=2), root=ROOT)
        with pytest.raises(ClientError, match="grpc error") as failed:
            await account.send(Deposit(amount=4), root=ROOT)
        assert isinstance(failed.value, AngzarrGRPCError)
        assert failed.value.grpc_details == "Upcaster failed: gone"
        response = await account.send(Deposit(amount=4), root=ROOT)
        assert response.events.pages[0].event == pack(Deposited(amount=4, balance=3))
