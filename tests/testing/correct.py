"""Correct domains of many kinds, which no law may raise an alarm about."""

import asyncio
import contextlib
import json
import math
import random
import secrets
import sqlite3
import threading
import time
import uuid
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any as AnyValue
from typing import ClassVar, NamedTuple

import betterproto

from angzarr.compensation import CompensationContext
from angzarr.destinations import Destinations
from angzarr.errors import CommandRejectedError
from angzarr.log import get_logger
from angzarr.messages import (
    CommandBook,
    Cover,
    EventBook,
    EventPage,
    NoOp,
    Notification,
    clone,
    has_field,
    now,
    pack,
    try_unpack,
)
from angzarr.router import (
    AnyRouter,
    ProcessManagerResponse,
    Router,
    SagaHandlerResponse,
    applies,
    command_handler,
    handles,
    handles_fact,
    process_manager,
    projector,
    rejected,
    saga,
    state_factory,
    upcaster,
    upcasts,
)
from angzarr.validation import require_exists, require_not_empty, require_not_empty_str, require_positive
from tests.bank.messages import (
    AccountOpened,
    AccountOpenedV1,
    AccountOpenedV2,
    Deposited,
    InterestPosted,
    OnboardingDeposit,
    OnboardingStarted,
    ReceiveTransfer,
    SendWelcome,
    TransferRequested,
    Withdrawn,
)
from tests.testing.shop import (
    AddLine,
    Cancel,
    Cancelled,
    Colour,
    Line,
    LineAdded,
    Money,
    Order,
    OrderPlaced,
    Paid,
    Pay,
    PlaceOrder,
    Rate,
    Rated,
    Ship,
    ShippingAsked,
)

CORRECT: dict[str, Callable[[], AnyRouter]] = {}
ONCE = CommandRejectedError.precondition_failed


def chosen(command: Pay) -> tuple[str, AnyValue]:
    return betterproto.which_one_of(command, "means")


def correct(make: Callable[[], AnyRouter]) -> Callable[[], AnyRouter]:
    CORRECT[make.__name__] = make
    return make


def router(cls: type, factory: Callable[[], AnyValue] | None = None, **options: AnyValue) -> AnyRouter:
    return Router(cls.__name__, **options).with_handler(cls, factory or cls).build()


@dataclass(frozen=True)
class FrozenOrder:
    order_id: str = ""
    lines: tuple[Line, ...] = ()
    labels: MappingProxyType[str, str] = field(default_factory=lambda: MappingProxyType({}))
    paid: Decimal = Decimal(0)


@correct
def a_frozen_state_that_is_replaced() -> AnyRouter:
    @command_handler(domain="order", state=FrozenOrder)
    class Orders:
        @applies(OrderPlaced)
        def placed(self, order: FrozenOrder, event: OrderPlaced) -> FrozenOrder:
            return replace(
                order,
                order_id=event.order_id,
                lines=tuple(event.lines),
                labels=MappingProxyType(dict(event.labels)),
            )

        @applies(LineAdded)
        def added(self, order: FrozenOrder, event: LineAdded) -> FrozenOrder:
            return replace(order, lines=(*order.lines, event.line))

        @applies(Paid)
        def has_paid(self, order: FrozenOrder, event: Paid) -> FrozenOrder:
            return replace(order, paid=order.paid + Decimal(event.cents_text or "0") / 100)

        @handles(PlaceOrder)
        async def place(self, command: PlaceOrder, order: FrozenOrder, sequence: int) -> OrderPlaced:
            require_exists(not order.order_id, "no order yet")
            require_not_empty(command.lines, "lines")
            return OrderPlaced(
                order_id=f"order-{sequence}", lines=list(command.lines), labels=dict(command.labels)
            )

        @handles(AddLine)
        def add(self, command: AddLine, order: FrozenOrder) -> LineAdded:
            if not order.order_id:
                raise CommandRejectedError.not_found("NO_ORDER", "no such order")
            return LineAdded(order_id=order.order_id, line=command.line)

        @handles(Pay)
        def pay(self, command: Pay, order: FrozenOrder) -> tuple[Paid, ...]:
            if not order.order_id:
                raise CommandRejectedError.not_found("NO_ORDER", "no such order")
            means, value = chosen(command)
            if means == "cash":
                return (Paid(order_id=order.order_id, cash=value, cents_text=str(value.cents)),)
            if means == "card":
                return (Paid(order_id=order.order_id, card=value, cents_text="100"),)
            if means == "points":
                return (Paid(points=value, cents_text=str(value)),)
            raise CommandRejectedError.invalid_argument("NO_MEANS", "pay with what?")

    return router(Orders)


