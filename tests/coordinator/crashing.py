"""The process that the crash matrix kills: accounts, transfers between them by a saga, some of them rejected and given
back, welcomes by a process manager, and a projector.

``python -m tests.coordinator.crashing DATABASE VIEW MODE``: ``work`` opens accounts and transfers, ``rebuild`` rebuilds
the projector, ``soak:ACCOUNTS:FROM:TO`` sends the transfers of those numbers, ``check`` only finishes what is left;
each prints what was acknowledged, then one JSON object about the whole.
"""

import asyncio
import json
import sys
import uuid
from pathlib import Path
from typing import Any

from angzarr.app import App
from angzarr.coordinator import CoordinatorConfig, EmbeddedCoordinator, ReactionConfig
from angzarr.coordinator.store.records import Key
from angzarr.messages import (
    CommandBook,
    CommandPage,
    EventBook,
    Projection,
    new_cover,
    pack,
    type_name_from_url,
)
from angzarr.router import AnyRouter, Router, command_handler, handles
from tests.bank.domain import Accounts, Onboardings, Transfers
from tests.bank.messages import (
    Account,
    Deposit,
    Deposited,
    OnboardingWelcomed,
    OpenAccount,
    RequestTransfer,
    SendWelcome,
    TransferReceived,
    TransferRequested,
    TransferReturned,
)

ROOTS = [uuid.UUID(int=number) for number in range(1, 7)]
NOBODY = uuid.UUID(int=999)
START = 1000
CONFIG = CoordinatorConfig(reactions=ReactionConfig(min_delay=0.001, max_delay=0.01))


class View:
    """Writes a line per event; a line twice says the same, so twice is once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def handle(self, book: EventBook) -> Projection:
        with self.path.open("a") as file:
            for page in book.pages:
                name = type_name_from_url(page.event.type_url)
                file.write(f"{book.cover.root.value.hex()} {page.header.sequence} {name}\n")
        return Projection(cover=book.cover, projector="view")

    handle_speculative = handle


@command_handler(domain="mail", state=Account)
class Mail:
    @handles(SendWelcome)
    def send(self, command: SendWelcome, state: Account) -> OnboardingWelcomed:
        return OnboardingWelcomed(gift="letter")


def coordinator(database: str, view: Path, *, welcoming: bool = True) -> EmbeddedCoordinator:
    routers: list[AnyRouter] = [
        Router("accounts").with_handler(Accounts, Accounts).build(),
        Router("transfers").with_handler(Transfers, Transfers).build(),
    ]
    if welcoming:
        routers.append(Router("mail").with_handler(Mail, Mail).build())
        routers.append(Router("onboarding").with_handler(Onboardings, Onboardings).build())
    return EmbeddedCoordinator(
        App("bank", routers=routers),
        store=database,
        projectors={"view": (["account"], View(view))},
        config=CONFIG,
    )


def acknowledged(root: uuid.UUID, book: EventBook) -> None:
    for page in book.pages:
        sys.stdout.write(f"ack {root.hex} {page.header.sequence}\n")
    sys.stdout.flush()


async def work(running: EmbeddedCoordinator) -> None:
    account = running.client("account")
    for root in ROOTS:
        for message in (OpenAccount(owner="somebody"), Deposit(amount=START), Deposit(amount=START)):
            # One exchange, so one process: the second deposit is welcomed.
            answer = await account.send(message, root=root, correlation_id=f"owner-{root.int}")
            acknowledged(root, answer.events)
    for number in range(10):
        for root in ROOTS:
            to = ROOTS[(root.int + number) % len(ROOTS)]
            transfer = RequestTransfer(to=to.bytes, amount=number + 1)
            acknowledged(root, (await account.send(transfer, root=root)).events)
        lost = RequestTransfer(to=NOBODY.bytes, amount=7)
        acknowledged(ROOTS[number % 6], (await account.send(lost, root=ROOTS[number % 6])).events)


async def soak(running: EmbeddedCoordinator, accounts: int, first: int, end: int, callers: int = 32) -> None:
    """Many callers at once. A transfer that is sent twice moves money twice, which changes nothing that is checked."""
    account = running.client("account")
    roots = [uuid.UUID(int=number) for number in range(1, accounts + 1)]
    numbers = iter(range(first, end))

    async def caller() -> None:
        for number in numbers:
            root = roots[number * 7919 % accounts]
            to = roots[(number * 104729 + 1) % accounts]
            transfer = RequestTransfer(to=to.bytes, amount=1)
            acknowledged(root, (await account.send(transfer, root=root)).events)

    for root in roots:
        if not (await running.events("account", root)).pages:
            # Both or neither: a command book is one unit.
            await account.execute(opening(root))
    await asyncio.gather(*(caller() for _ in range(callers)))


def opening(root: uuid.UUID) -> CommandBook:
    pages = [
        CommandPage(command=pack(message)) for message in (OpenAccount(owner="x"), Deposit(amount=START))
    ]
    return CommandBook(cover=new_cover("account", root), pages=pages)


async def names(running: EmbeddedCoordinator, domain: str) -> list[list[str]]:
    """The names of the events of each aggregate of a domain."""
    found = []
    for _, root in await running.runtime.engine.store.roots(limit=100_000, domain=domain):
        pages = (await running.events(domain, root)).pages
        found.append([type_name_from_url(page.event.type_url).rpartition(".")[2] for page in pages])
    return found


async def report(running: EmbeddedCoordinator) -> dict[str, Any]:
    events: set[str] = set()
    total, doubled, missing = 0, 0, 0
    store = running.runtime.engine.store
    for root in [uuid.UUID(bytes=root) for _, root in await store.roots(limit=100_000, domain="account")]:
        for page in (await running.events("account", root)).pages:
            name = type_name_from_url(page.event.type_url)
            events.add(f"{root.hex} {page.header.sequence} {name}")
            if name == "bank.Deposited":
                total += Deposited.FromString(page.event.value).amount
            if name == "bank.TransferReceived":
                total += TransferReceived.FromString(page.event.value).amount
            if name == "bank.TransferReturned":
                total += TransferReturned.FromString(page.event.value).amount
            if name == "bank.TransferRequested":
                total -= TransferRequested.FromString(page.event.value).amount
                caused = await store.caused_by(Key("account", "", root.bytes), page.header.sequence)
                doubled += len(caused) > 1
                missing += len(caused) == 0
    return {
        "events": sorted(events),
        "total": total,
        "doubled": doubled,
        "missing": missing,
        "processes": sorted(await names(running, "onboarding")),
        "mail": await names(running, "mail"),
        "letters": len(await running.dead_letters()),
    }


async def main(database: str, view: Path, mode: str) -> None:
    async with coordinator(database, view, welcoming=not mode.startswith("soak:")) as running:
        if mode == "work":
            await work(running)
        if mode.startswith("soak:"):
            await soak(running, *map(int, mode.split(":")[1:]))
        await running.settle(300)
        if mode == "rebuild":
            await asyncio.to_thread(view.write_text, "")
            async for _ in running.rebuild("view"):
                pass
        await running.settle(30)
        sys.stdout.write(json.dumps(await report(running)) + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
