from typing import Any
from unittest.mock import ANY

import pytest
from grpclib.const import Status

from angzarr.compensation import PMRevocationResponse, pm_emit_compensation_events
from angzarr.destinations import Destinations
from angzarr.errors import DispatchError
from angzarr.messages import Any as PackedAny
from angzarr.messages import (
    BusinessResponse,
    CommandBook,
    Cover,
    EventBook,
    EventPage,
    Notification,
    PayloadReference,
    ProcessManagerHandleRequest,
    ProcessManagerHandleResponse,
    RevocationResponse,
    Snapshot,
    encode,
    has_field,
    pack,
)
from angzarr.router import (
    ProcessManagerResponse,
    ProcessManagerRouter,
    RejectionHandlerResponse,
    applies,
    handles,
    process_manager,
    rejected,
)
from angzarr.router.rejections import carried
from tests.bank.domain import Onboardings
from tests.bank.messages import (
    AccountOpened,
    AccountViewed,
    Deposit,
    Deposited,
    Onboarding,
    OnboardingDeposit,
    OnboardingStarted,
    OnboardingWelcomed,
    SendWelcome,
    Withdrawn,
)
from tests.router.conftest import Dispatch, over_messages
from tests.router.helpers import (
    OTHER,
    ROOT,
    book,
    command,
    commands_in,
    cover,
    events_in,
    notification,
    page,
    process_router,
)

PROCESS = cover(domain="onboarding", root=OTHER)


def declared(**changes: Any) -> Any:
    arguments: dict[str, Any] = {
        "name": "pm",
        "pm_domain": "onboarding",
        "sources": ["account"],
        "targets": ["mail"],
        "state": Onboarding,
    }
    return process_manager(**{**arguments, **changes})


def reacting(result: Any) -> ProcessManagerRouter:
    @declared()
    class Reacting:
        @handles(Deposited)
        def deposited(self, event: Deposited) -> Any:
            return result

        @rejected("mail", "Deposit")
        def refused(self, notification: Notification, state: Onboarding) -> Any:
            return result

    return process_router(Reacting)


def asked(trigger: EventBook, state: EventBook | None = None) -> ProcessManagerHandleRequest:
    made = ProcessManagerHandleRequest(trigger=trigger, destination_sequences={"mail": 3})
    if state is not None:
        made.process_state = state
    return made


async def refusal(dispatch: Dispatch, router: ProcessManagerRouter, request: Any) -> DispatchError:
    with pytest.raises(DispatchError) as caught:
        await dispatch(router, request)
    return caught.value


def process_events(response: ProcessManagerHandleResponse) -> list[Any]:
    return [event for found in response.process_events for event in events_in(found)]


async def test_an_event_is_handled_on_the_state_of_the_process(dispatch: Dispatch) -> None:
    state = book(OnboardingStarted(owner="a"), OnboardingDeposit(), of=PROCESS)
    response = await dispatch(process_router(Onboardings), asked(book(Deposited(amount=4)), state))
    assert commands_in(response.commands) == [SendWelcome(owner="a", deposits=2)]
    assert process_events(response) == [OnboardingDeposit(amount=4), OnboardingWelcomed(gift="pen")]
    assert response.commands[0].cover.root.value == ROOT
    assert response.commands[0].cover.correlation_id == "corr-1"


async def test_without_process_state_the_state_is_fresh(dispatch: Dispatch) -> None:
    response = await dispatch(process_router(Onboardings), asked(book(Deposited(amount=4))))
    assert process_events(response) == [OnboardingDeposit(amount=4)]


async def test_process_events_of_a_page_count_for_the_next_page(dispatch: Dispatch) -> None:
    trigger = book(AccountOpened(owner="a"), Deposited(amount=1), Deposited(amount=2), Deposited(amount=3))
    response = await dispatch(process_router(Onboardings), asked(trigger))
    assert commands_in(response.commands) == [SendWelcome(owner="a", deposits=2)]
    assert process_events(response) == [
        OnboardingStarted(owner="a"),
        OnboardingDeposit(amount=1),
        OnboardingDeposit(amount=2),
        OnboardingWelcomed(gift="pen"),
    ]
    assert len(response.process_events) == 1


async def test_methods_of_one_page_see_the_state_before_it(dispatch: Dispatch) -> None:
    seen = []

    @declared()
    class Twice:
        @applies(OnboardingDeposit)
        def counted(self, state: Onboarding) -> None:
            state.deposits += 1

        @handles(Deposited)
        def first(self, event: Deposited, state: Onboarding) -> ProcessManagerResponse:
            seen.append(state.deposits)
            return ProcessManagerResponse(process_events=[EventBook(pages=[page(OnboardingDeposit())])])

        @handles(Deposited)
        def second(self, event: Deposited, state: Onboarding) -> None:
            seen.append(state.deposits)

    await dispatch(process_router(Twice), asked(book(Deposited(), Deposited())))
    assert seen == [0, 0, 1, 1]


