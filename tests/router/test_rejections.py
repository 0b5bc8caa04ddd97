"""``@rejected`` on command handlers: what a Notification command does."""

from typing import Any

import pytest

from angzarr.compensation import (
    CompensationContext,
    delegate_to_framework,
    emit_compensation_events,
    pm_delegate_to_framework,
    pm_emit_compensation_events,
)
from angzarr.errors import DispatchError
from angzarr.messages import Any as PackedAny
from angzarr.messages import (
    BusinessResponse,
    CommandBook,
    EventBook,
    EventPage,
    Notification,
    RejectionNotification,
    RevocationResponse,
    encode,
    has_field,
    pack,
)
from angzarr.router import RejectionHandlerResponse, command_handler, rejected
from tests.bank.domain import Accounts
from tests.bank.messages import (
    Account,
    AccountClosed,
    AccountOpened,
    Deposit,
    Deposited,
    OpenAccount,
    ReceiveTransfer,
    TransferReturned,
    Withdrawn,
)
from tests.router.conftest import Dispatch
from tests.router.helpers import (
    book,
    command,
    command_router,
    cover,
    events_in,
    notification,
    request,
    sequences_in,
)

REFUSED = command(ReceiveTransfer(amount=30), of=cover(domain="inventory"))


def answering(*results: Any) -> list[type]:
    """One class a result, each answering the rejection of inventory/ReceiveTransfer with it."""

    def one(result: Any) -> type:
        @command_handler(domain="account", state=Account)
        class Answering:
            @rejected("inventory", "ReceiveTransfer")
            def refused(self, notification: Notification, state: Account) -> Any:
                return result

        return Answering

    return [one(result) for result in results]


def compensating(*events: Any) -> EventBook:
    return EventBook(pages=[EventPage(event=pack(event)) for event in events])


async def answer_of(dispatch: Dispatch, *results: Any, start: int = 7) -> BusinessResponse:
    router = command_router(*answering(*results))
    return await dispatch(router, request(notification(REFUSED), after=book(start=start)))


async def test_the_method_of_the_refused_command_is_called_with_notification_and_state(
    dispatch: Dispatch,
) -> None:
    refused = command(ReceiveTransfer(amount=30), of=cover(domain="account"))
    asked = request(
        notification(refused, reason="closed"), after=book(AccountOpened(owner="a"), Deposited(balance=9))
    )
    response = await dispatch(command_router(Accounts), asked)
    assert events_in(response.events) == [TransferReturned(amount=30, reason="closed")]
    assert sequences_in(response.events) == [2]


@pytest.mark.parametrize(
    "url",
    [
        "type.googleapis.com/angzarr_client.proto.angzarr.Notification",
        "type.angzarr.io/angzarr.Notification",
        "angzarr.Notification",
    ],
)
async def test_notifications_are_known_by_the_names_production_writes(dispatch: Dispatch, url: str) -> None:
    note = notification(REFUSED)
    note.payload.type_url = url.replace("Notification", "RejectionNotification")
    asked = request(note)
    asked.command.pages[0].command.type_url = url
    router = command_router(*answering(AccountClosed()))
    response = await dispatch(router, asked)
    assert events_in(response.events) == [AccountClosed()]


async def test_the_command_is_matched_by_its_last_segment_behind_any_package(dispatch: Dispatch) -> None:
    refused = command(ReceiveTransfer(), of=cover(domain="inventory"))
    refused.pages[0].command.type_url = "x.example/warehouse.v2.ReceiveTransfer"
    router = command_router(*answering(AccountClosed()))
    response = await dispatch(router, request(notification(refused)))
    assert len(response.events.pages) == 1


@pytest.mark.parametrize(
    "refused",
    [
        command(ReceiveTransfer(), of=cover(domain="shipping")),
        command(Deposit(), of=cover(domain="inventory")),
        CommandBook(cover=cover(domain="inventory")),
        CommandBook(),
        None,
    ],
    ids=["other domain", "other command", "no pages", "nothing", "absent"],
)
async def test_a_rejection_that_concerns_nobody_gives_an_empty_book(
    dispatch: Dispatch, refused: CommandBook | None
) -> None:
    router = command_router(*answering(AccountClosed()))
    response = await dispatch(router, request(notification(refused)))
    assert has_field(response, "events")
    assert response.events.pages == []


async def test_a_payload_of_another_type_reads_as_an_empty_rejection(dispatch: Dispatch) -> None:
    note = Notification(cover=cover(), payload=pack(Deposit()))
    response = await dispatch(command_router(*answering(AccountClosed())), request(note))
    assert response.events.pages == []


@pytest.mark.parametrize("broken", ["notification", "rejection"])
async def test_a_notification_that_cannot_be_decoded_is_an_error(dispatch: Dispatch, broken: str) -> None:
    note = notification(REFUSED)
    if broken == "rejection":
        note.payload.value = b"\x0a\x7f"
    asked = request(note)
    if broken == "notification":
        asked.command.pages[0].command.value = b"\x0a\x7f"
    with pytest.raises(DispatchError) as caught:
        await dispatch(command_router(*answering(None)), asked)
    assert caught.value.error_code == "ANY_DECODE_FAILED"


