"""The command pipeline: sequences, merge strategies, what is stored and what is answered."""

import asyncio
from datetime import UTC, datetime

import pytest
from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator import books
from angzarr.coordinator.config import CommandConfig, CoordinatorConfig, ServingConfig
from angzarr.messages import (
    AngzarrDeadLetter,
    AngzarrDeferredSequence,
    BusinessResponse,
    CommandPage,
    EventBook,
    EventPage,
    MergeStrategy,
    Notification,
    PageHeader,
    Query,
    RevocationResponse,
    SnapshotRetention,
    UpcastRequest,
    UpcastResponse,
    decode,
    has_field,
)
from angzarr.messages.timestamps import frozen
from tests.coordinator.conftest import (
    ALICE,
    Bench,
    amounts,
    bench_on,
    command,
    cover,
    event,
    request,
    snapshot,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


async def deposited(bench: Bench, *values: int) -> None:
    for value in values:
        made = command("Deposit", value, merge_strategy=MergeStrategy.MERGE_AGGREGATE_HANDLES)
        await bench.service.handle_command(request(made))


async def refused(bench: Bench, *pages: CommandPage) -> GRPCError:
    with pytest.raises(GRPCError) as caught:
        await bench.service.handle_command(request(*pages))
    return caught.value


async def stored(bench: Bench) -> EventBook:
    return await bench.query.get_event_book(Query(cover=cover()))


async def test_the_first_event_of_an_aggregate_has_sequence_0(bench: Bench) -> None:
    with frozen(NOON):
        response = await bench.service.handle_command(request(command("Deposit", 5)))
    assert amounts(response.events) == [(0, "Deposited 5")]
    assert response.events.pages[0].created_at == NOON
    assert response.events.next_sequence == 1


async def test_the_answer_has_only_the_new_pages(bench: Bench) -> None:
    await deposited(bench, 5, 6)
    response = await bench.service.handle_command(request(command("Deposit", 7, 2)))
    assert amounts(response.events) == [(2, "Deposited 7")]
    assert amounts(await stored(bench)) == [(0, "Deposited 5"), (1, "Deposited 6"), (2, "Deposited 7")]


async def test_the_handler_gets_the_whole_history_without_correlation_id(bench: Bench) -> None:
    await deposited(bench, 5, 6)
    await bench.service.handle_command(request(command("Deposit", 7, 2), to=cover(correlation_id="c-1")))
    given = bench.account.calls[-1].events
    assert amounts(given) == [(0, "Deposited 5"), (1, "Deposited 6")]
    assert (given.cover.domain, given.cover.root.value, given.cover.correlation_id) == ("account", ALICE, "")
    assert given.next_sequence == 2


async def test_an_unknown_aggregate_is_an_empty_book(bench: Bench) -> None:
    await deposited(bench, 5)
    given = bench.account.calls[0].events
    assert (given.cover.root.value, given.pages, given.next_sequence) == (ALICE, [], 0)


async def test_the_commands_correlation_id_is_filled_in(bench: Bench) -> None:
    bench.account.answer = BusinessResponse(
        events=EventBook(pages=[EventPage(header=PageHeader(sequence=0), event=event("Deposited", 1))])
    )
    made = request(command("Deposit", 1), to=cover(correlation_id="c-1"))
    response = await bench.service.handle_command(made)
    assert response.events.cover.correlation_id == "c-1"
    assert response.events.cover.root.value == ALICE


@pytest.mark.parametrize("expected", [0, 1, 3])
async def test_strict_refuses_a_stale_sequence_before_the_handler_is_called(
    bench: Bench, expected: int
) -> None:
    await deposited(bench, 5, 6)
    error = await refused(bench, command("Deposit", 7, expected, merge_strategy=MergeStrategy.MERGE_STRICT))
    assert error.status is Status.FAILED_PRECONDITION
    assert error.message == f"Sequence mismatch: command expects {expected}, aggregate at 2"
    assert len(bench.account.calls) == 2


async def test_a_mismatch_carries_the_current_book(bench: Bench) -> None:
    await deposited(bench, 5, 6)
    error = await refused(bench, command("Deposit", 7, 0, merge_strategy=MergeStrategy.MERGE_STRICT))
    assert isinstance(error.details, bytes)
    book = decode(EventBook, error.details)
    assert amounts(book) == [(0, "Deposited 5"), (1, "Deposited 6")]
    assert (book.cover.domain, book.next_sequence) == ("account", 2)


async def test_the_aggregate_may_handle_any_sequence(bench: Bench) -> None:
    await deposited(bench, 5, 6)
    made = command("Deposit", 7, 9, merge_strategy=MergeStrategy.MERGE_AGGREGATE_HANDLES)
    response = await bench.service.handle_command(request(made))
    assert amounts(response.events) == [(2, "Deposited 7")]


async def test_commutative_stores_what_changes_other_fields(bench: Bench) -> None:
    await deposited(bench, 5, 6)
    response = await bench.service.handle_command(request(command("Limit", 50, 1)))
    assert amounts(response.events) == [(2, "Limited 50")]


async def test_commutative_refuses_what_changes_the_same_field(bench: Bench) -> None:
    await deposited(bench, 5, 6)
    error = await refused(bench, command("Deposit", 7, 1))
    assert error.status is Status.FAILED_PRECONDITION
    assert error.message == "Sequence mismatch with overlapping fields: command expects 1, aggregate at 2"
    assert amounts(await stored(bench)) == [(0, "Deposited 5"), (1, "Deposited 6")]


async def test_commutative_without_replay_is_strict(bench: Bench) -> None:
    bench.account.replays = False
    await deposited(bench, 5, 6)
    error = await refused(bench, command("Limit", 50, 1))
    assert error.message == "Sequence mismatch: command expects 1, aggregate at 2"


async def test_commutative_from_the_future_is_strict(bench: Bench) -> None:
    await deposited(bench, 5)
    error = await refused(bench, command("Limit", 50, 4))
    assert error.message == "Sequence mismatch: command expects 4, aggregate at 1"
    assert len(bench.account.calls) == 1


async def test_commutative_looks_behind_a_snapshot(bench: Bench) -> None:
    await deposited(bench, 5)
    bench.account.answer = BusinessResponse(
        events=EventBook(
            pages=[EventPage(header=PageHeader(sequence=1), event=event("Deposited", 6))],
            snapshot=snapshot(11),
        )
    )
    await deposited(bench, 6)
    bench.account.answer = None
    response = await bench.service.handle_command(request(command("Limit", 50, 1)))
    assert amounts(response.events) == [(2, "Limited 50")]
    error = await refused(bench, command("Deposit", 50, 1))
    assert "overlapping" in (error.message or "")


async def test_manual_sends_a_stale_command_to_the_dead_letters(bench: Bench) -> None:
    await deposited(bench, 5, 6)
    error = await refused(bench, command("Deposit", 7, 1, merge_strategy=MergeStrategy.MERGE_MANUAL))
    assert error.status is Status.ABORTED
    assert error.message == (
        "Sequence mismatch: command expects 1, aggregate at 2. Sent to DLQ for manual review"
    )
    (row,) = await bench.engine.store.dead_letters()
    letter = decode(AngzarrDeadLetter, row.data)
    assert (letter.sequence_mismatch.expected_sequence, letter.sequence_mismatch.actual_sequence) == (1, 2)
    assert letter.rejected_command.pages[0].command.value == b"7"
    assert len(bench.account.calls) == 2


async def test_a_rejection_goes_back_unchanged(bench: Bench) -> None:
    error = await refused(bench, command("Withdraw", 7))
    assert (error.status, error.message, error.details) == (
        Status.FAILED_PRECONDITION,
        "balance too low",
        b"details",
    )
    assert (await stored(bench)).pages == []


async def test_a_revocation_is_a_failed_precondition(bench: Bench) -> None:
    bench.account.answer = BusinessResponse(revocation=RevocationResponse(reason="not today"))
    error = await refused(bench, command("Deposit", 7))
    assert (error.status, error.message) == (Status.FAILED_PRECONDITION, "Command revoked: not today")


@pytest.mark.parametrize(
    "answer",
    [BusinessResponse(), BusinessResponse(notification=Notification()), BusinessResponse(events=EventBook())],
)
async def test_no_events_is_success(bench: Bench, answer: BusinessResponse) -> None:
    await deposited(bench, 5)
    bench.account.answer = answer
    response = await bench.service.handle_command(request(command("Deposit", 7, 1)))
    assert (response.events.pages, response.events.next_sequence) == ([], 1)
    assert len((await stored(bench)).pages) == 1


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ([PageHeader()], r"Page 0 .* no sequence, expected 0"),
        ([PageHeader(sequence=0), PageHeader(sequence=2)], r"Page 1 .* sequence 2, expected 1"),
    ],
)
async def test_pages_that_do_not_follow_on_are_an_internal_error(
    bench: Bench, headers: list[PageHeader], text: str
) -> None:
    pages = [EventPage(header=header, event=event("Deposited", 1)) for header in headers]
    bench.account.answer = BusinessResponse(events=EventBook(pages=pages))
    with pytest.raises(GRPCError, match=text) as caught:
        await bench.service.handle_command(request(command("Deposit", 7)))
    assert caught.value.status is Status.INTERNAL
    assert (await stored(bench)).pages == []


