"""More bugs: in rules, events, appliers and reactions; what a law cannot know has an invariant that tells it."""

import copy
import os
import random
import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any as AnyValue
from typing import ClassVar

from angzarr.destinations import Destinations
from angzarr.errors import CommandRejectedError
from angzarr.messages import CommandBook, Cover, EventBook, EventPage, Snapshot, pack
from angzarr.router import (
    AnyRouter,
    ProcessManagerResponse,
    Router,
    applies,
    handles,
    process_manager,
    projector,
    saga,
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
    SendWelcome,
    Tier,
    TransferRequested,
    Withdraw,
    Withdrawn,
)
from tests.testing.planted import Balance, Bug, Honest, HonestMessage, handler

MORE_BUGS: dict[str, Bug] = {}
MISRULES: dict[str, Bug] = {}


def bug(make: Bug) -> Bug:
    MORE_BUGS[make.__name__] = make
    return make


def misrule(make: Bug) -> Bug:
    """A bug that only an invariant of the machine can see."""
    MISRULES[make.__name__] = make
    return make


INSUFFICIENT = CommandRejectedError.precondition_failed("INSUFFICIENT", "not enough")


@bug
def an_applier_asks_the_environment() -> AnyRouter:
    class Planted(Honest):
        @applies(Deposited)
        def deposited(self, state: AnyValue, event: Deposited) -> None:
            state.amount += event.amount * int(os.environ.get("BONUS", "1"))

    return handler(Planted)


@bug
def an_applier_keeps_a_hash() -> AnyRouter:
    class Planted(Honest):
        @applies(AccountOpened)
        def opened(self, state: AnyValue, event: AccountOpened) -> None:
            state.owner = event.owner or "nobody"
            state.log = [hash(event.owner) % 8]

    return handler(Planted)


@bug
def an_applier_counts_in_the_class() -> AnyRouter:
    class Planted(Honest):
        applied: ClassVar[int] = 0

        @applies(Withdrawn)
        def withdrawn(self, state: AnyValue, event: Withdrawn) -> None:
            type(self).applied += 1
            state.amount -= event.amount
            state.log = [type(self).applied]

    return handler(Planted)


@bug
def an_applier_rolls_dice_of_the_system() -> AnyRouter:
    class Planted(Honest):
        @applies(AccountClosed)
        def account_closed(self, state: AnyValue, event: AccountClosed) -> None:
            state.closed = True
            state.log = [secrets.choice([1, 2])]

    return handler(Planted)


@bug
def an_applier_keeps_when_it_ran() -> AnyRouter:
    class Planted(Honest):
        @applies(AccountOpened)
        def opened(self, state: AnyValue, event: AccountOpened) -> None:
            state.owner = event.owner or "nobody"
            state.log = [time.perf_counter()]

    return handler(Planted)


@bug
def an_applier_appends_each_time_to_a_table_of_the_module() -> AnyRouter:
    class Planted(Honest):
        @applies(Deposited)
        def deposited(self, state: AnyValue, event: Deposited) -> None:
            _LEDGER.append(event.amount)
            state.amount = sum(_LEDGER)

    return handler(Planted)


_LEDGER: list[int] = []