async def test_the_state_starts_from_the_snapshot_of_the_process(dispatch: Dispatch) -> None:
    state = book(OnboardingDeposit(), OnboardingDeposit(), start=5, of=PROCESS)
    state.snapshot = Snapshot(sequence=5, state=pack(Onboarding(owner="S")))
    response = await dispatch(process_router(Onboardings), asked(book(Deposited()), state))
    assert commands_in(response.commands) == [SendWelcome(owner="S", deposits=2)]


async def test_a_request_without_trigger_is_refused(dispatch: Dispatch) -> None:
    error = await refusal(dispatch, process_router(Onboardings), ProcessManagerHandleRequest())
    assert (error.code(), error.error_code, str(error)) == (
        Status.INVALID_ARGUMENT,
        "MISSING_PM_TRIGGER",
        "missing PM trigger",
    )


@pytest.mark.parametrize(
    ("trigger", "code", "text"),
    [
        (EventBook(cover=cover()), "EMPTY_PM_TRIGGER", "empty PM trigger"),
        (
            EventBook(cover=cover(), pages=[EventPage(external=PayloadReference(uri="x"))]),
            "MISSING_PM_EVENT_PAYLOAD",
            "missing event payload on PM trigger",
        ),
        (
            EventBook(cover=cover(), pages=[EventPage(event=PackedAny(value=b"x")), page(Deposited())]),
            "PM_INVALID_TYPE_URL",
            "PM trigger has invalid type_url",
        ),
    ],
)
async def test_an_incomplete_trigger_is_refused(
    dispatch: Dispatch, trigger: EventBook, code: str, text: str
) -> None:
    error = await refusal(dispatch, process_router(Onboardings), asked(trigger))
    assert (error.code(), error.error_code, str(error)) == (Status.INVALID_ARGUMENT, code, text)


@pytest.mark.parametrize(
    "trigger",
    [
        book(Deposited(), of=cover(domain="table")),
        book(AccountViewed()),
        EventBook(pages=[page(Deposited())]),
    ],
    ids=["other domain", "other type", "no cover"],
)
async def test_what_no_process_manager_handles_gives_an_empty_answer(
    dispatch: Dispatch, trigger: EventBook
) -> None:
    assert encode(await dispatch(process_router(Onboardings), asked(trigger))) == b""


async def test_a_star_among_the_sources_is_no_wildcard(dispatch: Dispatch) -> None:
    @declared(sources=["*"])
    class Everything:
        @handles(Deposited)
        def deposited(self, event: Deposited) -> None:
            raise AssertionError("called")

    await dispatch(process_router(Everything), asked(book(Deposited())))


async def test_handlers_get_what_they_ask_for_by_name(dispatch: Dispatch) -> None:
    told: list[object] = []

    @declared()
    class Asking:
        @handles(Deposited)
        async def deposited(
            self,
            event: Deposited,
            state: Onboarding,
            source_cover: Cover,
            source_seq: int,
            destinations: Destinations,
            correlation_id: str,
        ) -> None:
            told.extend(
                [source_cover.root.value, source_seq, destinations.sequence_for("mail"), correlation_id]
            )

    await dispatch(process_router(Asking), asked(book(Deposited(), start=6)))
    assert told == [ROOT, 6, 3, "corr-1"]


MAIL = command(Deposit(), of=cover(domain="mail"))
OWN = EventBook(pages=[page(OnboardingDeposit())])
FACT = book(Withdrawn(), of=cover(domain="audit"))


@pytest.mark.parametrize(
    ("result", "commands", "own", "facts"),
    [
        (None, 0, 0, 0),
        (ProcessManagerResponse(), 0, 0, 0),
        (ProcessManagerResponse(commands=[MAIL, MAIL], process_events=[OWN], facts=[FACT]), 2, 1, 1),
        (ProcessManagerResponse(process_events=OWN), 0, 1, 0),
    ],
)
async def test_a_process_manager_answers_its_container_or_nothing(
    dispatch: Dispatch, result: Any, commands: int, own: int, facts: int
) -> None:
    response = await dispatch(reacting(result), asked(book(Deposited())))
    assert (len(response.commands), len(response.process_events), len(response.facts)) == (
        commands,
        own,
        facts,
    )


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        (MAIL, "CommandBook"),
        ([MAIL], "list"),
        ("text", "str"),
        (BusinessResponse(), "BusinessResponse"),
        (ProcessManagerResponse(commands=[OWN]), "EventBook"),  # type: ignore[list-item]
        (ProcessManagerResponse(facts=[MAIL]), "CommandBook"),  # type: ignore[list-item]
    ],
)
async def test_anything_else_is_named(dispatch: Dispatch, wrong: Any, name: str) -> None:
    error = await refusal(dispatch, reacting(wrong), asked(book(Deposited())))
    assert (error.code(), error.error_code, str(error)) == (
        Status.INTERNAL,
        "PM_HANDLER_WRONG_RETURN_TYPE",
        "PM handler must return ProcessManagerResponse",
    )
    assert error.extras == {
        "handler_class": "Reacting",
        "method": "deposited",
        "actual_return_type": name,
        "actual": ANY,
    }


