"""Snapshots, cached histories and kept states are shortcuts: they give the answer of the whole fold."""

import uuid
from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from angzarr.app import App
from angzarr.coordinator import CommandConfig, CoordinatorConfig, EmbeddedCoordinator
from angzarr.errors import GRPCError
from angzarr.messages import EventBook
from angzarr.router import Router, applies, command_handler, handles, rebuild
from tests.bank.messages import Account, Deposit, Deposited, Withdraw, Withdrawn

ROOTS = [uuid.UUID(int=1), uuid.UUID(int=2)]


class Base:
    @applies(Deposited)
    def deposited(self, account: Account, event: Deposited) -> None:
        account.balance += event.amount
        account.events_seen += 1

    @applies(Withdrawn)
    def withdrawn(self, account: Account, event: Withdrawn) -> None:
        account.balance -= event.amount
        account.events_seen += 1

    @handles(Deposit)
    def deposit(self, command: Deposit, account: Account) -> list[Deposited]:
        half = command.amount // 2
        return [Deposited(amount=half), Deposited(amount=command.amount - half, balance=account.balance)]

    @handles(Withdraw)
    def withdraw(self, command: Withdraw, account: Account) -> Withdrawn:
        if command.amount > account.balance:
            raise ValueError("too much")
        return Withdrawn(amount=command.amount, balance=account.balance)


@command_handler(domain="account", state=Account)
class Plain(Base):
    pass


@command_handler(domain="account", state=Account, snapshot_every=3)
class Snapshotting(Base):
    pass


@dataclass(frozen=True)
class Step:
    root: uuid.UUID
    amount: int


STEPS = st.lists(st.builds(Step, st.sampled_from(ROOTS), st.integers(-30, 40)), max_size=25)
NOTHING_KEPT = CoordinatorConfig(commands=CommandConfig(cache_bytes=0, hot_states=0))
LITTLE_KEPT = CoordinatorConfig(commands=CommandConfig(cache_bytes=1000, hot_states=1))


async def answers(handler: type, config: CoordinatorConfig, steps: list[Step]) -> list[object]:
    found: list[object] = []
    app = App("bank", routers=[Router("accounts").with_handler(handler, handler).build()])
    async with EmbeddedCoordinator(app, config=config) as running:
        account = running.client("account")
        for step in steps:
            command = Deposit(amount=step.amount) if step.amount >= 0 else Withdraw(amount=-step.amount)
            try:
                book = (await account.send(command, root=step.root)).events
                found.append([(page.header.sequence, page.event.value) for page in book.pages])
            except GRPCError as error:
                found.append(error.grpc_code)
        for root in ROOTS:
            book = await running.events("account", root)
            whole = EventBook(pages=book.pages)
            assert rebuild(handler, book) == rebuild(handler, whole)
            found.append(rebuild(handler, whole).balance)
    return found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
async def test_every_way_of_knowing_the_state_gives_the_same_answers(steps: list[Step]) -> None:
    expected = await answers(Plain, NOTHING_KEPT, steps)
    assert await answers(Plain, CoordinatorConfig(), steps) == expected
    assert await answers(Snapshotting, LITTLE_KEPT, steps) == expected
    assert await answers(Snapshotting, CoordinatorConfig(), steps) == expected