@dataclass
class Ratings:
    scores: list[float] = field(default_factory=list)
    best: float = -math.inf
    mean: float = math.nan
    by_score: dict[float, int] = field(default_factory=dict)
    seen: set[float] = field(default_factory=set)
    counts: Counter[int] = field(default_factory=Counter)
    nested: dict[str, dict[str, set[tuple[int, float]]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(set))
    )
    last_two: deque[float] = field(default_factory=lambda: deque(maxlen=2))
    odds: Fraction = Fraction(1)


@correct
def a_state_of_floats_and_nested_collections() -> AnyRouter:
    @command_handler(domain="rating", state=Ratings)
    class Rates:
        @applies(Rated)
        def rated(self, ratings: Ratings, event: Rated) -> None:
            ratings.scores.append(event.score)
            ratings.best = max(ratings.best, event.score)
            ratings.mean = event.mean
            ratings.by_score[event.score] = ratings.by_score.get(event.score, 0) + 1
            ratings.seen.add(event.score)
            ratings.counts[len(ratings.scores) % 2] += 1
            ratings.nested["a"]["b"].add((len(ratings.scores), event.score))
            ratings.last_two.append(event.score)
            ratings.odds /= len(ratings.scores) + 1

        @handles(Rate)
        def rate(self, command: Rate, ratings: Ratings) -> list[Rated]:
            known = ratings.nested["x"]["y"], ratings.counts[17]
            assert known == (set(), 0)
            total = sum(ratings.scores) + command.score
            rated = Rated(score=command.score, mean=total / (len(ratings.scores) + 1))
            return [rated, Rated(score=command.weight, mean=math.nan)]

    return router(Rates)


@correct
def a_message_state_with_snapshots() -> AnyRouter:
    @command_handler(domain="order", state=Order, snapshot_every=2, supports_replay=True)
    class Orders:
        @applies(OrderPlaced)
        def placed(self, order: Order, event: OrderPlaced) -> None:
            order.order_id = event.order_id
            order.customer = event.customer
            order.due = event.due
            for line in event.lines:
                order.stock[line.sku] = order.stock.get(line.sku, 0) + line.quantity

        @applies(LineAdded)
        def added(self, order: Order, event: LineAdded) -> Order:
            order.lines.append(event.line)
            return order

        @applies(Paid)
        def has_paid(self, order: Order, event: Paid) -> None:
            order.paid = True
            if betterproto.which_one_of(event, "means")[0] == "cash":
                order.last = event.cash

        @applies(Rated)
        def rated(self, order: Order, event: Rated) -> None:
            order.mean = event.mean
            order.ratings += 1

        @handles(PlaceOrder)
        def place(self, command: PlaceOrder, order: Order, sequence: int) -> EventBook | OrderPlaced:
            if order.order_id:
                raise ONCE("PLACED", "placed already")
            event = OrderPlaced(
                order_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{command.customer}/{sequence}")),
                customer=command.customer,
                lines=command.lines,
                placed_at=now(),
                due=now() + command.lasts,
                labels=command.labels,
                total=sum(line.quantity * line.price for line in command.lines),
            )
            pages = [EventPage(event=pack(event)), EventPage(event=pack(NoOp()))]
            return EventBook(pages=pages) if command.note is not None else event

        @handles(AddLine)
        def add(self, command: AddLine, order: Order) -> LineAdded | None:
            if not order.order_id:
                raise CommandRejectedError.not_found("NO_ORDER", "no such order")
            if now() > order.due:
                raise ONCE("TOO_LATE", "too late")
            if not has_field(command, "line"):
                return None
            return LineAdded(order_id=order.order_id, line=clone(command.line))

        @handles(Pay)
        async def pay(self, command: Pay, order: Order) -> list[betterproto.Message]:
            await asyncio.sleep(0)
            if order.paid:
                raise ONCE("PAID", "paid already")
            if has_field(command, "proof"):
                proof = try_unpack(command.proof, Cancel)
                if proof is not None:
                    return [Cancelled(because=proof.because)]
            means, value = chosen(command)
            if means != "cash":
                return []
            return [Paid(cash=value), Rated(mean=value.cents / 7), NoOp()]

    return router(Orders)


