"""The bank's handlers, one of each kind; `bank()` builds fresh routers of them."""

from collections.abc import Sequence

from angzarr.destinations import Destinations
from angzarr.errors import CommandRejectedError
from angzarr.messages import CommandBook, Cover, EventBook, EventPage, Notification, now, pack
from angzarr.router import (
    AnyRouter,
    ProcessManagerResponse,
    Router,
    applies,
    command_handler,
    handles,
    handles_fact,
    process_manager,
    projector,
    rejected,
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
    InterestPosted,
    Onboarding,
    OnboardingDeposit,
    OnboardingStarted,
    OnboardingWelcomed,
    OpenAccount,
    ReceiveTransfer,
    RequestTransfer,
    SendWelcome,
    Statement,
    StatementLine,
    TransferReceived,
    TransferRequested,
    TransferReturned,
    Withdraw,
    Withdrawn,
)


@command_handler(domain="account", state=Account, supports_replay=True)
class Accounts:
    @applies(AccountOpened)
    def opened(self, account: Account, event: AccountOpened) -> None:
        account.owner = event.owner

    @applies(Deposited)
    def deposited(self, account: Account, event: Deposited) -> None:
        account.balance = event.balance

    @applies(Withdrawn)
    def withdrawn(self, account: Account, event: Withdrawn) -> None:
        account.balance = event.balance

    @applies(TransferRequested)
    def transfer_requested(self, account: Account, event: TransferRequested) -> None:
        account.balance -= event.amount

    @applies(TransferReceived)
    def transfer_received(self, account: Account, event: TransferReceived) -> None:
        account.balance += event.amount

    @applies(TransferReturned)
    def transfer_returned(self, account: Account, event: TransferReturned) -> None:
        account.balance += event.amount

    @applies(AccountClosed)
    def account_closed(self, account: Account) -> None:
        account.closed = True

    @handles(OpenAccount)
    async def open(self, command: OpenAccount, account: Account) -> AccountOpened:
        if account.owner:
            raise CommandRejectedError.precondition_failed("ACCOUNT_EXISTS", "account is already open")
        return AccountOpened(owner=command.owner, opened_at=now(), tier=command.tier)

    @handles(Deposit)
    def deposit(self, command: Deposit, account: Account, sequence: int) -> Deposited:
        require_positive(command.amount, "amount")
        self._must_be_open(account)
        return Deposited(amount=command.amount, balance=account.balance + command.amount)

    @handles(Withdraw)
    def withdraw(self, command: Withdraw, account: Account) -> Withdrawn:
        require_positive(command.amount, "amount")
        self._must_be_open(account)
        self._must_hold(account, command.amount)
        return Withdrawn(amount=command.amount, balance=account.balance - command.amount)

    @handles(RequestTransfer)
    def request_transfer(self, command: RequestTransfer, account: Account) -> TransferRequested:
        require_positive(command.amount, "amount")
        self._must_hold(account, command.amount)
        return TransferRequested(to=command.to, amount=command.amount)

    @handles(ReceiveTransfer)
    def receive_transfer(self, command: ReceiveTransfer, account: Account) -> TransferReceived:
        self._must_be_open(account)
        return TransferReceived(from_=command.from_, amount=command.amount)

    @handles(CloseAccount)
    def close(self, command: CloseAccount, account: Account) -> list[Withdrawn | AccountClosed]:
        self._must_be_open(account)
        closed = AccountClosed(reason=command.reason)
        return [Withdrawn(amount=account.balance, balance=0), closed] if account.balance else [closed]

    @handles_fact(InterestPosted)
    def interest(self, fact: InterestPosted, account: Account) -> Deposited:
        return Deposited(amount=fact.amount, balance=account.balance + fact.amount)

    @rejected("account", "ReceiveTransfer")
    def give_back(self, notification: Notification, account: Account) -> TransferReturned:
        from angzarr.compensation import CompensationContext

        context = CompensationContext.from_notification(notification)
        assert context.rejected_command is not None
        command = ReceiveTransfer.FromString(context.rejected_command.pages[0].command.value)
        return TransferReturned(amount=command.amount, reason=context.rejection_reason)

    def _must_be_open(self, account: Account) -> None:
        if not account.owner:
            raise CommandRejectedError.not_found("NO_SUCH_ACCOUNT", "there is no such account")
        if account.closed:
            raise CommandRejectedError.precondition_failed("ACCOUNT_CLOSED", "account is closed")

    def _must_hold(self, account: Account, amount: int) -> None:
        if account.balance < amount:
            raise CommandRejectedError.precondition_failed(
                "INSUFFICIENT_FUNDS", "balance is too low", {"balance": account.balance, "amount": amount}
            )


