"""A person's account is refused its welcome: real routers that answer the rejection as a test has it.

Command ``OpenAccount`` to domain ``person`` → saga ``sign-up`` → ``OpenAccount`` to domain ``account`` → saga
``welcome`` or process manager ``greeting`` → ``SendWelcome`` to ``mail``, which refuses, and to ``vault``, which
does not.
"""

import uuid
from collections.abc import Callable
from typing import Any

from angzarr.app import App
from angzarr.coordinator import CoordinatorConfig, EmbeddedCoordinator
from angzarr.destinations import Destinations
from angzarr.errors import CommandRejectedError
from angzarr.messages import (
    AngzarrDeadLetter,
    CommandBook,
    CommandResponse,
    Cover,
    EventBook,
    EventPage,
    Notification,
    SagaCompensationFailed,
    SyncMode,
    framework_name,
    pack,
    type_name_from_url,
    unpack,
)
from angzarr.router import (
    AnyRouter,
    ProcessManagerResponse,
    Router,
    command_handler,
    handles,
    process_manager,
    projector,
    rejected,
    saga,
)
from tests.bank.messages import (
    Account,
    AccountOpened,
    AccountViewed,
    OnboardingStarted,
    OpenAccount,
    SendWelcome,
)
from tests.coordinator.worlds import FAST

ROOT = uuid.UUID(int=0xACC)
FLOW = str(uuid.UUID(int=0xF10))

Answer = Callable[[Notification], Any]


def nothing(notification: Notification) -> None:
    """The answer of somebody who does not care."""


class Quarrel:
    """The application, what its ``@rejected`` methods answer, and what came of it.

    Args:
        account: answer of the domain ``account``.
        person: answer of the domain ``person``.
        saga: answer of the saga; without one it has no ``@rejected`` method.
        manager: answer of the process manager, which then takes the saga's place.
    """

    def __init__(
        self,
        *,
        account: Answer = nothing,
        person: Answer = nothing,
        saga: Answer | None = None,
        manager: Answer | None = None,
    ) -> None:
        self.told: list[str] = []
        self.heard: dict[str, list[Notification]] = {}
        self._answers = {"account": account, "person": person, "saga": saga, "manager": manager}
        self.by_manager = manager is not None
        self.history: dict[str, list[str]] = {}
        self.failures: list[SagaCompensationFailed] = []
        self.projected: list[str] = []
        self.letters: list[AngzarrDeadLetter] = []

    def tell(self, who: str, notification: Notification) -> Any:
        self.told.append(who)
        self.heard.setdefault(who, []).append(notification)
        answer = self._answers[who]
        assert answer is not None
        return answer(notification)

    async def run(
        self, *, config: CoordinatorConfig = FAST, mode: SyncMode = SyncMode.ASYNC, **options: Any
    ) -> CommandResponse | Exception:
        """Open an account, and look at what has become of it."""
        answer: CommandResponse | Exception
        async with EmbeddedCoordinator(self.app(), config=config) as running:
            builder = (
                running.client("person")
                .command_handler.command("person", ROOT)
                .with_correlation_id(FLOW)
                .with_command(OpenAccount(owner="alice"))
            )
            try:
                answer = await builder.execute(sync_mode=mode, **options)
            except Exception as error:
                answer = error
            await running.settle(30)
            for domain in ("person", "account", "mail", "vault"):
                self.history[domain] = names(await running.events(domain, ROOT))
            self.history["greeting"] = names(await running.events("greeting", uuid.UUID(FLOW)))
            for root in (ROOT, uuid.UUID(FLOW)):
                book = await running.events("angzarr.saga-failures", root)
                self.failures += (unpack(page.event, SagaCompensationFailed) for page in book.pages)
            self.letters = await running.dead_letters()
        return answer

    def app(self) -> App:
        """The application, fresh."""
        return App("quarrel", routers=self._routers())

    def _routers(self) -> list[AnyRouter]:
        reaction = self._greeting() if self.by_manager else self._welcome()
        return [
            *(Router(domain).with_handler(cls, cls).build() for domain, cls in self._domains().items()),
            Router("sign-up").with_handler(SignUp, SignUp).build(),
            Router("reaction").with_handler(reaction, reaction).build(),
            Router("failures").with_handler(Failures, lambda: Failures(self.projected)).build(),
        ]

    def _domains(self) -> dict[str, type]:
        quarrel = self

        @command_handler(domain="person", state=Account)
        class Persons(Opening):
            @rejected("mail", "SendWelcome")
            def refused(self, notification: Notification) -> Any:
                return quarrel.tell("person", notification)

        @command_handler(domain="account", state=Account)
        class Accounts(Opening):
            @rejected("mail", "SendWelcome")
            def refused(self, notification: Notification) -> Any:
                return quarrel.tell("account", notification)

        return {"person": Persons, "account": Accounts, "mail": Mail, "vault": Vault}

    def _welcome(self) -> type:
        if self._answers["saga"] is None:
            return Welcome
        quarrel = self

        @saga(name="welcome", source="account", target="mail")
        class Told:
            @handles(AccountOpened)
            def opened(
                self, event: AccountOpened, destinations: Destinations, source_cover: Cover
            ) -> list[CommandBook]:
                return welcomes(event, destinations, source_cover)

            @rejected("mail", "SendWelcome")
            def refused(self, notification: Notification) -> Any:
                return quarrel.tell("saga", notification)

        return Told

    def _greeting(self) -> type:
        quarrel = self

        @process_manager(
            name="greeting",
            pm_domain="greeting",
            sources=["account"],
            targets=["mail", "vault"],
            state=Account,
        )
        class Greetings:
            @handles(AccountOpened)
            def opened(
                self, event: AccountOpened, state: Account, destinations: Destinations, source_cover: Cover
            ) -> ProcessManagerResponse:
                return ProcessManagerResponse(
                    commands=welcomes(event, destinations, source_cover),
                    process_events=own(OnboardingStarted(owner=event.owner)),
                )

            @rejected("mail", "SendWelcome")
            def refused(self, notification: Notification) -> Any:
                return quarrel.tell("manager", notification)

        return Greetings