@dataclass
class Shelf:
    opened_by: str = ""
    steps: int = 0


@correct
def a_handler_that_rejects_nearly_everything() -> AnyRouter:
    @command_handler(domain="shelf", state=Shelf)
    class Picky:
        @applies(OrderPlaced)
        def placed(self, shelf: Shelf, event: OrderPlaced) -> None:
            shelf.opened_by = event.customer

        @applies(Cancelled)
        def cancelled(self, shelf: Shelf) -> None:
            shelf.steps += 1

        @handles(PlaceOrder)
        def place(self, command: PlaceOrder, shelf: Shelf) -> OrderPlaced:
            require_exists(not shelf.opened_by, "nobody yet")
            if command.customer != "the one and only":
                raise ONCE("WRONG_CUSTOMER", "who are you?", {"customer": command.customer})
            return OrderPlaced(customer=command.customer)

        @handles(Cancel)
        def cancel(self, command: Cancel, shelf: Shelf) -> Cancelled:
            require_not_empty_str(shelf.opened_by, "opened_by")
            if command.because != str(shelf.steps):
                raise ONCE("WRONG_STEP", "not now")
            return Cancelled(because=command.because)

    return router(Picky)


@correct
def synchronous_handlers_in_threads_and_a_cache_of_states() -> AnyRouter:
    @command_handler(domain="shelf", state=Shelf)
    class Threaded:
        @applies(Cancelled)
        def cancelled(self, shelf: Shelf) -> None:
            shelf.steps += 1

        @handles(Cancel)
        def cancel(self, command: Cancel, shelf: Shelf, sequence: int) -> list[Cancelled]:
            if shelf.steps > 3:
                raise ONCE("DONE", "that was enough")
            time.sleep(0)
            return [Cancelled(because=f"{command.because} at {now():%Y}"), Cancelled(order_id=str(sequence))]

        @handles(Ship)
        async def ship(self, command: Ship, shelf: Shelf) -> Cancelled:
            return Cancelled(because=await asyncio.to_thread(lambda: command.order_id))

    return router(Threaded, run_sync_handlers_in_thread=True, state_cache=1 << 20)


@correct
def a_handler_with_what_it_needs_given_to_it() -> AnyRouter:
    rates = {"EUR": 2, "USD": 1}

    @dataclass
    class Wallet:
        held: int
        limit: int
        opened_at: datetime | None = None

    @command_handler(domain="wallet", state=Wallet)
    class Wallets:
        def __init__(self, rates: dict[str, int], limit: int) -> None:
            self.rates = rates
            self.limit = limit
            self.started = datetime.now(UTC)
            self.instance_id = uuid.uuid4()
            self.lock = threading.Lock()
            self.log = get_logger(__name__)

        @state_factory
        def initial(self) -> Wallet:
            return Wallet(held=0, limit=self.limit)

        @applies(Paid)
        def paid(self, wallet: Wallet, event: Paid) -> None:
            wallet.held += event.cash.cents * self.rates.get(event.cash.currency, 1)
            self.log.debug("applied", took=time.perf_counter())

        @handles(Pay)
        async def pay(self, command: Pay, wallet: Wallet) -> Paid:
            if betterproto.which_one_of(command, "means")[0] != "cash":
                raise CommandRejectedError.invalid_argument("CASH_ONLY", "cash only")
            require_positive(command.cash.cents, "cents")
            with self.lock:
                worth = command.cash.cents * self.rates.get(command.cash.currency, 1)
            if wallet.held + worth > wallet.limit:
                self.log.info("refused", worth=worth)
                raise ONCE("FULL", "the wallet is full")
            return Paid(cash=command.cash)

    async def make() -> Wallets:
        await asyncio.sleep(0)
        return Wallets(rates, 10_000)

    return Router("wallets").with_handler(Wallets, make).build()