async def test_all_matching_methods_of_all_classes_answer_and_their_sequences_continue(
    dispatch: Dispatch,
) -> None:
    response = await answer_of(dispatch, Withdrawn(amount=1), None, AccountClosed(reason="x"))
    assert events_in(response.events) == [Withdrawn(amount=1), AccountClosed(reason="x")]
    assert sequences_in(response.events) == [7, 8]
    assert response.events.next_sequence == 9


async def test_the_class_need_not_be_of_the_notified_domain(dispatch: Dispatch) -> None:
    asked = request(notification(REFUSED))
    asked.command.cover.domain = "somewhere"
    response = await dispatch(command_router(*answering(AccountClosed())), asked)
    assert len(response.events.pages) == 1


async def test_a_method_may_answer_nothing(dispatch: Dispatch) -> None:
    response = await answer_of(dispatch, None)
    assert has_field(response, "events")
    assert response.events.pages == []


@pytest.mark.parametrize(
    "result",
    [
        delegate_to_framework("cannot"),
        RevocationResponse(emit_system_revocation=True, reason="cannot"),
        pm_delegate_to_framework("cannot"),
    ],
    ids=["business", "bare", "process manager's"],
)
async def test_a_revocation_reaches_the_wire(dispatch: Dispatch, result: Any) -> None:
    response = await answer_of(dispatch, result)
    assert has_field(response, "revocation")
    assert response.revocation == RevocationResponse(emit_system_revocation=True, reason="cannot")


@pytest.mark.parametrize(
    "result",
    [
        BusinessResponse(notification=Notification(cover=cover(domain="up"))),
        RejectionHandlerResponse(notification=Notification(cover=cover(domain="up"))),
    ],
    ids=["business", "container"],
)
async def test_a_notification_reaches_the_wire(dispatch: Dispatch, result: Any) -> None:
    response = await answer_of(dispatch, result)
    assert has_field(response, "notification")
    assert response.notification.cover.domain == "up"


@pytest.mark.parametrize(
    "result",
    [
        AccountClosed(reason="a"),
        [AccountClosed(reason="a")],
        compensating(AccountClosed(reason="a")),
        emit_compensation_events(compensating(AccountClosed(reason="a"))),
        RejectionHandlerResponse(events=[compensating(AccountClosed(reason="a"))]),
        pm_emit_compensation_events(compensating(AccountClosed(reason="a"))),
    ],
    ids=["message", "list", "book", "business", "container", "process manager's"],
)
async def test_events_are_stamped_however_they_are_returned(dispatch: Dispatch, result: Any) -> None:
    response = await answer_of(dispatch, result)
    assert events_in(response.events) == [AccountClosed(reason="a")]
    assert sequences_in(response.events) == [7]
    assert response.events.cover.domain == "account"


async def test_the_books_of_a_container_are_merged_and_the_first_cover_set_wins(
    dispatch: Dispatch,
) -> None:
    first, second, third = (compensating(AccountClosed(reason=text)) for text in "abc")
    second.cover, third.cover = cover(correlation_id="second"), cover(correlation_id="third")
    container = RejectionHandlerResponse(
        events=[first, second, third], notification=Notification(cover=cover())
    )
    response = await answer_of(dispatch, container)
    assert [encode(event) for event in events_in(response.events)] == [
        b"\x0a\x01a",
        b"\x0a\x01b",
        b"\x0a\x01c",
    ]
    assert response.events.cover.correlation_id == "second"


async def test_a_notification_command_needs_a_domain_too(dispatch: Dispatch) -> None:
    asked = request(notification(REFUSED))
    asked.command.cover.domain = ""
    with pytest.raises(DispatchError) as caught:
        await dispatch(command_router(*answering(None)), asked)
    assert caught.value.error_code == "MISSING_COMMAND_BOOK"


async def test_a_rejection_and_a_command_may_share_a_book(dispatch: Dispatch) -> None:
    refused = command(ReceiveTransfer(amount=3), of=cover(domain="account"))
    asked = request(OpenAccount(owner="a"), notification(refused), Deposit(amount=1))
    response = await dispatch(command_router(Accounts), asked)
    assert sequences_in(response.events) == [0, 1, 2]
    assert events_in(response.events)[2] == Deposited(amount=1, balance=4)


async def test_the_context_helper_reads_what_the_method_is_given(dispatch: Dispatch) -> None:
    seen = []

    @command_handler(domain="account", state=Account)
    class Reading:
        @rejected("inventory", "ReceiveTransfer")
        async def refused(self, notification: Notification) -> None:
            seen.append(CompensationContext.from_notification(notification))

    await dispatch(command_router(Reading), request(notification(REFUSED, reason="full")))
    assert seen[0].rejection_reason == "full"
    assert seen[0].rejected_command_type == "type.googleapis.com/bank.ReceiveTransfer"


def test_the_payload_of_the_tests_is_a_rejection() -> None:
    assert notification(REFUSED).payload == PackedAny(
        type_url="type.googleapis.com/angzarr_client.proto.angzarr.RejectionNotification",
        value=encode(RejectionNotification(rejected_command=REFUSED, rejection_reason="no")),
    )
