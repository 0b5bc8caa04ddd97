"""A correct account domain, and copies of it with one bug each."""

import itertools
import random
import secrets
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any as AnyValue
from typing import ClassVar

from angzarr.destinations import Destinations
from angzarr.errors import CommandRejectedError
from angzarr.messages import (
    UUID,
    CommandBook,
    CommandPage,
    Cover,
    EventBook,
    EventPage,
    NoOp,
    PageHeader,
    Snapshot,
    now,
    pack,
)
from angzarr.router import (
    AnyRouter,
    ProcessManagerResponse,
    Router,
    applies,
    command_handler,
    handles,
    process_manager,
    projector,
    saga,
    state_factory,
    upcaster,
    upcasts,
)
from angzarr.validation import require_positive
from tests.bank.messages import (
    Account,
    AccountClosed,
    AccountOpened,
    AccountOpenedV1,
    AccountOpenedV2,
    CloseAccount,
    Deposit,
    Deposited,
    Onboarding,
    OnboardingDeposit,
    OpenAccount,
    ReceiveTransfer,
    RequestTransfer,
    SendWelcome,
    Tier,
    TransferRequested,
    Withdraw,
    Withdrawn,
)

Bug = Callable[[], AnyRouter]
BUGS: dict[str, Bug] = {}


def bug(make: Bug) -> Bug:
    BUGS[make.__name__] = make
    return make


@dataclass
class Balance:
    owner: str = ""
    amount: int = 0
    closed: bool = False
    log: list[AnyValue] = field(default_factory=list)


class Honest:
    """Undecorated; every bug overrides a method of it."""

    @applies(AccountOpened)
    def opened(self, state: AnyValue, event: AccountOpened) -> None:
        state.owner = event.owner or "nobody"

    @applies(Deposited)
    def deposited(self, state: AnyValue, event: Deposited) -> None:
        state.amount += event.amount

    @applies(Withdrawn)
    def withdrawn(self, state: AnyValue, event: Withdrawn) -> None:
        state.amount -= event.amount

    @applies(AccountClosed)
    def account_closed(self, state: AnyValue, event: AccountClosed) -> None:
        state.closed = True

    @handles(OpenAccount)
    async def open(self, command: OpenAccount, state: AnyValue) -> AnyValue:
        if state.owner:
            raise CommandRejectedError.precondition_failed("EXISTS", "account exists")
        return AccountOpened(owner=command.owner, opened_at=now(), tier=command.tier)

    @handles(Deposit)
    def deposit(self, command: Deposit, state: AnyValue, sequence: int) -> AnyValue:
        require_positive(command.amount, "amount")
        self.must_be_open(state)
        return Deposited(amount=command.amount, balance=state.amount + command.amount)

    @handles(Withdraw)
    def withdraw(self, command: Withdraw, state: AnyValue, sequence: int) -> AnyValue:
        require_positive(command.amount, "amount")
        self.must_be_open(state)
        if command.amount > state.amount:
            raise CommandRejectedError.precondition_failed("INSUFFICIENT", "not enough")
        return Withdrawn(amount=command.amount, balance=state.amount - command.amount)

    @handles(CloseAccount)
    def close(self, command: CloseAccount, state: AnyValue, sequence: int) -> AnyValue:
        self.must_be_open(state)
        return [AccountClosed(reason=command.reason)]

    def must_be_open(self, state: AnyValue) -> None:
        if not state.owner or state.closed:
            raise CommandRejectedError.precondition_failed("NOT_OPEN", "account is not open")


def handler(cls: type, state: type = Balance, factory: Callable[[], AnyValue] | None = None) -> AnyRouter:
    decorated = command_handler(domain="account", state=state)(cls)
    return Router("planted").with_handler(decorated, factory or decorated).build()


def honest() -> AnyRouter:
    class Correct(Honest):
        pass

    return handler(Correct)


@bug
def an_applier_reads_now() -> AnyRouter:
    class Planted(Honest):
        @applies(AccountOpened)
        def opened(self, state: AnyValue, event: AccountOpened) -> None:
            state.owner = event.owner or "nobody"
            state.log.append(now())

    return handler(Planted)


@bug
def an_applier_reads_the_running_clock() -> AnyRouter:
    class Planted(Honest):
        @applies(Deposited)
        def deposited(self, state: AnyValue, event: Deposited) -> None:
            state.amount += event.amount
            state.log.append(datetime.now(UTC))

    return handler(Planted)


