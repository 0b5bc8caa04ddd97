from collections.abc import Mapping
from typing import Any
from unittest.mock import ANY

import pytest
from grpclib.const import Status

from angzarr.compensation import delegate_to_framework, pm_delegate_to_framework
from angzarr.destinations import Destinations
from angzarr.errors import DispatchError
from angzarr.messages import (
    AngzarrDeferredSequence,
    BusinessResponse,
    CommandBook,
    Cover,
    Edition,
    EventBook,
    EventPage,
    ExternalDeferredSequence,
    Notification,
    PageHeader,
    PayloadReference,
    RevocationResponse,
    SagaHandleRequest,
    SagaResponse,
    encode,
    has_field,
    pack,
    unpack,
)
from angzarr.messages import Any as PackedAny
from angzarr.router import (
    RejectionHandlerResponse,
    SagaHandlerResponse,
    SagaRouter,
    handles,
    rejected,
    saga,
)
from angzarr.router.rejections import carried
from tests.bank.domain import Transfers
from tests.bank.messages import (
    AccountClosed,
    AccountOpened,
    AccountViewed,
    Deposit,
    Deposited,
    ReceiveTransfer,
    TransferRequested,
)
from tests.router.conftest import Dispatch, over_messages
from tests.router.helpers import (
    OTHER,
    ROOT,
    book,
    command,
    commands_in,
    cover,
    notification,
    page,
    saga_router,
)


def reacting(result: Any) -> SagaRouter:
    """A saga that answers a Deposited with whatever is given."""

    @saga(name="reacting", source="account", target="mail")
    class Reacting:
        @handles(Deposited)
        def deposited(self, event: Deposited) -> Any:
            return result

        @rejected("mail", "Deposit")
        def refused(self, notification: Notification) -> Any:
            return result

    return saga_router(Reacting)


def asked(source: EventBook, sequences: Mapping[str, int] | None = None) -> SagaHandleRequest:
    return SagaHandleRequest(source=source, destination_sequences=dict(sequences or {}))


async def refusal(dispatch: Dispatch, router: SagaRouter, request: SagaHandleRequest) -> DispatchError:
    with pytest.raises(DispatchError) as caught:
        await dispatch(router, request)
    return caught.value


async def test_an_event_becomes_a_command_addressed_as_a_reaction(dispatch: Dispatch) -> None:
    source = book(TransferRequested(to=OTHER, amount=5), start=8)
    response = await dispatch(saga_router(Transfers), asked(source))
    assert commands_in(response.commands) == [ReceiveTransfer(from_=ROOT, amount=5)]
    made = response.commands[0]
    assert (made.cover.domain, made.cover.root.value, made.cover.correlation_id) == (
        "account",
        OTHER,
        "corr-1",
    )
    deferred = made.pages[0].header.angzarr_deferred
    assert (deferred.source.root.value, deferred.source_seq) == (ROOT, 8)


async def test_every_page_counts_in_order(dispatch: Dispatch) -> None:
    source = book(
        TransferRequested(to=OTHER, amount=1), AccountViewed(), TransferRequested(to=OTHER, amount=2)
    )
    response = await dispatch(saga_router(Transfers), asked(source))
    assert [found.amount for found in commands_in(response.commands)] == [1, 2]  # type: ignore[attr-defined]
    assert [made.pages[0].header.angzarr_deferred.source_seq for made in response.commands] == [0, 2]


async def test_the_edition_of_the_trigger_goes_along(dispatch: Dispatch) -> None:
    source = book(TransferRequested(to=OTHER, amount=1))
    source.cover.edition = Edition(name="what-if")
    response = await dispatch(saga_router(Transfers), asked(source))
    assert response.commands[0].cover.edition.name == "what-if"


async def test_a_request_without_source_is_refused(dispatch: Dispatch) -> None:
    error = await refusal(dispatch, saga_router(Transfers), SagaHandleRequest())
    assert (error.code(), error.error_code, str(error)) == (
        Status.INVALID_ARGUMENT,
        "MISSING_SAGA_SOURCE",
        "missing saga source",
    )