@dataclass
class Deck:
    cards: list[str] = field(default_factory=list)
    order: list[int] = field(default_factory=list)
    rolled: list[int] = field(default_factory=list)


@correct
def handlers_that_leave_it_to_chance_and_events_that_say_what_came() -> AnyRouter:
    @command_handler(domain="deck", state=Deck)
    class Decks:
        @applies(OrderPlaced)
        def dealt(self, deck: Deck, event: OrderPlaced) -> None:
            deck.cards = event.customer.split()
            deck.order = list(range(6))
            random.Random(event.seed).shuffle(deck.order)

        @applies(Rated)
        def rolled(self, deck: Deck, event: Rated) -> None:
            deck.rolled.append(int(event.score))

        @handles(PlaceOrder)
        def deal(self, command: PlaceOrder, deck: Deck) -> OrderPlaced:
            cards = ["As", "Kd", "7h", "2c"]
            secrets.SystemRandom().shuffle(cards)
            short = secrets.token_hex(2)
            return OrderPlaced(order_id=short, customer=" ".join(cards), seed=secrets.randbits(60))

        @handles(Rate)
        def roll(self, command: Rate, deck: Deck) -> list[Rated]:
            dice = [random.randint(1, 6), random.choice([1, 2]), secrets.randbelow(2)]
            return [Rated(score=roll) for roll in dice]

        @handles(Cancel)
        def toss(self, command: Cancel) -> Cancelled:
            return Cancelled(because=secrets.choice(["heads", "tails"]))

    return router(Decks)


@correct
def a_handler_that_reads_cover_and_correlation_id() -> AnyRouter:
    @command_handler(domain="order", state=FrozenOrder)
    class Related:
        @applies(OrderPlaced)
        def placed(self, order: FrozenOrder, event: OrderPlaced) -> FrozenOrder:
            return replace(order, order_id=event.order_id)

        @handles(PlaceOrder)
        def place(
            self, command: PlaceOrder, order: FrozenOrder, *, cover: Cover, correlation_id: str
        ) -> OrderPlaced:
            if order.order_id:
                raise ONCE("PLACED", "placed already")
            order_id = uuid.uuid5(uuid.NAMESPACE_URL, cover.root.value.hex())
            return OrderPlaced(order_id=str(order_id), customer=correlation_id, placed_at=datetime.now(UTC))

    return router(Related)


@correct
def several_domains_facts_and_refusals() -> AnyRouter:
    @dataclass
    class Till:
        __slots__ = ("held", "returned")

        held: int
        returned: int

        def __init__(self) -> None:
            self.held = self.returned = 0

    class Totals(NamedTuple):
        payments: int = 0
        cents: int = 0

    @command_handler(domain="till", state=Till)
    class Tills:
        @applies(Deposited)
        def deposited(self, till: Till, event: Deposited) -> None:
            till.held += event.amount

        @applies(Withdrawn)
        def withdrawn(self, till: Till, event: Withdrawn) -> None:
            till.returned += event.amount

        @handles_fact(InterestPosted)
        async def interest(self, fact: InterestPosted, till: Till) -> list[Deposited]:
            return [Deposited(amount=fact.amount)] if fact.amount > 0 else []

        @handles(ReceiveTransfer)
        def receive(self, command: ReceiveTransfer, till: Till) -> Deposited | NoOp:
            return Deposited(amount=command.amount) if command.amount else NoOp()

        @rejected("order", "Pay")
        def give_back(self, notification: Notification, till: Till) -> Withdrawn:
            context = CompensationContext.from_notification(notification)
            assert context.rejected_command is not None
            return Withdrawn(amount=len(context.rejection_reason))

    @command_handler(domain="totals", state=Totals)
    class AllTotals:
        @applies(Paid)
        def paid(self, totals: Totals, event: Paid) -> Totals:
            return Totals(totals.payments + 1, totals.cents + event.points)

        @handles(Pay)
        def pay(self, command: Pay, totals: Totals) -> Paid | None:
            if betterproto.which_one_of(command, "means")[0] == "points":
                return Paid(points=command.points)
            return None

    return Router("several").with_handler(Tills, Tills).with_handler(AllTotals, AllTotals).build()