@bug
def an_applier_divides_by_the_amount() -> AnyRouter:
    class Planted(Honest):
        @applies(Withdrawn)
        def withdrawn(self, state: AnyValue, event: Withdrawn) -> None:
            state.amount -= event.amount
            state.log = [100 // (event.amount - 1)]

    return handler(Planted)


@bug
def an_applier_returns_a_number() -> AnyRouter:
    class Planted(Honest):
        @applies(Deposited)
        def deposited(self, state: AnyValue, event: Deposited) -> AnyValue:
            state.amount += event.amount
            return state.amount

    return handler(Planted)


@bug
def an_applier_takes_what_is_not_in_a_list() -> AnyRouter:
    class Planted(Honest):
        @applies(Withdrawn)
        def withdrawn(self, state: AnyValue, event: Withdrawn) -> None:
            state.amount -= event.amount
            state.log.pop()

    return handler(Planted)


@bug
def states_share_a_dictionary_of_the_class() -> AnyRouter:
    class Shared:
        totals: ClassVar[dict[str, int]] = {}

        def __init__(self) -> None:
            self.owner, self.closed = "", False

        @property
        def amount(self) -> int:
            return self.totals.get("amount", 0)

        @amount.setter
        def amount(self, value: int) -> None:
            self.totals["amount"] = value

    class Planted(Honest):
        pass

    return handler(Planted, Shared)


@bug
def a_snapshot_is_of_the_state_before() -> AnyRouter:
    class Planted(HonestMessage):
        @handles(Deposit)
        def deposit(self, command: Deposit, state: AnyValue, sequence: int) -> AnyValue:
            require_positive(command.amount, "amount")
            self.must_be_open(state)
            page = EventPage(event=pack(Deposited(amount=command.amount)))
            return EventBook(pages=[page], snapshot=Snapshot(sequence=sequence, state=pack(state)))

    return handler(Planted, Account)


@bug
def a_snapshot_covers_one_event_too_many() -> AnyRouter:
    class Planted(HonestMessage):
        @handles(CloseAccount)
        def close(self, command: CloseAccount, state: AnyValue, sequence: int) -> AnyValue:
            self.must_be_open(state)
            closed = copy.deepcopy(state)
            closed.closed = True
            page = EventPage(event=pack(AccountClosed()))
            return EventBook(pages=[page], snapshot=Snapshot(sequence=sequence + 1, state=pack(closed)))

    return handler(Planted, Account)


@bug
def a_handler_answers_from_a_cache() -> AnyRouter:
    class Planted(Honest):
        answers: ClassVar[dict[int, AnyValue]] = {}

        @handles(Deposit)
        def deposit(self, command: Deposit, state: AnyValue, sequence: int) -> AnyValue:
            require_positive(command.amount, "amount")
            self.must_be_open(state)
            if command.amount not in self.answers:
                event = Deposited(amount=command.amount, balance=state.amount + command.amount)
                self.answers[command.amount] = event
            return self.answers[command.amount]

    return handler(Planted)


@bug
def a_handler_keeps_the_state_in_itself() -> AnyRouter:
    class Planted(Honest):
        def __init__(self) -> None:
            self.total = 0

        @handles(Deposit)
        def deposit(self, command: Deposit, state: AnyValue, sequence: int) -> AnyValue:
            require_positive(command.amount, "amount")
            self.must_be_open(state)
            self.total += command.amount
            return Deposited(amount=command.amount, balance=self.total)

    only = Planted()
    return handler(Planted, factory=lambda: only)


@bug
def a_handler_crashes_on_an_empty_name() -> AnyRouter:
    class Planted(Honest):
        @handles(OpenAccount)
        def open(self, command: OpenAccount, state: AnyValue) -> AnyValue:
            if state.owner:
                raise CommandRejectedError.precondition_failed("EXISTS", "account exists")
            return AccountOpened(owner=command.owner[0].upper() + command.owner[1:])

    return handler(Planted)


@bug
def a_handler_crashes_on_a_large_number() -> AnyRouter:
    class Planted(Honest):
        @handles(Deposit)
        def deposit(self, command: Deposit, state: AnyValue, sequence: int) -> AnyValue:
            require_positive(command.amount, "amount")
            self.must_be_open(state)
            grades = ["small"] * 20 + ["large"] * 20
            return Deposited(amount=command.amount, balance=len(grades[command.amount.bit_length()]))

    return handler(Planted)


@bug
def a_handler_asserts() -> AnyRouter:
    class Planted(Honest):
        @handles(Withdraw)
        def withdraw(self, command: Withdraw, state: AnyValue, sequence: int) -> AnyValue:
            assert command.amount <= state.amount
            return Withdrawn(amount=command.amount)

    return handler(Planted)


@bug
def a_handler_reads_a_name_as_a_number() -> AnyRouter:
    class Planted(Honest):
        @handles(CloseAccount)
        def close(self, command: CloseAccount, state: AnyValue, sequence: int) -> AnyValue:
            return [AccountClosed(reason=command.reason)] * min(int(command.reason), 3)

    return handler(Planted)


@bug
def a_handler_answers_a_list_with_a_text_in_it() -> AnyRouter:
    class Planted(Honest):
        @handles(CloseAccount)
        def close(self, command: CloseAccount, state: AnyValue, sequence: int) -> AnyValue:
            self.must_be_open(state)
            return [AccountClosed(reason=command.reason), "closed"]

    return handler(Planted)


@bug
def a_handler_takes_the_balance_before_it_refuses_the_second_page() -> AnyRouter:
    class Planted(Honest):
        @handles(Withdraw)
        def withdraw(self, command: Withdraw, state: AnyValue, sequence: int) -> AnyValue:
            event = Withdrawn(amount=command.amount)
            self.withdrawn(state, event)
            if command.amount <= 0 or state.amount < 0 or not state.owner:
                raise INSUFFICIENT
            self.must_be_open(state)
            state.amount += command.amount
            return event

    return handler(Planted)


@bug
def numbers_of_events_begin_one_too_late() -> AnyRouter:
    class Planted(Honest):
        @handles(Withdraw)
        def withdraw(self, command: Withdraw, state: AnyValue, sequence: int) -> AnyValue:
            if command.amount <= 0 or command.amount > state.amount:
                raise INSUFFICIENT
            from angzarr.messages import PageHeader

            events = (Withdrawn(amount=command.amount), AccountClosed(reason="empty"))
            pages = [
                EventPage(header=PageHeader(sequence=sequence + 2 * n), event=pack(event))
                for n, event in enumerate(events)
            ]
            return EventBook(pages=pages)

    return handler(Planted)


@bug
def events_go_to_another_aggregate() -> AnyRouter:
    class Planted(Honest):
        @handles(Deposit)
        def deposit(self, command: Deposit, state: AnyValue, sequence: int) -> AnyValue:
            require_positive(command.amount, "amount")
            self.must_be_open(state)
            from angzarr.messages import UUID

            page = EventPage(event=pack(Deposited(amount=command.amount)))
            return EventBook(cover=Cover(domain="account", root=UUID(value=bytes(16))), pages=[page])

    return handler(Planted)


@bug
def a_saga_makes_up_the_root() -> AnyRouter:
    @saga(name="planted", source="account", target="account")
    class Planted:
        @handles(TransferRequested)
        def send(self, event: TransferRequested, destinations: Destinations) -> CommandBook:
            return destinations.command_for("account", uuid.uuid4(), ReceiveTransfer(amount=event.amount))

    return Router("planted").with_handler(Planted, Planted).build()


@bug
def a_saga_makes_up_what_it_says() -> AnyRouter:
    @saga(name="planted", source="account", target="mail")
    class Planted:
        @handles(AccountOpened)
        def send(self, event: AccountOpened, destinations: Destinations, source_cover: Cover) -> CommandBook:
            command = SendWelcome(owner=str(uuid.uuid4()))
            return destinations.command_for("mail", source_cover.root.value, command)

    return Router("planted").with_handler(Planted, Planted).build()


@bug
def a_saga_sends_now_and_then() -> AnyRouter:
    @saga(name="planted", source="account", target="account")
    class Planted:
        @handles(TransferRequested)
        def send(self, event: TransferRequested, destinations: Destinations) -> CommandBook | None:
            if len(event.to) != 16 or random.random() < 0.5:
                return None
            return destinations.command_for("account", event.to, ReceiveTransfer(amount=event.amount))

    return Router("planted").with_handler(Planted, Planted).build()


@bug
def a_saga_looks_at_the_clock() -> AnyRouter:
    @saga(name="planted", source="account", target="account")
    class Planted:
        @handles(TransferRequested)
        def send(self, event: TransferRequested, destinations: Destinations) -> CommandBook | None:
            if len(event.to) != 16:
                return None
            nanoseconds = datetime.now(UTC).microsecond
            return destinations.command_for("account", event.to, ReceiveTransfer(amount=nanoseconds))

    return Router("planted").with_handler(Planted, Planted).build()


@bug
def a_saga_counts_what_it_has_seen() -> AnyRouter:
    @saga(name="planted", source="account", target="account")
    class Planted:
        seen: ClassVar[int] = 0

        @handles(TransferRequested)
        def send(self, event: TransferRequested, destinations: Destinations) -> CommandBook | None:
            if len(event.to) != 16:
                return None
            type(self).seen += 1
            return destinations.command_for("account", event.to, ReceiveTransfer(amount=self.seen))

    return Router("planted").with_handler(Planted, Planted).build()


@bug
def a_saga_crashes_on_an_unknown_enum_number() -> AnyRouter:
    @saga(name="planted", source="account", target="mail")
    class Planted:
        @handles(AccountOpened)
        def send(self, event: AccountOpened, destinations: Destinations, source_cover: Cover) -> CommandBook:
            gifts = {Tier.TIER_UNSPECIFIED: 0, Tier.TIER_BASIC: 1, Tier.TIER_GOLD: 2}
            command = SendWelcome(owner=event.owner, deposits=gifts[event.tier])
            return destinations.command_for("mail", source_cover.root.value, command)

    return Router("planted").with_handler(Planted, Planted).build()


@bug
def a_process_manager_forgets_what_it_has_asked() -> AnyRouter:
    @process_manager(
        name="planted", pm_domain="onboarding", sources=["account"], targets=["mail"], state=Onboarding
    )
    class Planted:
        asked: ClassVar[set[bytes]] = set()

        @applies(OnboardingDeposit)
        def counted(self, process: Onboarding, event: OnboardingDeposit) -> None:
            process.deposits += 1

        @handles(Deposited)
        def deposited(
            self, event: Deposited, process: Onboarding, destinations: Destinations, source_cover: Cover
        ) -> ProcessManagerResponse | None:
            root = source_cover.root.value
            if root in self.asked:
                return None
            self.asked.add(root)
            return ProcessManagerResponse(commands=[destinations.command_for("mail", root, SendWelcome())])

    return Router("planted").with_handler(Planted, Planted).build()


def upcasting(method: Callable[[AnyValue, AnyValue], AnyValue], old: type, new: type) -> AnyRouter:
    @upcaster(name="planted", domain="account")
    class Planted:
        names: AnyValue = upcasts(old, new)(method)

    return Router("planted").with_handler(Planted, Planted).build()


@bug
def an_upcaster_makes_two_events_of_one() -> AnyRouter:
    def names(self: AnyValue, old: AccountOpenedV1) -> AnyValue:
        return [AccountOpenedV2(first_name=old.name), AccountOpenedV2(last_name=old.name)]

    return upcasting(names, AccountOpenedV1, AccountOpenedV2)


@bug
def an_upcaster_appends_to_the_name_each_time() -> AnyRouter:
    def names(self: AnyValue, old: AccountClosed) -> AnyValue:
        return AccountClosed(reason=f"{old.reason} (migrated)")

    return upcasting(names, AccountClosed, AccountClosed)


@bug
def upcasters_go_round_in_a_circle() -> AnyRouter:
    @upcaster(name="there", domain="account")
    class There:
        @upcasts(AccountOpenedV1, AccountOpenedV2)
        def there(self, old: AccountOpenedV1) -> AccountOpenedV2:
            return AccountOpenedV2(first_name=f"{old.name}.")

    @upcaster(name="back", domain="account")
    class Back:
        @upcasts(AccountOpenedV2, AccountOpenedV1)
        def back(self, old: AccountOpenedV2) -> AccountOpenedV1:
            return AccountOpenedV1(name=old.first_name)

    return Router("circle").with_handler(There, There).with_handler(Back, Back).build()


@bug
def an_upcaster_makes_another_type_than_it_says() -> AnyRouter:
    def names(self: AnyValue, old: AccountOpenedV1) -> AnyValue:
        return AccountOpenedV2(first_name=old.name) if old.name != "b" else AccountOpened(owner=old.name)

    return upcasting(names, AccountOpenedV1, AccountOpenedV2)


@bug
def an_upcaster_makes_up_an_identifier() -> AnyRouter:
    def names(self: AnyValue, old: AccountOpenedV1) -> AnyValue:
        return AccountOpenedV2(first_name=old.name, last_name=str(uuid.uuid4()))

    return upcasting(names, AccountOpenedV1, AccountOpenedV2)


@bug
def upcasters_pass_on_the_one_before() -> AnyRouter:
    """Reorders: what comes out first is what went in second."""
    waiting: list[str] = []

    def names(self: AnyValue, old: AccountOpenedV1) -> AnyValue:
        waiting.insert(0, old.name)
        return AccountOpenedV2(first_name=waiting.pop() if len(waiting) > 1 else old.name)

    return upcasting(names, AccountOpenedV1, AccountOpenedV2)


@bug
def a_projector_forgets_the_event_before() -> AnyRouter:
    """Keeps what a book brings, and so depends on how events are cut into books."""

    @projector(name="planted", domains=["account"])
    class Planted:
        def __init__(self) -> None:
            self.count = 0
            self.last_correlation: object = None

        @handles(Deposited)
        def deposited(self, event: Deposited, cover: Cover) -> None:
            self.count = self.count + 1 if self.fresh else self.count
            self.fresh = False

        fresh = True

    only = Planted()

    def make() -> Planted:
        only.fresh = True
        return only

    return Router("planted").with_handler(Planted, make).build()


@bug
def a_projector_crashes_on_an_unknown_enum_number() -> AnyRouter:
    @projector(name="planted", domains=["account"])
    class Planted:
        def __init__(self) -> None:
            self.by_tier: dict[str, int] = {}

        @handles(AccountOpened)
        def opened(self, event: AccountOpened) -> None:
            title = {0: "none", 1: "basic", 2: "gold"}[int(event.tier)]
            self.by_tier[title] = self.by_tier.get(title, 0) + 1

    only = Planted()
    return Router("planted").with_handler(Planted, lambda: only).build()


# only an invariant sees these


@misrule
def one_more_than_there_is_may_be_withdrawn() -> AnyRouter:
    class Planted(Honest):
        @handles(Withdraw)
        def withdraw(self, command: Withdraw, state: AnyValue, sequence: int) -> AnyValue:
            require_positive(command.amount, "amount")
            self.must_be_open(state)
            if command.amount > state.amount + 1:
                raise INSUFFICIENT
            return Withdrawn(amount=command.amount)

    return handler(Planted)


@misrule
def a_negative_amount_is_deposited() -> AnyRouter:
    class Planted(Honest):
        @handles(Deposit)
        def deposit(self, command: Deposit, state: AnyValue, sequence: int) -> AnyValue:
            self.must_be_open(state)
            return Deposited(amount=command.amount)

    return handler(Planted)


@misrule
def withdrawals_are_not_applied_when_everything_goes() -> AnyRouter:
    class Planted(Honest):
        @applies(Withdrawn)
        def withdrawn(self, state: AnyValue, event: Withdrawn) -> None:
            state.log.append(event.amount)
            state.amount -= event.amount
            if state.amount == 0:
                state.amount = event.amount

        @applies(Deposited)
        def deposited(self, state: AnyValue, event: Deposited) -> None:
            state.log.append(-event.amount)
            state.amount += event.amount

    return handler(Planted)


@misrule
def withdrawals_are_never_applied() -> AnyRouter:
    @dataclass
    class Booked(Balance):
        taken: list[int] = field(default_factory=list)

    class Planted(Honest):
        @applies(Withdrawn)
        def withdrawn(self, state: AnyValue, event: Withdrawn) -> None:
            state.log.append(event.amount)

        @applies(Deposited)
        def deposited(self, state: AnyValue, event: Deposited) -> None:
            state.log.append(-event.amount)
            state.amount += event.amount

    return handler(Planted, Booked)


@misrule
def a_closed_account_takes_money() -> AnyRouter:
    class Planted(Honest):
        @applies(Deposited)
        def deposited(self, state: AnyValue, event: Deposited) -> None:
            state.amount += -1 if state.closed else event.amount

        @handles(Deposit)
        def deposit(self, command: Deposit, state: AnyValue, sequence: int) -> AnyValue:
            require_positive(command.amount, "amount")
            if not state.owner:
                raise INSUFFICIENT
            return Deposited(amount=command.amount)

    return handler(Planted)


@misrule
def the_same_withdrawal_is_booked_twice() -> AnyRouter:
    class Planted(Honest):
        @handles(Withdraw)
        def withdraw(self, command: Withdraw, state: AnyValue, sequence: int) -> AnyValue:
            require_positive(command.amount, "amount")
            self.must_be_open(state)
            if command.amount > state.amount:
                raise INSUFFICIENT
            return [Withdrawn(amount=command.amount)] * 2

    return handler(Planted)