class Opening:
    @handles(OpenAccount)
    def open(self, command: OpenAccount) -> AccountOpened:
        return AccountOpened(owner=command.owner)


@command_handler(domain="mail", state=Account)
class Mail:
    @handles(SendWelcome)
    def send(self, command: SendWelcome) -> None:
        raise CommandRejectedError.precondition_failed("MAILBOX_FULL", "mailbox is full")


@command_handler(domain="vault", state=Account)
class Vault:
    @handles(SendWelcome)
    def send(self, command: SendWelcome) -> AccountViewed:
        return AccountViewed(viewer=command.owner)


@saga(name="sign-up", source="person", target="account")
class SignUp:
    @handles(AccountOpened)
    def opened(self, event: AccountOpened, destinations: Destinations, source_cover: Cover) -> CommandBook:
        return destinations.command_for("account", source_cover.root.value, OpenAccount(owner=event.owner))


@saga(name="welcome", source="account", target="mail")
class Welcome:
    @handles(AccountOpened)
    def opened(
        self, event: AccountOpened, destinations: Destinations, source_cover: Cover
    ) -> list[CommandBook]:
        return welcomes(event, destinations, source_cover)


@projector(name="failures", domains=["angzarr.saga-failures"])
class Failures:
    def __init__(self, seen: list[str]) -> None:
        self._seen = seen

    @handles(SagaCompensationFailed)
    def failed(self, event: SagaCompensationFailed, cover: Cover) -> None:
        self._seen.append(f"{cover.correlation_id}: {event.compensation_failure_reason}")


def welcomes(event: AccountOpened, destinations: Destinations, source: Cover) -> list[CommandBook]:
    command = SendWelcome(owner=event.owner)
    return [destinations.command_for(domain, source.root.value, command) for domain in ("mail", "vault")]


def own(*events: Any) -> EventBook:
    return EventBook(pages=[EventPage(event=pack(event)) for event in events])


def names(book: EventBook) -> list[str]:
    return [
        framework_name(page.event.type_url) or type_name_from_url(page.event.type_url).rpartition(".")[2]
        for page in book.pages
    ]