@bug
def an_applier_reads_the_day() -> AnyRouter:
    class Planted(Honest):
        @applies(AccountClosed)
        def account_closed(self, state: AnyValue, event: AccountClosed) -> None:
            state.closed = True
            state.log = [datetime.now(UTC).date()]

    return handler(Planted)


@bug
def an_applier_reads_whole_seconds() -> AnyRouter:
    class Planted(Honest):
        @applies(Withdrawn)
        def withdrawn(self, state: AnyValue, event: Withdrawn) -> None:
            state.amount -= event.amount
            state.log = [int(time.time())]

    return handler(Planted)


@bug
def an_applier_rolls_dice() -> AnyRouter:
    class Planted(Honest):
        @applies(Deposited)
        def deposited(self, state: AnyValue, event: Deposited) -> None:
            state.amount += event.amount + random.randint(0, 1)

    return handler(Planted)


@bug
def an_applier_makes_up_an_id() -> AnyRouter:
    class Planted(Honest):
        @applies(AccountOpened)
        def opened(self, state: AnyValue, event: AccountOpened) -> None:
            state.owner = event.owner or "nobody"
            state.log = [uuid.uuid4()]

    return handler(Planted)


@bug
def an_applier_counts_globally() -> AnyRouter:
    counter = itertools.count()

    class Planted(Honest):
        @applies(Deposited)
        def deposited(self, state: AnyValue, event: Deposited) -> None:
            state.amount += event.amount
            state.log = [next(counter)]

    return handler(Planted)


@bug
def an_applier_fills_a_list_of_the_state_class() -> AnyRouter:
    class Shared(Balance):
        def __init__(self) -> None:
            self.owner, self.amount, self.closed = "", 0, False

        log: ClassVar[list[AnyValue]] = []  # type: ignore[misc]

    class Planted(Honest):
        @applies(Deposited)
        def deposited(self, state: AnyValue, event: Deposited) -> None:
            state.amount += event.amount
            state.log.append(event.amount)

    return handler(Planted, Shared)


@bug
def an_applier_fills_a_default_argument() -> AnyRouter:
    class Shared:
        def __init__(self, log: list[int] = []) -> None:  # noqa: B006
            self.owner, self.amount, self.closed, self.log = "", 0, False, log

    class Planted(Honest):
        @applies(Deposited)
        def deposited(self, state: AnyValue, event: Deposited) -> None:
            state.amount += event.amount
            state.log.append(event.amount)

    return handler(Planted, Shared)


@bug
def an_applier_fills_a_shared_set() -> AnyRouter:
    names: set[str] = set()

    @dataclass
    class Shared(Balance):
        names: set[str] = field(default_factory=lambda: names)

    class Planted(Honest):
        @applies(AccountClosed)
        def account_closed(self, state: AnyValue, event: AccountClosed) -> None:
            state.closed = True
            state.names.add(event.reason)

    return handler(Planted, Shared)


@bug
def a_state_factory_gives_one_object_to_all() -> AnyRouter:
    only = Balance()

    class Planted(Honest):
        @state_factory
        def initial(self) -> Balance:
            return only

    return handler(Planted)


class HonestMessage(Honest):
    """The same over a message, which can be snapshot."""

    @applies(Deposited)
    def deposited(self, state: AnyValue, event: Deposited) -> None:
        state.balance += event.amount

    @applies(Withdrawn)
    def withdrawn(self, state: AnyValue, event: Withdrawn) -> None:
        state.balance -= event.amount

    @handles(Deposit)
    def deposit(self, command: Deposit, state: AnyValue, sequence: int) -> AnyValue:
        require_positive(command.amount, "amount")
        self.must_be_open(state)
        return Deposited(amount=command.amount, balance=state.balance + command.amount)

    @handles(Withdraw)
    def withdraw(self, command: Withdraw, state: AnyValue, sequence: int) -> AnyValue:
        require_positive(command.amount, "amount")
        self.must_be_open(state)
        if command.amount > state.balance:
            raise CommandRejectedError.precondition_failed("INSUFFICIENT", "not enough")
        return Withdrawn(amount=command.amount, balance=state.balance - command.amount)


