"""Facts, speculation and compensation at the seam."""

import asyncio

import pytest
from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator import books
from angzarr.messages import (
    AngzarrDeferredSequence,
    BusinessResponse,
    CommandBook,
    EventBook,
    EventPage,
    EventRequest,
    ExternalDeferredSequence,
    Notification,
    PageHeader,
    Query,
    SpeculateCommandHandlerRequest,
    TemporalQuery,
)
from tests.coordinator.conftest import Bench, amounts, command, cover, event, request


def fact(external_id: str = "bank-1", amount: int = 5, **header: object) -> EventPage:
    made = PageHeader(external_deferred=ExternalDeferredSequence(external_id=external_id))
    return EventPage(header=PageHeader(**header) if header else made, event=event("Deposited", amount))  # type: ignore[arg-type]


def facts(*pages: EventPage, route: bool = False) -> EventRequest:
    return EventRequest(events=EventBook(cover=cover(), pages=list(pages)), route_to_handler=route)


async def stored(bench: Bench) -> list[tuple[int, str]]:
    return amounts(await bench.query.get_event_book(Query(cover=cover())))


async def test_facts_are_numbered_from_the_next_sequence(bench: Bench) -> None:
    await bench.service.handle_command(request(command("Deposit", 1)))
    page = fact()
    page.no_commit = True
    answer = await bench.service.handle_event(facts(page, fact("", 6)))
    assert amounts(answer.events) == [(1, "Deposited 5"), (2, "Deposited 6")]
    assert answer.already_processed is False
    assert [page.no_commit for page in answer.events.pages] == [False, False]
    assert answer.events.pages[0].created_at > books.EPOCH


async def test_a_fact_is_stored_once(bench: Bench) -> None:
    await bench.service.handle_event(facts(fact()))
    again = await bench.service.handle_event(facts(fact(amount=99)))
    assert again.already_processed is True
    assert amounts(again.events) == [(0, "Deposited 5")]
    assert await stored(bench) == [(0, "Deposited 5")]


async def test_racing_deliveries_of_one_fact_are_stored_once(bench: Bench) -> None:
    answers = await asyncio.gather(*(bench.service.handle_event(facts(fact())) for _ in range(20)))
    assert sum(not answer.already_processed for answer in answers) == 1
    assert await stored(bench) == [(0, "Deposited 5")]


async def test_facts_without_an_id_are_stored_each_time(bench: Bench) -> None:
    await bench.service.handle_event(facts(fact("")))
    await bench.service.handle_event(facts(fact("")))
    assert len(await stored(bench)) == 2


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (EventRequest(), "EventRequest must have events"),
        (facts(fact(sequence=3)), "Fact events must have ExternalDeferredSequence markers"),
        (facts(), "Fact events must have ExternalDeferredSequence markers"),
    ],
)
async def test_malformed_facts_are_refused(bench: Bench, made: EventRequest, text: str) -> None:
    with pytest.raises(GRPCError) as caught:
        await bench.service.handle_event(made)
    assert (caught.value.status, caught.value.message) == (Status.INVALID_ARGUMENT, text)


async def test_an_angzarr_deferred_header_marks_a_fact_too(bench: Bench) -> None:
    deferred = AngzarrDeferredSequence(source=cover(b"t" * 16, "table"), source_seq=1)
    page = EventPage(header=PageHeader(angzarr_deferred=deferred), event=event("Deposited", 5))
    await bench.service.handle_event(facts(page))
    again = await bench.service.handle_event(facts(page))
    assert again.already_processed is True


async def test_a_routed_fact_becomes_what_the_handler_makes_of_it(bench: Bench) -> None:
    await bench.service.handle_command(request(command("Deposit", 1)))
    answer = await bench.service.handle_event(facts(fact(), route=True))
    assert amounts(answer.events) == [(1, "Noticed 1")]
    assert amounts(bench.account.facts[0].prior_events) == [(0, "Deposited 1")]


async def test_a_handler_that_takes_no_facts_leaves_them_as_they_are(bench: Bench) -> None:
    bench.account.takes_facts = False
    answer = await bench.service.handle_event(facts(fact(), route=True))
    assert amounts(answer.events) == [(0, "Deposited 5")]


def speculate(**point: object) -> SpeculateCommandHandlerRequest:
    return SpeculateCommandHandlerRequest(
        command=CommandBook(cover=cover(), pages=[command("Deposit", 9)]),
        point_in_time=TemporalQuery(**point),  # type: ignore[arg-type]
    )


async def test_speculation_sees_the_past_and_stores_nothing(bench: Bench) -> None:
    await bench.service.handle_command(request(*[command("Deposit", 1)] * 3))
    answer = await bench.service.handle_sync_speculative(speculate(as_of_sequence=1))
    assert amounts(answer.events) == [(2, "Deposited 9")]
    assert len(bench.account.calls[-1].events.pages) == 2
    assert len(await stored(bench)) == 3


async def test_speculation_at_a_time(bench: Bench) -> None:
    await bench.service.handle_command(request(command("Deposit", 1)))
    first = (await bench.query.get_event_book(Query(cover=cover()))).pages[0].created_at
    answer = await bench.service.handle_sync_speculative(speculate(as_of_time=first))
    assert amounts(answer.events) == [(1, "Deposited 9")]


async def test_speculation_needs_a_point_in_time(bench: Bench) -> None:
    with pytest.raises(GRPCError) as caught:
        await bench.service.handle_sync_speculative(speculate())
    assert caught.value.message == "Speculative requires either as_of_sequence or as_of_timestamp"
    assert caught.value.status is Status.INVALID_ARGUMENT


async def test_compensation_stores_events_without_a_sequence_check(bench: Bench) -> None:
    await bench.service.handle_command(request(command("Deposit", 1)))
    answer = await bench.service.handle_compensation(request(command("Withdraw", 1, 77)))
    assert amounts(answer.events) == [(1, "Withdrawed 1")]
    assert len(await stored(bench)) == 2


async def test_compensation_answers_what_the_handler_answered(bench: Bench) -> None:
    bench.account.answer = BusinessResponse(notification=Notification(cover=cover()))
    answer = await bench.service.handle_compensation(request(command("Withdraw", 1)))
    assert answer.notification.cover.domain == "account"
    assert await stored(bench) == []