@pytest.mark.parametrize(
    ("source", "code", "text"),
    [
        (EventBook(), "EMPTY_SAGA_SOURCE", "empty saga source"),
        (EventBook(cover=cover()), "EMPTY_SAGA_SOURCE", "empty saga source"),
        (
            EventBook(cover=cover(), pages=[EventPage(), EventPage(external=PayloadReference(uri="x"))]),
            "MISSING_SAGA_EVENT_PAYLOAD",
            "missing event payload",
        ),
        (
            EventBook(cover=cover(), pages=[page(Deposited()), EventPage(event=PackedAny(value=b"x"))]),
            "SAGA_INVALID_TYPE_URL",
            "saga trigger has invalid type_url",
        ),
        (
            EventBook(cover=cover(), pages=[EventPage(event=PackedAny(type_url="type.googleapis.com/"))]),
            "SAGA_INVALID_TYPE_URL",
            "saga trigger has invalid type_url",
        ),
    ],
)
async def test_an_incomplete_source_is_refused(
    dispatch: Dispatch, source: EventBook, code: str, text: str
) -> None:
    error = await refusal(dispatch, saga_router(Transfers), asked(source))
    assert (error.code(), error.error_code, str(error)) == (Status.INVALID_ARGUMENT, code, text)


async def test_pages_that_cannot_be_handled_are_skipped(dispatch: Dispatch) -> None:
    source = EventBook(
        cover=cover(),
        pages=[
            EventPage(external=PayloadReference(uri="x")),
            page(AccountViewed()),
            page(TransferRequested(to=OTHER, amount=3), prefix=""),
        ],
    )
    response = await dispatch(saga_router(Transfers), asked(source))
    assert len(response.commands) == 1


@pytest.mark.parametrize(
    "source",
    [
        book(TransferRequested(to=OTHER), of=cover(domain="table")),
        EventBook(cover=cover(domain="table")),
        EventBook(cover=cover(domain="table"), pages=[EventPage(external=PayloadReference(uri="x"))]),
    ],
)
async def test_the_books_of_foreign_domains_give_an_empty_answer_and_never_an_error(
    dispatch: Dispatch,
    source: EventBook,
) -> None:
    assert encode(await dispatch(saga_router(Transfers), asked(source))) == b""


async def test_a_type_that_no_saga_handles_gives_an_empty_answer(dispatch: Dispatch) -> None:
    response = await dispatch(saga_router(Transfers), asked(book(AccountOpened(owner="a"))))
    assert encode(response) == b""


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (PageHeader(sequence=9), 9),
        (PageHeader(external_deferred=ExternalDeferredSequence(external_id="x")), 0),
        (PageHeader(angzarr_deferred=AngzarrDeferredSequence(source_seq=4)), 4),
        (None, 0),
    ],
)
async def test_the_source_sequence_is_the_pages_own(
    dispatch: Dispatch, header: PageHeader | None, expected: int
) -> None:
    told = []

    @saga(name="telling", source="account", target="mail")
    class Telling:
        @handles(Deposited)
        def deposited(self, event: Deposited, destinations: Destinations, source_seq: int) -> None:
            told.append((source_seq, destinations.source_seq))

    trigger = page(Deposited())
    if header is not None:
        trigger.header = header
    await dispatch(saga_router(Telling), asked(EventBook(cover=cover(), pages=[trigger])))
    assert told == [(expected, expected)]


async def test_handlers_get_what_they_ask_for_by_name(dispatch: Dispatch) -> None:
    told: dict[str, Any] = {}

    @saga(name="asking", source="account", target="mail")
    class Asking:
        @handles(Deposited)
        def deposited(
            self,
            event: Deposited,
            correlation_id: str,
            source_cover: Cover,
            *,
            destinations: Destinations,
            cover: Cover,
        ) -> None:
            told.update(
                correlation=correlation_id,
                source=source_cover,
                sequences=destinations.sequences,
                cover=cover,
            )

    await dispatch(saga_router(Asking), asked(book(Deposited()), {"mail": 3}))
    assert told["correlation"] == "corr-1"
    assert told["source"].root.value == ROOT
    assert told["cover"].domain == "account"
    assert told["sequences"] == {"mail": 3}


async def test_without_a_cover_the_source_cover_is_none_and_sagas_of_no_domain_match(
    dispatch: Dispatch,
) -> None:
    told: list[object] = []

    @saga(name="asking", source="account", target="mail")
    class Asking:
        @rejected("mail", "Deposit")
        def refused(self, notification: Notification, source_cover: Cover | None, cover: Cover) -> None:
            told.extend([source_cover, encode(cover)])

        @handles(Deposited)
        def deposited(self, event: Deposited) -> None:
            told.append("called")

    refused = notification(command(Deposit(), of=cover(domain="mail")))
    source = EventBook(pages=[page(Deposited()), page(refused)])
    await dispatch(saga_router(Asking), asked(source))
    assert told == [None, b""]