def honest_message() -> AnyRouter:
    class Correct(HonestMessage):
        pass

    return handler(Correct, Account)


@bug
def a_snapshot_forgets_an_attribute_that_is_no_field() -> AnyRouter:
    class Planted(HonestMessage):
        @applies(Deposited)
        def deposited(self, state: AnyValue, event: Deposited) -> None:
            state.balance += event.amount
            state.__dict__["deposits"] = state.__dict__.get("deposits", 0) + 1

        @handles(Deposit)
        def deposit(self, command: Deposit, state: AnyValue, sequence: int) -> AnyValue:
            require_positive(command.amount, "amount")
            self.must_be_open(state)
            if state.__dict__.get("deposits", 0) >= 2:
                raise CommandRejectedError.precondition_failed("TOO_MANY", "two deposits are enough")
            return Deposited(amount=command.amount)

    return handler(Planted, Account)


@bug
def a_snapshot_that_the_handler_makes_forgets_a_field() -> AnyRouter:
    class Planted(HonestMessage):
        @handles(CloseAccount)
        def close(self, command: CloseAccount, state: AnyValue, sequence: int) -> AnyValue:
            self.must_be_open(state)
            closed = Account(owner=state.owner, closed=True)
            event = EventPage(event=pack(AccountClosed(reason=command.reason)))
            return EventBook(pages=[event], snapshot=Snapshot(sequence=sequence, state=pack(closed)))

    return handler(Planted, Account)


@bug
def a_handler_debits_before_it_rejects() -> AnyRouter:
    class Planted(Honest):
        @handles(Withdraw)
        def withdraw(self, command: Withdraw, state: AnyValue, sequence: int) -> AnyValue:
            require_positive(command.amount, "amount")
            self.must_be_open(state)
            state.amount -= command.amount
            if state.amount < 0:
                raise CommandRejectedError.precondition_failed("INSUFFICIENT", "not enough")
            return Withdrawn(amount=command.amount, balance=state.amount)

    return handler(Planted)


@bug
def a_handler_applies_its_own_event() -> AnyRouter:
    class Planted(Honest):
        @handles(Deposit)
        def deposit(self, command: Deposit, state: AnyValue, sequence: int) -> AnyValue:
            require_positive(command.amount, "amount")
            self.must_be_open(state)
            event = Deposited(amount=command.amount)
            self.deposited(state, event)
            return event

    return handler(Planted)


@bug
def a_handler_publishes_before_it_rejects() -> AnyRouter:
    class Planted(Honest):
        outbox: ClassVar[list[AnyValue]] = []

        @handles(Withdraw)
        def withdraw(self, command: Withdraw, state: AnyValue, sequence: int) -> AnyValue:
            event = Withdrawn(amount=command.amount)
            self.outbox.append(event)
            if command.amount <= 0 or command.amount > state.amount:
                raise CommandRejectedError.precondition_failed("INSUFFICIENT", "not enough")
            return event

    return handler(Planted)


@bug
def a_rejected_event_comes_with_the_next_command() -> AnyRouter:
    class Planted(Honest):
        def __init__(self) -> None:
            self.pending: list[AnyValue] = []

        @handles(Deposit)
        def deposit(self, command: Deposit, state: AnyValue, sequence: int) -> AnyValue:
            self.pending.append(Deposited(amount=command.amount))
            require_positive(command.amount, "amount")
            self.must_be_open(state)
            ready, self.pending = self.pending, []
            return ready

    only = Planted()
    return handler(Planted, factory=lambda: only)


@bug
def a_handler_remembers_the_last_state() -> AnyRouter:
    class Planted(Honest):
        known: ClassVar[dict[str, int]] = {}

        @handles(Deposit)
        def deposit(self, command: Deposit, state: AnyValue, sequence: int) -> AnyValue:
            require_positive(command.amount, "amount")
            self.must_be_open(state)
            balance = self.known.setdefault(state.owner, state.amount) + command.amount
            self.known[state.owner] = balance
            return Deposited(amount=command.amount, balance=balance)

    return handler(Planted)


@bug
def a_handler_tosses_a_coin() -> AnyRouter:
    class Planted(Honest):
        @handles(CloseAccount)
        def close(self, command: CloseAccount, state: AnyValue, sequence: int) -> AnyValue:
            self.must_be_open(state)
            if secrets.randbelow(2):
                raise CommandRejectedError.precondition_failed("NOT_TODAY", "come back tomorrow")
            return AccountClosed(reason=command.reason)

    return handler(Planted)


