"""Plays recorded hands through a coordinator, and holds the stored result against the recorded one."""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import anyio.to_thread
from grpclib.const import Status

from angzarr import (
    DomainClient,
    EmbeddedCoordinator,
    EventBook,
    GRPCError,
    compute_root,
    next_sequence_of,
    rebuild,
)
from examples.poker.app import app
from examples.poker.hands import Hands
from examples.poker.replay.record import HandRecord
from examples.poker.replay.report import Mismatch, Rejection, Report, in_chips
from examples.poker.replay.steps import Step, steps_of
from examples.poker.rules.cards import rank_hand
from examples.poker.rules.table import Hand

DOMAIN = "hand"
REFUSALS = frozenset({Status.FAILED_PRECONDITION, Status.INVALID_ARGUMENT, Status.NOT_FOUND})
RECORDED_TO = Fraction(1, 200)
"""Chips by which a recorded stack may be off: thirds of a chip are recorded as decimals."""

Progress = Callable[[int], object]
Acknowledged = Callable[[EventBook], object]


@dataclass(frozen=True)
class Options:
    """How to replay.

    Attributes:
        store: the database file.
        in_process: call the coordinator directly instead of over a Unix socket.
        concurrency: hands in flight.
    """

    store: str
    in_process: bool = False
    concurrency: int = 16


async def replay(
    records: Sequence[HandRecord],
    options: Options,
    progress: Progress = lambda steps: None,
    acknowledged: Acknowledged = lambda events: None,
) -> Report:
    """Play what the store does not have yet of some hands, then compare every one of them with the record.

    Args:
        progress: told how many more steps of the hands are done, found done or given up.
        acknowledged: given the events of each command as soon as it is answered.

    Raises:
        ClientError: the store cannot be opened (StoreOpenError), or a command could not be executed for reasons that
            are not the rules'; inside an ExceptionGroup when it happens while hands are in flight.
    """
    report = Report(_shown(options.store))
    await anyio.to_thread.run_sync(_load_hand_ranking)
    async with _client(options) as client:
        started = time.perf_counter()
        hands = iter(records)
        async with anyio.create_task_group() as tasks:
            for _ in range(min(options.concurrency, len(records))):
                tasks.start_soon(_play_hands, client, hands, report, progress, acknowledged)
        report.seconds = time.perf_counter() - started
    order = {(record.session, record.hand): place for place, record in enumerate(records)}
    report.rejections.sort(key=lambda found: order[found.session, found.hand])
    report.mismatches.sort(key=lambda found: order[found.session, found.hand])
    return report


@asynccontextmanager
async def _client(options: Options) -> AsyncIterator[DomainClient]:
    """A client of the hands' coordinator, which runs as long as the client is used."""
    if options.in_process:
        async with EmbeddedCoordinator(app, store=options.store) as coordinator:
            yield coordinator.client(DOMAIN)
        return
    with TemporaryDirectory(prefix="angzarr-") as sockets:
        async with (
            EmbeddedCoordinator(app, store=options.store, uds_base=sockets),
            DomainClient.connect(f"unix:{sockets}/ch-{DOMAIN}.sock") as client,
        ):
            yield client


async def _play_hands(
    client: DomainClient,
    hands: Iterator[HandRecord],
    report: Report,
    progress: Progress,
    acknowledged: Acknowledged,
) -> None:
    for record in hands:
        await HandReplay(client, record, report, progress, acknowledged).run()


class HandReplay:
    """One hand on its way: what is stored of it, and what is still to be sent."""

    def __init__(
        self,
        client: DomainClient,
        record: HandRecord,
        report: Report,
        progress: Progress,
        acknowledged: Acknowledged,
    ) -> None:
        self.client = client
        self.record = record
        self.report = report
        self.progress = progress
        self.acknowledged = acknowledged
        self.root = compute_root(DOMAIN, record.key)
        self.steps = steps_of(record)

    async def run(self) -> None:
        """Play the rest of the hand and compare it."""
        book = await self._stored()
        hand: Hand = rebuild(Hands, book)
        done = len(hand.history)
        self.report.hands += 1
        self.progress(min(done, len(self.steps)))
        if self._differs(hand):
            return
        if done == len(self.steps):
            self.report.present += 1
        elif await self._play(self.steps[done:], next_sequence_of(book)):
            self.report.resumed += bool(done)
            hand = rebuild(Hands, await self._stored())
        else:
            return
        self._compare(hand)

    async def _stored(self) -> EventBook:
        query = self.client.query.query(DOMAIN, self.root).range(0).build()
        return await self.client.get_event_book(query)

    async def _play(self, steps: Sequence[Step], sequence: int) -> bool:
        """Send the steps in order, each at the sequence the one before it led to; False when one is refused."""
        for at, step in enumerate(steps):
            if step.command is None:
                self._reject(step, "ACTION_UNKNOWN", "no action of hold'em in PHH notation", {})
                self.progress(len(steps) - at)
                return False
            try:
                response = await self.client.send(step.command, root=self.root, sequence=sequence)
            except GRPCError as error:
                if error.grpc_code not in REFUSALS:
                    raise
                self._reject(step, error.code, error.grpc_details, error.details)
                self.progress(len(steps) - at)
                return False
            finally:
                self.report.commands += 1
            self.acknowledged(response.events)
            sequence = next_sequence_of(response.events)
            self.progress(1)
        return True

    def _reject(self, step: Step, code: str, message: str, details: dict[str, str]) -> None:
        session, hand = self.record.session, self.record.hand
        self.report.rejections.append(
            Rejection(session, hand, step.action, step.text, code, message, details)
        )

    def _differs(self, hand: Hand) -> bool:
        """Whether the store has another course of this hand than the file."""
        for at, done in enumerate(hand.history):
            if at < len(self.steps) and self.steps[at].was(done):
                continue
            expected = self.steps[at].text if at < len(self.steps) else "nothing more"
            self._mismatch(
                f"the store has {done!r} as its step {at + 1} where the file has {expected!r}; "
                "replay this file into a store of its own (--store)"
            )
            return True
        return False

    def _compare(self, hand: Hand) -> None:
        self.report.compared += 1
        unit = self.record.unit
        found = tuple(Fraction(seat.stack) for seat in hand.seats)
        recorded = self.record.finishing_stacks
        if any(abs(one - other) >= RECORDED_TO * unit for one, other in zip(found, recorded, strict=True)):
            self._mismatch(
                f"stacks are {in_chips(found, unit)} and were recorded as {in_chips(recorded, unit)}"
            )

    def _mismatch(self, reason: str) -> None:
        self.report.mismatches.append(Mismatch(self.record.session, self.record.hand, reason))


def _load_hand_ranking() -> None:
    """Import pokerkit and build its tables, which takes most of a second, outside the event loop."""
    rank_hand(("As", "Ks"), ("Qs", "Js", "Ts", "2c", "3c"))


def _shown(store: str) -> str:
    return store if store == ":memory:" else str(Path(store).absolute())