MAIL = command(Deposit(), of=cover(domain="mail"))
FACT = book(Deposited(), of=cover(domain="audit"))


@pytest.mark.parametrize(
    ("result", "commands", "events"),
    [
        (None, 0, 0),
        (MAIL, 1, 0),
        (FACT, 0, 1),
        ([MAIL, FACT, MAIL], 2, 1),
        ((FACT,), 0, 1),
        ([], 0, 0),
        (SagaHandlerResponse(), 0, 0),
        (SagaHandlerResponse(commands=[MAIL], events=[FACT, FACT]), 1, 2),
    ],
)
async def test_a_saga_may_answer_books_and_lists_and_its_container(
    dispatch: Dispatch, result: Any, commands: int, events: int
) -> None:
    response = await dispatch(reacting(result), asked(book(Deposited())))
    assert (len(response.commands), len(response.events)) == (commands, events)


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ("text", "str"),
        (Deposit(), "Deposit"),
        ([MAIL, 7], "int"),
        (SagaHandlerResponse(commands=[7]), "int"),  # type: ignore[list-item]
        (SagaHandlerResponse(commands=[FACT]), "EventBook"),  # type: ignore[list-item]
        (SagaHandlerResponse(events=[MAIL]), "CommandBook"),  # type: ignore[list-item]
        ([MAIL, None], "NoneType"),
        (BusinessResponse(), "BusinessResponse"),
    ],
)
async def test_anything_else_is_named(dispatch: Dispatch, wrong: Any, name: str) -> None:
    error = await refusal(dispatch, reacting(wrong), asked(book(Deposited())))
    assert (error.code(), error.error_code, str(error)) == (
        Status.INTERNAL,
        "SAGA_HANDLER_UNSUPPORTED_RETURN_TYPE",
        "saga handler returned unsupported type",
    )
    assert error.extras == {
        "handler_class": "Reacting",
        "method": "deposited",
        "actual_return_type": name,
        "actual": ANY,
    }


async def test_on_books_a_handler_built_only_an_empty_correlation_id_is_filled_in(dispatch: Dispatch) -> None:
    bare = CommandBook(cover=Cover(domain="mail"), pages=[])
    own = CommandBook(cover=Cover(domain="mail", correlation_id="own"), pages=[])
    coverless = CommandBook(pages=[])
    fact = EventBook(cover=Cover(domain="audit"))
    response = await dispatch(reacting([bare, own, coverless, fact]), asked(book(Deposited())))
    assert [made.cover.correlation_id for made in response.commands] == ["corr-1", "own", ""]
    assert not has_field(response.commands[2], "cover")
    assert response.events[0].cover.correlation_id == "corr-1"
    assert bare.cover.correlation_id == ""


async def test_answers_follow_the_order_of_pages_then_sagas_then_methods(dispatch: Dispatch) -> None:
    def naming(name: str) -> type:
        @saga(name=name, source="account", target="mail")
        class Naming:
            @handles(Deposited)
            def zebra(self, event: Deposited) -> CommandBook:
                return CommandBook(cover=Cover(domain=f"{name}-z{event.amount}"))

            @handles(Deposited)
            def aardvark(self, event: Deposited) -> CommandBook:
                return CommandBook(cover=Cover(domain=f"{name}-a{event.amount}"))

        return Naming

    router = saga_router(naming("one"), naming("two"))
    response = await dispatch(router, asked(book(Deposited(amount=1), Deposited(amount=2))))
    assert [made.cover.domain for made in response.commands] == [
        "one-z1",
        "one-a1",
        "two-z1",
        "two-a1",
        "one-z2",
        "one-a2",
        "two-z2",
        "two-a2",
    ]


async def test_each_matching_method_gets_an_instance_and_an_event_of_its_own(dispatch: Dispatch) -> None:
    seen: list[tuple[object, object]] = []

    @saga(name="twice", source="account", target="mail")
    class Twice:
        @handles(Deposited)
        def first(self, event: Deposited) -> None:
            seen.append((self, event))
            event.amount = 99

        @handles(Deposited)
        def second(self, event: Deposited) -> None:
            seen.append((self, event))
            assert event.amount == 1

    await dispatch(saga_router(Twice), asked(book(Deposited(amount=1))))
    assert seen[0][0] is not seen[1][0]
    assert seen[0][1] is not seen[1][1]