async def test_an_answer_for_another_aggregate_is_an_internal_error(bench: Bench) -> None:
    pages = [EventPage(header=PageHeader(sequence=0), event=event("Deposited", 1))]
    bench.account.answer = BusinessResponse(events=EventBook(cover=cover(b"x" * 16), pages=pages))
    error = await refused(bench, command("Deposit", 7))
    assert error.status is Status.INTERNAL
    assert "wrong aggregate" in (error.message or "")


async def test_a_runaway_handler_is_stopped() -> None:
    async with bench_on(config=CoordinatorConfig(commands=CommandConfig(max_events=3))) as bench:
        error = await refused(bench, *[command("Deposit", 1)] * 4)
        assert error.status is Status.INTERNAL
        assert (await stored(bench)).pages == []


async def test_events_too_large_to_be_told_of_are_not_stored() -> None:
    async with bench_on(config=CoordinatorConfig(serving=ServingConfig(max_message_bytes=100))) as bench:
        pages = [
            EventPage(header=PageHeader(sequence=number), event=event("Deposited", 10**59))
            for number in (0, 1)
        ]
        bench.account.answer = BusinessResponse(events=EventBook(pages=pages))
        error = await refused(bench, command("Deposit", 1))
        assert error.status is Status.INTERNAL
        assert (error.message or "") == (
            "Handler answered 120 bytes of events for one command, at most 100 are allowed"
            " (ServingConfig.max_message_bytes); nothing was stored"
        )
        assert (await stored(bench)).pages == []