@bug
def events_are_numbered_from_zero() -> AnyRouter:
    class Planted(Honest):
        @handles(Deposit)
        def deposit(self, command: Deposit, state: AnyValue, sequence: int) -> AnyValue:
            require_positive(command.amount, "amount")
            self.must_be_open(state)
            page = EventPage(header=PageHeader(sequence=0), event=pack(Deposited(amount=command.amount)))
            return EventBook(pages=[page])

    return handler(Planted)


@bug
def sequences_have_a_gap() -> AnyRouter:
    class Planted(Honest):
        @handles(CloseAccount)
        def close(self, command: CloseAccount, state: AnyValue, sequence: int) -> AnyValue:
            self.must_be_open(state)
            header = PageHeader(sequence=sequence + 1)
            return EventBook(pages=[EventPage(header=header, event=pack(AccountClosed()))])

    return handler(Planted)


@bug
def a_handler_crashes_on_an_unknown_enum_number() -> AnyRouter:
    class Planted(Honest):
        @handles(OpenAccount)
        async def open(self, command: OpenAccount, state: AnyValue) -> AnyValue:
            if state.owner:
                raise CommandRejectedError.precondition_failed("EXISTS", "account exists")
            fee = {Tier.TIER_UNSPECIFIED: 0, Tier.TIER_BASIC: 1, Tier.TIER_GOLD: 2}[command.tier]
            return [AccountOpened(owner=command.owner), Withdrawn(amount=fee)]

    return handler(Planted)