@correct
def enums_and_validation_of_everything() -> AnyRouter:
    prices = {Colour.RED: 3, Colour.BLUE: 5}

    @dataclass
    class Stock:
        by_colour: dict[Colour, int] = field(default_factory=dict)
        waits: timedelta = timedelta()

    @command_handler(domain="stock", state=Stock)
    class Stocks:
        @applies(LineAdded)
        def added(self, stock: Stock, event: LineAdded) -> None:
            colour = event.line.colour
            stock.by_colour[colour] = stock.by_colour.get(colour, 0) + event.line.quantity

        @handles(AddLine)
        def add(self, command: AddLine, stock: Stock) -> LineAdded:
            line = command.line
            if line.colour not in prices:
                raise CommandRejectedError.invalid_argument("NO_COLOUR", "no such colour")
            require_positive(line.quantity, "quantity")
            return LineAdded(line=replace_price(line, prices[line.colour] * line.quantity))

    def replace_price(line: Line, price: int) -> Line:
        return Line(sku=line.sku, quantity=line.quantity, price=price, colour=line.colour)

    return router(Stocks)


_TABLE: list[int] = []
_KNOWN: dict[int, int] = {}


@correct
def tables_made_on_first_use() -> AnyRouter:
    @command_handler(domain="shelf", state=Shelf)
    class Lazy:
        _cache: ClassVar[dict[str, str]] = {}

        @applies(Cancelled)
        def cancelled(self, shelf: Shelf) -> None:
            shelf.steps += 1

        @handles(Cancel)
        def cancel(self, command: Cancel, shelf: Shelf) -> Cancelled:
            if not _TABLE:
                _TABLE.extend(number * number for number in range(10))
            _KNOWN.setdefault(shelf.steps, shelf.steps**2)
            title = self._cache.setdefault(command.because, command.because.title())
            if shelf.steps >= 2 or title == "A":
                raise ONCE("DONE", "done")
            return Cancelled(because=title, order_id=str(_TABLE[shelf.steps]))

    return router(Lazy)


# reactions


@correct
def a_saga_that_reads_identifiers_from_text() -> AnyRouter:
    @saga(name="shipping", source="order", target="shipping")
    class Shipping:
        @handles(OrderPlaced)
        async def placed(self, event: OrderPlaced, destinations: Destinations) -> list[CommandBook]:
            order = uuid.UUID(event.order_id)
            commands = [destinations.command_for("shipping", order, Ship(order_id=event.order_id, at=now()))]
            return commands * (2 if event.lines else 1)

        @handles(Paid)
        def paid(
            self, event: Paid, destinations: Destinations, source_cover: Cover
        ) -> SagaHandlerResponse | None:
            if not event.cents_text or int(event.cents_text) <= 0:
                return None
            root = uuid.uuid5(uuid.NAMESPACE_OID, event.order_id)
            fact = EventBook(
                cover=Cover(domain="ledger", root=source_cover.root),
                pages=[EventPage(event=pack(InterestPosted(amount=int(event.cents_text))))],
            )
            return SagaHandlerResponse(
                commands=[destinations.command_for("shipping", root, Ship(order_id=event.order_id))],
                events=[fact],
            )

        @rejected("shipping", "Ship")
        def refused(self, notification: Notification) -> None:
            return None

    return router(Shipping)


@dataclass
class Flow:
    pending: dict[str, Line] = field(default_factory=dict)
    started: bool = False


@correct
def a_process_manager_that_expects_its_past() -> AnyRouter:
    @process_manager(
        name="flow", pm_domain="flow", sources=["order", "stock"], targets=["shipping"], state=Flow
    )
    class Flows:
        @applies(ShippingAsked)
        def asked(self, flow: Flow, event: ShippingAsked) -> None:
            flow.pending.pop(event.order_id, None)

        @applies(LineAdded)
        def added(self, flow: Flow, event: LineAdded) -> None:
            flow.pending[event.order_id] = event.line

        @handles(LineAdded)
        def line(self, event: LineAdded, flow: Flow) -> ProcessManagerResponse:
            return ProcessManagerResponse(process_events=EventBook(pages=[EventPage(event=pack(event))]))

        @handles(Paid)
        async def paid(
            self, event: Paid, flow: Flow, destinations: Destinations, source_cover: Cover
        ) -> ProcessManagerResponse:
            line = flow.pending[event.order_id]
            root = uuid.uuid5(uuid.NAMESPACE_OID, line.sku).bytes
            return ProcessManagerResponse(
                commands=[destinations.command_for("shipping", root, Ship(order_id=event.order_id))],
                process_events=EventBook(
                    pages=[EventPage(event=pack(ShippingAsked(order_id=event.order_id)))]
                ),
            )

        @rejected("shipping", "Ship")
        def refused(self, notification: Notification, flow: Flow) -> ProcessManagerResponse | None:
            return None

    return router(Flows)