async def test_a_hanging_handler_is_given_up() -> None:
    async with bench_on(config=CoordinatorConfig(commands=CommandConfig(handler_timeout=0.01))) as bench:
        bench.account.hang = True
        error = await refused(bench, command("Deposit", 1))
        assert error.status is Status.DEADLINE_EXCEEDED
        assert "'account'" in (error.message or "")
        bench.account.hang = False
        await deposited(bench, 1)


async def test_all_pages_of_a_book_are_one_transaction(bench: Bench) -> None:
    response = await bench.service.handle_command(request(command("Deposit", 5), command("Deposit", 6)))
    assert amounts(response.events) == [(0, "Deposited 5"), (1, "Deposited 6")]


async def test_a_snapshot_is_stored_and_shortens_the_next_load(bench: Bench) -> None:
    bench.account.answer = BusinessResponse(
        events=EventBook(
            pages=[EventPage(header=PageHeader(sequence=0), event=event("Deposited", 5))],
            snapshot=snapshot(5, retention=SnapshotRetention.RETENTION_PERSIST),
        )
    )
    response = await bench.service.handle_command(request(command("Deposit", 5)))
    assert response.events.snapshot.state.value == bytes([8, 5, 16, 0])
    bench.account.answer = None
    await deposited(bench, 6)
    given = bench.account.calls[-1].events
    assert (given.snapshot.sequence, given.pages, given.next_sequence) == (0, [], 1)
    (kept,) = await bench.engine.store.snapshots(books.key_of(cover()))
    assert (kept.sequence, kept.retention) == (0, 1)


def deferred(amount: int, source_seq: int = 3) -> CommandPage:
    header = PageHeader(
        angzarr_deferred=AngzarrDeferredSequence(source=cover(b"t" * 16, "table"), source_seq=source_seq)
    )
    return CommandPage(header=header, command=event("Deposit", amount))


async def test_a_deferred_command_is_stamped_and_never_sequence_checked(bench: Bench) -> None:
    await deposited(bench, 1, 2)
    response = await bench.service.handle_command(request(deferred(5), deferred(6)))
    assert amounts(response.events) == [(2, "Deposited 5"), (3, "Deposited 6")]
    assert [page.header.sequence for page in bench.account.calls[-1].command.pages] == [2, 3]