async def test_a_trigger_that_cannot_be_decoded_is_an_error(dispatch: Dispatch) -> None:
    source = book(Deposited(amount=1))
    source.pages[0].event.value = b"\x08"
    error = await refusal(dispatch, reacting(None), asked(source))
    assert error.error_code == "ANY_DECODE_FAILED"


def rejection(of: Cover | None = None) -> SagaHandleRequest:
    refused = command(Deposit(), of=cover(domain="mail"))
    return asked(EventBook(cover=of or cover(), pages=[page(notification(refused))]))


async def test_a_rejection_reaches_the_method_of_the_refused_command(dispatch: Dispatch) -> None:
    response = await dispatch(reacting(FACT), rejection())
    assert len(response.events) == 1


async def test_the_domain_of_a_rejection_is_not_consulted(dispatch: Dispatch) -> None:
    response = await dispatch(reacting(MAIL), rejection(of=cover(domain="elsewhere")))
    assert len(response.commands) == 1


@pytest.mark.parametrize(
    "result",
    [
        BusinessResponse(events=FACT),
        RejectionHandlerResponse(events=[FACT]),
        SagaHandlerResponse(events=[FACT]),
    ],
)
async def test_events_that_answer_a_rejection_are_facts(dispatch: Dispatch, result: Any) -> None:
    response = await dispatch(reacting(result), rejection())
    assert [encode(found) for found in response.events] == [encode(FACT)]


@pytest.mark.parametrize(
    "result",
    [
        delegate_to_framework("full"),
        RevocationResponse(emit_system_revocation=True, reason="full"),
        pm_delegate_to_framework("full"),
    ],
)
async def test_a_revocation_travels_among_the_facts(dispatch: Dispatch, result: Any) -> None:
    response = await dispatch(reacting(result), rejection())
    assert unpack(response.events[0].pages[0].event, RevocationResponse).reason == "full"
    assert response.events[0].cover.domain == "account"
    facts, answer = carried(response.events)
    assert facts == []
    assert answer.revocation == RevocationResponse(emit_system_revocation=True, reason="full")


async def test_books_of_an_answer_to_a_rejection_that_are_none_are_named(dispatch: Dispatch) -> None:
    wrong = RejectionHandlerResponse(events=[MAIL])  # type: ignore[list-item]
    error = await refusal(dispatch, reacting(wrong), rejection())
    assert error.error_code == "SAGA_HANDLER_UNSUPPORTED_RETURN_TYPE"
    assert (error.extras["method"], error.extras["actual_return_type"]) == ("refused", "CommandBook")


@pytest.mark.parametrize("wrong", [None, 7])
async def test_a_container_that_holds_no_list_is_named(dispatch: Dispatch, wrong: Any) -> None:
    result = SagaHandlerResponse()
    result.commands = wrong
    with pytest.raises(TypeError) as caught:
        await dispatch(reacting(result), asked(book(Deposited())))
    assert "raised by Reacting.deposited, handling bank.Deposited" in caught.value.__notes__[0]


async def test_a_notification_travels_among_the_facts_beside_events(dispatch: Dispatch) -> None:
    up = Notification(cover=cover(domain="up"))
    result = RejectionHandlerResponse(events=[FACT], notification=up)
    response = await dispatch(reacting(result), rejection())
    facts, answer = carried(response.events)
    assert [encode(found) for found in facts] == [encode(FACT)]
    assert answer.notification == up


async def test_a_rejection_that_concerns_nobody_gives_an_empty_answer(dispatch: Dispatch) -> None:
    refused = command(AccountClosed(), of=cover(domain="mail"))
    source = EventBook(cover=cover(), pages=[page(notification(refused))])
    assert encode(await dispatch(reacting(FACT), asked(source))) == b""


async def test_another_message_is_refused() -> None:
    error = await refusal(over_messages, reacting(None), pack(Deposited()))  # type: ignore[arg-type]
    assert error.error_code == "HANDLER_WRONG_REQUEST_KIND"


async def test_containers_start_with_lists_of_their_own() -> None:
    first, second = SagaHandlerResponse(), SagaHandlerResponse()
    assert (first.commands, first.events) == ([], [])
    assert first.commands is not second.commands
    assert isinstance(SagaResponse(), SagaResponse)