@bug
def a_handler_divides_by_what_it_is_given() -> AnyRouter:
    class Planted(Honest):
        @handles(Deposit)
        def deposit(self, command: Deposit, state: AnyValue, sequence: int) -> AnyValue:
            self.must_be_open(state)
            return Deposited(amount=100 // command.amount)

    return handler(Planted)


@bug
def a_handler_takes_any_bytes_for_a_uuid() -> AnyRouter:
    class Planted(Honest):
        @handles(RequestTransfer)
        def transfer(self, command: RequestTransfer, state: AnyValue) -> AnyValue:
            self.must_be_open(state)
            return TransferRequested(to=uuid.UUID(bytes=command.to).bytes, amount=command.amount)

    return handler(Planted)


@bug
def a_rule_is_broken_with_a_plain_exception() -> AnyRouter:
    class Planted(Honest):
        @handles(CloseAccount)
        def close(self, command: CloseAccount, state: AnyValue, sequence: int) -> AnyValue:
            self.must_be_open(state)
            if state.amount:
                raise ValueError("empty it first")
            return AccountClosed(reason=command.reason)

    return handler(Planted)


@bug
def an_applier_cannot_take_what_the_handler_emits() -> AnyRouter:
    class Planted(Honest):
        @applies(AccountClosed)
        def account_closed(self, state: AnyValue, event: AccountClosed) -> None:
            state.closed = {"moved": True}[event.reason]

    return handler(Planted)


@bug
def an_applier_keeps_the_state_in_the_handler() -> AnyRouter:
    class Planted(Honest):
        last = 0

        @applies(Deposited)
        def deposited(self, state: AnyValue, event: Deposited) -> None:
            self.last = self.last + event.amount
            state.amount = self.last

    return handler(Planted)


@bug
def the_state_holds_what_no_bytes_can_carry() -> AnyRouter:
    class Planted(HonestMessage):
        @applies(Withdrawn)
        def withdrawn(self, state: AnyValue, event: Withdrawn) -> None:
            state.balance -= event.amount
            state.events_seen -= 1

    return handler(Planted, Account)


@bug
def an_event_carries_a_local_time() -> AnyRouter:
    class Planted(Honest):
        @handles(OpenAccount)
        async def open(self, command: OpenAccount, state: AnyValue) -> AnyValue:
            if state.owner:
                raise CommandRejectedError.precondition_failed("EXISTS", "account exists")
            return AccountOpened(owner=command.owner, opened_at=datetime(2026, 1, 1, 12))

    return handler(Planted)


@bug
def a_handler_returns_a_number() -> AnyRouter:
    class Planted(Honest):
        @handles(Deposit)
        def deposit(self, command: Deposit, state: AnyValue, sequence: int) -> AnyValue:
            require_positive(command.amount, "amount")
            self.must_be_open(state)
            return state.amount + command.amount

    return handler(Planted)


@saga(name="honest", source="account", target="account")
class HonestSaga:
    @handles(TransferRequested)
    def send(self, event: TransferRequested, destinations: Destinations) -> CommandBook | None:
        if len(event.to) != 16:
            return None
        return destinations.command_for("account", event.to, ReceiveTransfer(amount=event.amount))


@bug
def a_saga_sends_where_it_never_said() -> AnyRouter:
    @saga(name="planted", source="account", target="account")
    class Planted:
        @handles(TransferRequested)
        def send(self, event: TransferRequested, destinations: Destinations) -> CommandBook | None:
            if len(event.to) != 16:
                return None
            domain = "mail" if event.amount > 10 else "account"
            return destinations.command_for(domain, event.to, ReceiveTransfer(amount=event.amount))

    return Router("planted").with_handler(Planted, Planted).build()


@bug
def a_saga_remembers_what_it_has_sent() -> AnyRouter:
    @saga(name="planted", source="account", target="account")
    class Planted:
        sent: ClassVar[set[bytes]] = set()

        @handles(TransferRequested)
        def send(self, event: TransferRequested, destinations: Destinations) -> CommandBook | None:
            if len(event.to) != 16 or event.to in self.sent:
                return None
            self.sent.add(event.to)
            return destinations.command_for("account", event.to, ReceiveTransfer(amount=event.amount))

    return Router("planted").with_handler(Planted, Planted).build()


@bug
def a_process_manager_counts_outside_its_events() -> AnyRouter:
    @process_manager(
        name="planted", pm_domain="onboarding", sources=["account"], targets=["mail"], state=Onboarding
    )
    class Planted:
        count = 0

        @handles(Deposited)
        def deposited(self, event: Deposited, process: Onboarding) -> ProcessManagerResponse:
            type(self).count += 1
            counted = EventPage(event=pack(OnboardingDeposit(amount=type(self).count)))
            return ProcessManagerResponse(process_events=EventBook(pages=[counted]))

    return Router("planted").with_handler(Planted, Planted).build()


@bug
def a_process_manager_changes_its_state_by_hand() -> AnyRouter:
    @process_manager(
        name="planted", pm_domain="onboarding", sources=["account"], targets=["mail"], state=Onboarding
    )
    class Planted:
        @handles(Deposited)
        def deposited(
            self, event: Deposited, process: Onboarding, destinations: Destinations, source_cover: Cover
        ) -> ProcessManagerResponse | None:
            process.deposits += 1
            if process.deposits < 2:
                return None
            welcome = destinations.command_for("mail", source_cover.root.value, SendWelcome())
            return ProcessManagerResponse(commands=[welcome])

    return Router("planted").with_handler(Planted, Planted).build()


@upcaster(name="honest", domain="account")
class HonestUpcaster:
    @upcasts(AccountOpenedV1, AccountOpenedV2)
    def names(self, old: AccountOpenedV1) -> AccountOpenedV2:
        first, _, last = old.name.partition(" ")
        return AccountOpenedV2(first_name=first, last_name=last)


def upcasting(method: Callable[[AnyValue, AnyValue], AnyValue], old: type, new: type) -> AnyRouter:
    @upcaster(name="planted", domain="account")
    class Planted:
        last: AnyValue = None
        names: AnyValue = upcasts(old, new)(method)

    return Router("planted").with_handler(Planted, Planted).build()


@bug
def an_upcaster_drops_an_event() -> AnyRouter:
    def names(self: AnyValue, old: AccountOpenedV1) -> AnyValue:
        return AccountOpenedV2(first_name=old.name) if old.name else None

    return upcasting(names, AccountOpenedV1, AccountOpenedV2)


@bug
def an_upcaster_drops_an_event_quietly() -> AnyRouter:
    def names(self: AnyValue, old: AccountOpenedV1) -> AnyValue:
        return AccountOpenedV2(first_name=old.name) if old.name else NoOp()

    return upcasting(names, AccountOpenedV1, AccountOpenedV2)


@bug
def an_upcaster_is_one_event_late() -> AnyRouter:
    def names(self: AnyValue, old: AccountOpenedV1) -> AnyValue:
        cls = type(self)
        late, cls.last = cls.last or old, old
        return AccountOpenedV2(first_name=late.name)

    return upcasting(names, AccountOpenedV1, AccountOpenedV2)


@bug
def an_upcaster_doubles_each_time() -> AnyRouter:
    def amount(self: AnyValue, old: Deposited) -> AnyValue:
        return Deposited(amount=old.amount * 2, balance=old.balance)

    return upcasting(amount, Deposited, Deposited)


@bug
def an_upcaster_reads_the_clock() -> AnyRouter:
    def opened(self: AnyValue, old: AccountOpenedV1) -> AnyValue:
        return AccountOpened(owner=old.name, opened_at=now())

    return upcasting(opened, AccountOpenedV1, AccountOpened)


@bug
def an_upcaster_crashes_on_a_name_without_a_space() -> AnyRouter:
    def names(self: AnyValue, old: AccountOpenedV1) -> AnyValue:
        first, last = old.name.split(" ")
        return AccountOpenedV2(first_name=first, last_name=last)

    return upcasting(names, AccountOpenedV1, AccountOpenedV2)


@projector(name="honest", domains=["account"])
class HonestTotals:
    idempotent = True

    def __init__(self) -> None:
        self.totals: dict[bytes, int] = {}

    @handles(Deposited)
    def deposited(self, event: Deposited, cover: Cover) -> None:
        self.totals[cover.root.value] = event.balance


@bug
def a_projector_counts_again() -> AnyRouter:
    @projector(name="planted", domains=["account"])
    class Planted:
        idempotent = True

        def __init__(self) -> None:
            self.totals: dict[bytes, int] = {}

        @handles(Deposited)
        def deposited(self, event: Deposited, cover: Cover) -> None:
            root = cover.root.value
            self.totals[root] = self.totals.get(root, 0) + event.amount

    only = Planted()
    return Router("planted").with_handler(Planted, lambda: only).build()


@bug
def a_projector_divides_by_what_it_is_shown() -> AnyRouter:
    @projector(name="planted", domains=["account"])
    class Planted:
        @handles(Withdrawn)
        def withdrawn(self, event: Withdrawn) -> None:
            self.share = 100 // event.balance

    only = Planted()
    return Router("planted").with_handler(Planted, lambda: only).build()


def lucky() -> AnyRouter:
    """Correct, though its handlers make up identifiers, roll dice, read the clock, and look things up carelessly."""

    @dataclass
    class Lottery(Balance):
        tickets: dict[str, int] = field(default_factory=lambda: defaultdict(int))

        @cached_property
        def is_rich(self) -> bool:
            return self.amount > 10

    class Lucky(Honest):
        @handles(OpenAccount)
        async def open(self, command: OpenAccount, state: AnyValue) -> AnyValue:
            if state.owner or state.tickets[command.owner] or state.is_rich:
                raise CommandRejectedError.precondition_failed("EXISTS", "account exists")
            return AccountOpened(owner=f"{command.owner}-{uuid.uuid4()}", opened_at=datetime.now(UTC))

        @handles(Deposit)
        def deposit(self, command: Deposit, state: AnyValue, sequence: int) -> AnyValue:
            require_positive(command.amount, "amount")
            self.must_be_open(state)
            return Deposited(amount=command.amount + random.randint(0, 100))

    return handler(Lucky, Lottery)


@saga(name="carefree", source="account", target="account")
class Carefree:
    """Correct, as long as events name roots, which the aggregate sees to."""

    @handles(TransferRequested)
    def send(self, event: TransferRequested) -> CommandBook:
        cover = Cover(domain="account", root=UUID(value=event.to))
        return CommandBook(
            cover=cover, pages=[CommandPage(command=pack(ReceiveTransfer(amount=event.amount)))]
        )


def correct() -> dict[str, AnyRouter]:
    totals = HonestTotals()
    return {
        "dataclass": honest(),
        "message": honest_message(),
        "lucky": lucky(),
        "carefree": Router("s").with_handler(Carefree, Carefree).build(),
        "saga": Router("s").with_handler(HonestSaga, HonestSaga).build(),
        "upcaster": Router("u").with_handler(HonestUpcaster, HonestUpcaster).build(),
        "projector": Router("p").with_handler(HonestTotals, lambda: totals).build(),
    }