@correct
def a_process_manager_with_a_message_state() -> AnyRouter:
    @process_manager(name="welcome", pm_domain="welcome", sources=["account"], targets=["mail"], state=Order)
    class Welcomes:
        @applies(OnboardingStarted)
        def started(self, order: Order, event: OnboardingStarted) -> None:
            order.customer = event.owner

        @applies(OnboardingDeposit)
        def counted(self, order: Order, event: OnboardingDeposit) -> None:
            order.ratings += 1

        @handles(AccountOpened)
        def opened(self, event: AccountOpened, order: Order) -> ProcessManagerResponse:
            return ProcessManagerResponse(process_events=_own(OnboardingStarted(owner=event.owner)))

        @handles(Deposited)
        def deposited(
            self, event: Deposited, order: Order, destinations: Destinations, source_cover: Cover
        ) -> ProcessManagerResponse | None:
            if order.ratings >= 2:
                return None
            welcome = SendWelcome(owner=order.customer, deposits=order.ratings + 1)
            return ProcessManagerResponse(
                commands=[destinations.command_for("mail", source_cover.root.value, welcome)],
                process_events=_own(OnboardingDeposit(amount=event.amount)),
            )

    return router(Welcomes)


def _own(*events: betterproto.Message) -> EventBook:
    return EventBook(pages=[EventPage(event=pack(event)) for event in events])


# projections


class Dropped(sqlite3.Connection):
    """May be dropped without having been closed; Python 3.13 warns of others."""

    def __del__(self) -> None:
        self.close()


def shop_database(path: str = ":memory:") -> sqlite3.Connection:
    database = sqlite3.connect(path, check_same_thread=False, factory=Dropped)
    database.execute(
        "CREATE TABLE IF NOT EXISTS orders (root BLOB PRIMARY KEY, customer TEXT, lines INTEGER)"
    )
    database.commit()
    return database