async def test_the_request_is_left_as_it_was_sent(bench: Bench) -> None:
    made = request(deferred(5))
    await bench.service.handle_command(made)
    assert has_field(made.command.pages[0].header, "angzarr_deferred")


async def test_a_deferred_command_is_done_once(bench: Bench) -> None:
    first = await bench.service.handle_command(request(deferred(5)))
    second = await bench.service.handle_command(request(deferred(5)))
    assert amounts(second.events) == amounts(first.events) == [(0, "Deposited 5")]
    assert len(bench.account.calls) == 1


async def test_racing_deliveries_of_one_deferred_command_are_done_once(bench: Bench) -> None:
    responses = await asyncio.gather(*(bench.service.handle_command(request(deferred(5))) for _ in range(20)))
    assert {tuple(amounts(response.events)) for response in responses} == {((0, "Deposited 5"),)}
    assert amounts(await stored(bench)) == [(0, "Deposited 5")]


async def test_another_trigger_is_another_command(bench: Bench) -> None:
    await bench.service.handle_command(request(deferred(5, 3)))
    await bench.service.handle_command(request(deferred(5, 4)))
    assert amounts(await stored(bench)) == [(0, "Deposited 5"), (1, "Deposited 5")]


async def test_concurrent_commands_to_one_aggregate_all_succeed(bench: Bench) -> None:
    made = command("Deposit", 1, merge_strategy=MergeStrategy.MERGE_AGGREGATE_HANDLES)
    await asyncio.gather(*(bench.service.handle_command(request(made)) for _ in range(200)))
    assert [page.header.sequence for page in (await stored(bench)).pages] == list(range(200))
    assert len(bench.engine.locks) == 0


async def test_a_cancelled_caller_does_not_stale_the_cache(bench: Bench) -> None:
    await deposited(bench, 1)
    made = request(command("Deposit", 2, merge_strategy=MergeStrategy.MERGE_AGGREGATE_HANDLES))
    for _ in range(20):
        task = asyncio.ensure_future(bench.service.handle_command(made))
        for _ in range(len(asyncio.all_tasks())):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await deposited(bench, 3)
    sequences = [page.header.sequence for page in (await stored(bench)).pages]
    assert sequences == list(range(len(sequences)))


class Renaming:
    """An upcaster that marks what it saw."""

    def __init__(self, drop: int = 0) -> None:
        self.drop = drop

    async def upcast(self, request: UpcastRequest) -> UpcastResponse:
        for page in request.events:
            page.event.type_url = page.event.type_url.replace("bank.Old", "bank.")
        return UpcastResponse(events=request.events[self.drop :])


async def test_the_handler_gets_upcast_events_and_stored_ones_stay() -> None:
    async with bench_on(upcasters={"account": Renaming()}) as bench:
        bench.account.answer = BusinessResponse(
            events=EventBook(pages=[EventPage(header=PageHeader(sequence=0), event=event("OldDeposited", 5))])
        )
        await deposited(bench, 5)
        bench.account.answer = None
        await deposited(bench, 6)
        assert amounts(bench.account.calls[-1].events) == [(0, "Deposited 5")]
        assert amounts(await stored(bench))[0] == (0, "OldDeposited 5")


async def test_an_upcaster_that_drops_events_fails_the_command() -> None:
    async with bench_on(upcasters={"account": Renaming(drop=1)}) as bench:
        await deposited(bench, 5)
        error = await refused(bench, command("Deposit", 6, 1))
        assert error.status is Status.INTERNAL
        assert (error.message or "").startswith("Upcaster failed: ")


async def test_a_failing_store_fails_the_command_and_says_nothing_was_stored(bench: Bench) -> None:
    await bench.engine.store.close()
    error = await refused(bench, command("Deposit", 6))
    assert error.status is Status.INTERNAL
    assert "closed" in (error.message or "")


async def test_an_endpoint_that_raises_what_it_may_not_fails_by_name(bench: Bench) -> None:
    page = command("Deposit", 1)
    page.command.value = b"not a number"
    error = await refused(bench, page)
    assert error.status is Status.INTERNAL
    assert error.message == (
        "The handler of 'account' raised ValueError; the coordinator's log has the traceback"
    )