async def test_several_books_of_process_events_become_one_and_the_first_cover_set_wins(
    dispatch: Dispatch,
) -> None:
    books = [
        EventBook(pages=[page(OnboardingStarted(owner="a"))]),
        EventBook(cover=Cover(), pages=[page(OnboardingDeposit(amount=1))]),
        EventBook(cover=cover(correlation_id="third"), pages=[page(OnboardingDeposit(amount=2))]),
        EventBook(cover=cover(correlation_id="fourth"), pages=[]),
    ]
    response = await dispatch(
        reacting(ProcessManagerResponse(process_events=books)), asked(book(Deposited()))
    )
    assert process_events(response) == [
        OnboardingStarted(owner="a"),
        OnboardingDeposit(amount=1),
        OnboardingDeposit(amount=2),
    ]
    assert len(response.process_events) == 1
    assert response.process_events[0].cover.domain == "account"
    assert response.process_events[0].cover.correlation_id == "third"


async def test_only_an_empty_correlation_id_is_filled_in(dispatch: Dispatch) -> None:
    result = ProcessManagerResponse(
        commands=[CommandBook(cover=Cover(domain="mail")), CommandBook()],
        process_events=[EventBook(pages=[page(OnboardingDeposit())])],
        facts=[EventBook(cover=Cover(domain="audit", correlation_id="own"))],
    )
    response = await dispatch(reacting(result), asked(book(Deposited())))
    assert [made.cover.correlation_id for made in response.commands] == ["corr-1", ""]
    assert not has_field(response.process_events[0], "cover")
    assert not has_field(response.process_events[0].pages[0], "header")
    assert response.facts[0].cover.correlation_id == "own"


def rejection() -> ProcessManagerHandleRequest:
    refused = command(Deposit(), of=cover(domain="mail"))
    return asked(EventBook(cover=PROCESS, pages=[page(notification(refused, reason="full"))]))


async def test_a_rejection_is_handled_on_the_state_of_the_process(dispatch: Dispatch) -> None:
    seen = []

    @declared()
    class Compensating:
        @applies(OnboardingStarted)
        def started(self, state: Onboarding, event: OnboardingStarted) -> None:
            state.owner = event.owner

        @rejected("mail", "Deposit")
        async def refused(self, notification: Notification, state: Onboarding, source_cover: Cover) -> Any:
            seen.append((state.owner, source_cover.domain))
            return ProcessManagerResponse(process_events=[OWN])

    request = rejection()
    request.process_state = book(OnboardingStarted(owner="a"), of=PROCESS)
    response = await dispatch(process_router(Compensating), request)
    assert seen == [("a", "onboarding")]
    assert process_events(response) == [OnboardingDeposit()]


@pytest.mark.parametrize(
    "result",
    [
        BusinessResponse(events=OWN),
        RejectionHandlerResponse(events=[OWN]),
        pm_emit_compensation_events(OWN),
    ],
)
async def test_events_that_answer_a_rejection_are_process_events(dispatch: Dispatch, result: Any) -> None:
    response = await dispatch(reacting(result), rejection())
    assert process_events(response) == [OnboardingDeposit()]


async def test_books_of_an_answer_to_a_rejection_that_are_none_are_named(dispatch: Dispatch) -> None:
    wrong = RejectionHandlerResponse(events=[MAIL])  # type: ignore[list-item]
    error = await refusal(dispatch, reacting(wrong), rejection())
    assert error.error_code == "PM_HANDLER_WRONG_RETURN_TYPE"
    assert (error.extras["method"], error.extras["actual_return_type"]) == ("refused", "CommandBook")


@pytest.mark.parametrize("wrong", [None, 7])
async def test_a_container_that_holds_no_list_is_named(dispatch: Dispatch, wrong: Any) -> None:
    result = ProcessManagerResponse()
    result.commands = wrong
    with pytest.raises(TypeError) as caught:
        await dispatch(reacting(result), asked(book(Deposited())))
    assert "raised by Reacting.deposited, handling bank.Deposited" in caught.value.__notes__[0]


async def test_a_revocation_reaches_the_wire_beside_process_events(dispatch: Dispatch) -> None:
    result = PMRevocationResponse(RevocationResponse(escalate=True, reason="full"), process_events=OWN)
    response = await dispatch(reacting(result), rejection())
    facts, answer = carried(response.facts)
    assert process_events(response) == [OnboardingDeposit()]
    assert facts == []
    assert answer.revocation == RevocationResponse(escalate=True, reason="full")
    assert response.facts[0].cover.domain == "onboarding"


async def test_a_notification_reaches_the_wire(dispatch: Dispatch) -> None:
    up = Notification(cover=cover(domain="up"))
    response = await dispatch(reacting(RejectionHandlerResponse(notification=up)), rejection())
    assert carried(response.facts)[1].notification == up


async def test_another_message_is_refused() -> None:
    assert (
        await refusal(over_messages, reacting(None), EventBook())
    ).error_code == "HANDLER_WRONG_REQUEST_KIND"