class ShopRows:
    """Undecorated; over a database."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database

    @handles(OrderPlaced)
    def placed(self, event: OrderPlaced, cover: Cover) -> None:
        with self.database:
            self.database.execute("INSERT INTO orders VALUES (?, ?, 0)", (cover.root.value, event.customer))

    @handles(LineAdded)
    async def added(self, event: LineAdded, cover: Cover, correlation_id: str) -> Order:
        with self.database:
            self.database.execute("UPDATE orders SET lines = lines + 1 WHERE root = ?", (cover.root.value,))
        found = self.database.execute(
            "SELECT lines FROM orders WHERE root = ?", (cover.root.value,)
        ).fetchone()
        return Order(ratings=found[0])


@correct
def a_projector_over_sqlite_in_memory() -> AnyRouter:
    database = shop_database()
    cls = projector(name="rows", domains=["order"])(type("Rows", (ShopRows,), {}))
    return router(cls, lambda: cls(database))


@correct
def a_projector_over_a_sqlite_file() -> AnyRouter:
    import tempfile

    path = str(Path(tempfile.mkdtemp(prefix="angzarr-test-")) / "rows.db")
    cls = projector(name="rows", domains=["order"])(type("Rows", (ShopRows,), {}))
    return router(cls, lambda: cls(shop_database(path)))


@correct
def an_idempotent_projector_over_sqlite() -> AnyRouter:
    @projector(name="rows", domains=["*"])
    class Upserts:
        idempotent = True

        def __init__(self, database: sqlite3.Connection) -> None:
            self.database = database

        @handles(OrderPlaced)
        def placed(self, event: OrderPlaced, cover: Cover, speculative: bool) -> None:
            if not speculative:
                with self.database:
                    self.database.execute(
                        "INSERT OR REPLACE INTO orders VALUES (?, ?, 0)", (cover.root.value, event.customer)
                    )

    database = shop_database()
    return router(Upserts, lambda: Upserts(database))


@correct
def a_projector_over_a_file_of_json() -> AnyRouter:
    import tempfile

    path = Path(tempfile.mkdtemp(prefix="angzarr-test-")) / "orders.json"

    @projector(name="files", domains=["order"])
    class Files:
        @property
        def orders(self) -> dict[str, AnyValue]:
            with contextlib.suppress(FileNotFoundError):
                loaded: dict[str, AnyValue] = json.loads(path.read_text())
                return loaded
            return {}

        @handles(OrderPlaced)
        def placed(self, event: OrderPlaced, cover: Cover) -> None:
            path.write_text(json.dumps(self.orders | {cover.root.value.hex(): 0}))

        @handles(LineAdded)
        def added(self, event: LineAdded, cover: Cover) -> None:
            orders = self.orders
            orders[cover.root.value.hex()] += event.line.quantity
            path.write_text(json.dumps(orders))

    return router(Files)


@correct
def a_projector_in_memory_that_expects_its_past() -> AnyRouter:
    @dataclass
    class Row:
        customer: str
        lines: list[Line] = field(default_factory=list)

    @projector(name="memory", domains=["order"])
    class Memory:
        def __init__(self) -> None:
            self.rows: dict[str, Row] = {}
            self.shown = 0

        @handles(OrderPlaced)
        def placed(self, event: OrderPlaced) -> None:
            self.rows[event.order_id] = Row(event.customer)

        @handles(LineAdded)
        def added(self, event: LineAdded) -> None:
            row = self.rows.get(event.order_id)
            row.lines.append(event.line)  # type: ignore[union-attr]

        @handles(Cancelled)
        def cancelled(self, event: Cancelled) -> None:
            del self.rows[event.order_id]

    memory = Memory()
    return router(Memory, lambda: memory)


@correct
def a_projector_of_several_instances_over_one_dictionary() -> AnyRouter:
    rows: dict[bytes, Counter[str]] = defaultdict(Counter)

    @projector(name="shared", domains=["order"])
    class Shared:
        @handles(LineAdded)
        def added(self, event: LineAdded, cover: Cover) -> None:
            rows[cover.root.value][event.line.sku] += event.line.quantity

        @handles(Paid)
        def paid(self, event: Paid, cover: Cover) -> Money:
            rows[cover.root.value]["paid"] += int(event.cents_text)
            return Money(cents=sum(rows[cover.root.value].values()))

    return router(Shared)


# upcasters


@upcaster(name="v2", domain="account")
class ToV2:
    @upcasts(AccountOpenedV1, AccountOpenedV2)
    def names(self, old: AccountOpenedV1) -> AccountOpenedV2:
        first, _, last = old.name.partition(" ")
        return AccountOpenedV2(first_name=first, last_name=last)


@upcaster(name="v3", domain="account")
class ToV3:
    @upcasts(AccountOpenedV2, AccountOpened)
    async def owner(self, old: AccountOpenedV2) -> AccountOpened:
        return AccountOpened(
            owner=f"{old.first_name} {old.last_name}".strip(), opened_at=datetime(2020, 1, 1, tzinfo=UTC)
        )


@correct
def a_chain_of_upcasters() -> AnyRouter:
    return Router("chain").with_handler(ToV2, ToV2).with_handler(ToV3, ToV3).build()


@correct
def upcasters_that_read_numbers_from_text_and_fill_in_defaults() -> AnyRouter:
    @upcaster(name="numbers", domain="order")
    class Numbers:
        @upcasts(Paid, Rated)
        def cents(self, old: Paid) -> Rated:
            return Rated(score=int(old.cents_text) / 100, mean=float(Decimal(old.cents_text)))

        @upcasts(Cancelled, Cancelled)
        def because(self, old: Cancelled) -> Cancelled:
            return Cancelled(order_id=old.order_id, because=old.because or "no reason given")

        @upcasts(TransferRequested, ShippingAsked)
        def asked(self, old: TransferRequested) -> ShippingAsked:
            return ShippingAsked(order_id=str(uuid.UUID(bytes=old.to)))

    return router(Numbers)