@saga(name="transfers", source="account", target="account")
class Transfers:
    @handles(TransferRequested)
    async def send(
        self, event: TransferRequested, destinations: Destinations, source_cover: Cover
    ) -> CommandBook:
        command = ReceiveTransfer(from_=source_cover.root.value, amount=event.amount)
        return destinations.command_for("account", event.to, command)


@process_manager(
    name="onboarding", pm_domain="onboarding", sources=["account"], targets=["mail"], state=Onboarding
)
class Onboardings:
    """Welcomes an owner at the second deposit."""

    @applies(OnboardingStarted)
    def started(self, process: Onboarding, event: OnboardingStarted) -> None:
        process.owner = event.owner

    @applies(OnboardingDeposit)
    def counted(self, process: Onboarding, event: OnboardingDeposit) -> None:
        process.deposits += 1

    @applies(OnboardingWelcomed)
    def welcomed(self, process: Onboarding) -> None:
        process.welcomed = True

    @handles(AccountOpened)
    def opened(self, event: AccountOpened, process: Onboarding) -> ProcessManagerResponse:
        return ProcessManagerResponse(process_events=_events(OnboardingStarted(owner=event.owner)))

    @handles(Deposited)
    def deposited(
        self, event: Deposited, process: Onboarding, destinations: Destinations, source_cover: Cover
    ) -> ProcessManagerResponse | None:
        if process.welcomed:
            return None
        deposit = OnboardingDeposit(amount=event.amount)
        if process.deposits == 0:
            return ProcessManagerResponse(process_events=_events(deposit))
        welcome = SendWelcome(owner=process.owner, deposits=process.deposits + 1)
        return ProcessManagerResponse(
            commands=[destinations.command_for("mail", source_cover.root.value, welcome)],
            process_events=_events(deposit, OnboardingWelcomed(gift="pen")),
        )


def _events(*events: OnboardingStarted | OnboardingDeposit | OnboardingWelcomed) -> EventBook:
    return EventBook(pages=[EventPage(event=pack(event)) for event in events])


@projector(name="statements", domains=["account"])
class Statements:
    """Collects lines per account; made once and shared, since it keeps what it has seen."""

    def __init__(self) -> None:
        self.lines: dict[bytes, list[StatementLine]] = {}

    @handles(Deposited)
    async def deposited(self, event: Deposited, cover: Cover) -> Statement:
        return self._line(cover, "deposit", event.amount)

    @handles(Withdrawn)
    def withdrawn(self, event: Withdrawn, cover: Cover) -> Statement:
        return self._line(cover, "withdrawal", -event.amount)

    def _line(self, cover: Cover, text: str, amount: int) -> Statement:
        lines = self.lines.setdefault(cover.root.value, [])
        lines.append(StatementLine(text=text, amount=amount))
        return Statement(lines=list(lines), total=sum(line.amount for line in lines))


@upcaster(name="account-v2", domain="account")
class AccountV2:
    @upcasts(AccountOpenedV1, AccountOpenedV2)
    def names(self, old: AccountOpenedV1) -> AccountOpenedV2:
        first, _, last = old.name.partition(" ")
        return AccountOpenedV2(first_name=first, last_name=last)


@upcaster(name="account-v3", domain="account")
class AccountV3:
    @upcasts(AccountOpenedV2, AccountOpened)
    def owner(self, old: AccountOpenedV2) -> AccountOpened:
        return AccountOpened(owner=f"{old.first_name} {old.last_name}".strip())


def bank() -> Sequence[AnyRouter]:
    """Fresh routers of the whole bank: command handlers, saga, process manager, projector, upcasters."""
    statements = Statements()
    return (
        Router("accounts").with_handler(Accounts, Accounts).build(),
        Router("transfers").with_handler(Transfers, Transfers).build(),
        Router("onboarding").with_handler(Onboardings, Onboardings).build(),
        Router("statements").with_handler(Statements, lambda: statements).build(),
        Router("account-upcasters")
        .with_handler(AccountV2, AccountV2)
        .with_handler(AccountV3, AccountV3)
        .build(),
    )
